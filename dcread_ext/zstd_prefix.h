/* The first bytes of a zstd frame, decoded block by block.
 *
 * A frame is a row of blocks (of 128 KiB at the most) that are decoded one after the
 * other, so that decoding may end as soon as the bytes that are wanted are there.
 */
#ifndef DCREAD_ZSTD_PREFIX_H
#define DCREAD_ZSTD_PREFIX_H

#include <stddef.h>

typedef struct {
    unsigned long long (*content_size)(const void *, size_t);
    size_t (*begin)(void *);
    size_t (*next_size)(void *);
    size_t (*go_on)(void *, void *, size_t, const void *, size_t);
} dcread_zstd_steps;

/* The number of bytes decoded, `wanted` or more; 0 if that cannot be done, whatever
 * the reason: the caller decodes the whole frame then, and says what is wrong.
 *
 * The frame must say itself that it holds `capacity` bytes. */
static inline size_t dcread_zstd_prefix(const dcread_zstd_steps *zstd, void *context,
                                        const unsigned char *data, size_t size,
                                        unsigned char *out, size_t capacity,
                                        size_t wanted)
{
    size_t at = 0, to = 0;
    if (zstd->content_size(data, size) != capacity || zstd->begin(context))
        return 0;
    while (to < wanted) {
        size_t next = zstd->next_size(context), got;
        if (!next || next > size - at) /* the frame ends before its time */
            return 0;
        got = zstd->go_on(context, out + to, capacity - to, data + at, next);
        if (got > capacity - to) /* an error code, or too much */
            return 0;
        at += next;
        to += got;
    }
    return to;
}

#endif
