/* Read at an offset without moving the descriptor's position.
 *
 * Windows has no pread: the caller hands the bytes over instead.
 */
#ifndef DCREAD_PREAD_H
#define DCREAD_PREAD_H

#include <stddef.h>

#ifdef _WIN32
enum { DCREAD_HAS_PREAD = 0 };
static inline long long dcread_pread(int fd, void *out, size_t size, long long at)
{
    (void)fd, (void)out, (void)size, (void)at;
    return -1;
}
#else
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>
enum { DCREAD_HAS_PREAD = 1 };

/* The number of bytes read, less than `size` at the end of the file; -errno. */
static inline long long dcread_pread(int fd, void *out, size_t size, long long at)
{
    size_t got = 0;
    while (got < size) {
        ssize_t part = pread(fd, (char *)out + got, size - got, (off_t)(at + (long long)got));
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return -(long long)errno;
        if (part == 0)
            break;
        got += (size_t)part;
    }
    return (long long)got;
}
#endif

#endif
