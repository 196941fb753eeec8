/* A clock that never goes back, in nanoseconds. */
#ifndef DCREAD_NANOSECONDS_H
#define DCREAD_NANOSECONDS_H

#ifdef _WIN32
static inline long long dcread_nanoseconds(void) { return 0; } /* nothing to time */
#else
#include <time.h>
static inline long long dcread_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000000LL + now.tv_nsec;
}
#endif

#endif
