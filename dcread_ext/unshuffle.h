/* The inverse of HDF5's shuffle filter: byte b of element i lies at b * count + i.
 * Bytes that do not fill an element follow the planes as they were. */
#ifndef DCREAD_UNSHUFFLE_H
#define DCREAD_UNSHUFFLE_H

#include <stddef.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define DCREAD_RESTRICT __restrict__
#elif defined(_MSC_VER)
#define DCREAD_RESTRICT __restrict
#else
#define DCREAD_RESTRICT
#endif

/* Elements go in blocks, so that wide ones keep their planes' lines in cache. */
enum { DCREAD_UNSHUFFLE_BLOCK = 1024 };

static inline void dcread_unshuffle_any(const unsigned char *DCREAD_RESTRICT planes,
                                        unsigned char *DCREAD_RESTRICT out,
                                        size_t count, size_t width)
{
    for (size_t start = 0; start < count; start += DCREAD_UNSHUFFLE_BLOCK) {
        size_t stop = count - start < DCREAD_UNSHUFFLE_BLOCK
                          ? count : start + DCREAD_UNSHUFFLE_BLOCK;
        for (size_t byte = 0; byte < width; byte++)
            for (size_t i = start; i < stop; i++)
                out[i * width + byte] = planes[byte * count + i];
    }
}

/* A width that the compiler knows is unrolled and vectorised. */
#define DCREAD_UNSHUFFLE(WIDTH)                                                     \
    static inline void dcread_unshuffle_##WIDTH(                                    \
        const unsigned char *DCREAD_RESTRICT planes,                                \
        unsigned char *DCREAD_RESTRICT out, size_t count)                           \
    {                                                                               \
        for (size_t i = 0; i < count; i++)                                          \
            for (size_t byte = 0; byte < WIDTH; byte++)                             \
                out[i * WIDTH + byte] = planes[byte * count + i];                   \
    }
DCREAD_UNSHUFFLE(2)
DCREAD_UNSHUFFLE(4)
DCREAD_UNSHUFFLE(8)

static inline void dcread_unshuffle(const unsigned char *planes, unsigned char *out,
                                    size_t size, size_t width)
{
    size_t count = width > 1 ? size / width : 0;
    size_t whole = count * width;
    if (width == 2)
        dcread_unshuffle_2(planes, out, count);
    else if (width == 4)
        dcread_unshuffle_4(planes, out, count);
    else if (width == 8)
        dcread_unshuffle_8(planes, out, count);
    else
        dcread_unshuffle_any(planes, out, count, width);
    if (size > whole)
        memcpy(out + whole, planes + whole, size - whole);
}

#endif
