/* Ask for memory that is read soon. */
#ifndef DCREAD_PREFETCH_H
#define DCREAD_PREFETCH_H

#include <stddef.h>

enum { DCREAD_LINE = 64, DCREAD_MOST_AHEAD = 16384 }; /* bytes */

static inline void dcread_prefetch(const void *data, size_t size)
{
#if (defined(__GNUC__) || defined(__clang__)) && !defined(DCREAD_PLAIN)
    size_t stop = size < DCREAD_MOST_AHEAD ? size : DCREAD_MOST_AHEAD;
    for (size_t at = 0; at < stop; at += DCREAD_LINE)
        __builtin_prefetch((const char *)data + at);
#else
    (void)data, (void)size;
#endif
}

#endif
