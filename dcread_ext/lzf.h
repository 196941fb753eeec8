/* A decoder of LibLZF's stream that never reads or writes out of bounds. */
#ifndef DCREAD_LZF_H
#define DCREAD_LZF_H

#include <stddef.h>
#include <string.h>

/* The number of bytes written; 0 if the stream is damaged or does not fit. */
static inline size_t dcread_lzf(const unsigned char *in, size_t size,
                                unsigned char *out, size_t capacity)
{
    size_t at = 0, to = 0;
    while (at < size) {
        size_t control = in[at++], length, distance;
        if (control < 32) { /* control + 1 literal bytes */
            length = control + 1;
            if (length > size - at || length > capacity - to)
                return 0;
            memcpy(out + to, in + at, length);
            at += length;
            to += length;
            continue;
        }
        length = control >> 5;
        if (length == 7) {
            if (at == size)
                return 0;
            length += in[at++];
        }
        if (at == size)
            return 0;
        length += 2;
        distance = ((control & 31) << 8) + in[at++] + 1;
        if (distance > to || length > capacity - to)
            return 0;
        for (; length; length--, to++) /* the ranges may overlap */
            out[to] = out[to - distance];
    }
    return to;
}

#endif
