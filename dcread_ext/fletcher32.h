/* HDF5's fletcher32: big-endian 16-bit words, one's complement sums.
 *
 * 2^16 is 1 modulo 65535, so that folding high halves onto low ones at any time
 * keeps a sum, and so that a sum of byte-swapped words is the byte-swapped sum:
 * words are added as the machine reads them and swapped once at the end. A folded
 * sum is 0 only if every word was, as in HDF5 (`% 65535` would differ there).
 */
#ifndef DCREAD_FLETCHER32_H
#define DCREAD_FLETCHER32_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__BYTE_ORDER__) && \
    !defined(DCREAD_PLAIN)
#define DCREAD_VECTOR_FLETCHER 1
#endif

static inline uint64_t dcread_fold(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

#ifdef DCREAD_VECTOR_FLETCHER
typedef uint32_t dcread_v4u32 __attribute__((vector_size(16)));
enum { DCREAD_LANES = 16, DCREAD_STEPS = 360 }; /* 360 * 361 / 2 * 65535 < 2^32 */

/* Sum `steps` times 16 words: word l of step v counts 16 (steps - v) - l times in
 * sum2, which is 16 times the lane's running sum less l times its sum. */
static inline void dcread_fletcher32_block(const unsigned char *data, size_t steps,
                                           uint64_t *sum1, uint64_t *sum2)
{
    /* Each pair of words in its low and its high half, four pairs a vector. */
    dcread_v4u32 sums[4] = {{0}}, running[4] = {{0}}, pairs[2];
    uint64_t total = 0, weighted = 0, twice = 0;
    for (size_t step = 0; step < steps; step++, data += sizeof pairs) {
        memcpy(pairs, data, sizeof pairs);
        sums[0] += pairs[0] & 0xffff;
        sums[1] += pairs[0] >> 16;
        sums[2] += pairs[1] & 0xffff;
        sums[3] += pairs[1] >> 16;
        running[0] += sums[0];
        running[1] += sums[1];
        running[2] += sums[2];
        running[3] += sums[3];
    }
    for (int half = 0; half < 4; half++)
        for (int pair = 0; pair < 4; pair++) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            int lane = 8 * (half / 2) + 2 * pair + half % 2;
#else
            int lane = 8 * (half / 2) + 2 * pair + 1 - half % 2;
#endif
            total += sums[half][pair];
            twice += running[half][pair];
            weighted += (uint64_t)lane * sums[half][pair];
        }
    *sum2 += DCREAD_LANES * steps * *sum1 + DCREAD_LANES * twice - weighted;
    *sum1 += total;
    *sum2 = dcread_fold(*sum2);
    *sum1 = dcread_fold(*sum1);
}

static inline uint32_t dcread_fletcher32(const unsigned char *data, size_t size)
{
    uint64_t sum1 = 0, sum2 = 0;
    size_t vectors = size / (2 * DCREAD_LANES);
    const unsigned char *end = data + size;
    while (vectors) {
        size_t steps = vectors < DCREAD_STEPS ? vectors : DCREAD_STEPS;
        dcread_fletcher32_block(data, steps, &sum1, &sum2);
        data += steps * 2 * DCREAD_LANES;
        vectors -= steps;
    }
    while (data < end) {
        unsigned char bytes[2] = {data[0], 0};
        uint16_t word;
        if (end - data > 1)
            bytes[1] = data[1];
        memcpy(&word, bytes, 2);
        sum1 += word;
        sum2 += sum1;
        data += end - data > 1 ? 2 : 1;
    }
    sum1 = dcread_fold(sum1);
    sum2 = dcread_fold(sum2);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    sum1 = ((sum1 & 0xff) << 8) | (sum1 >> 8);
    sum2 = ((sum2 & 0xff) << 8) | (sum2 >> 8);
#endif
    return (uint32_t)((sum2 << 16) | sum1);
}
#else
/* Any compiler, any byte order. */
static inline uint32_t dcread_fletcher32(const unsigned char *data, size_t size)
{
    uint64_t sum1 = 0, sum2 = 0;
    size_t words = size / 2;
    while (words) {
        size_t block = words < 4096 ? words : 4096; /* 4096^2 * 2^16 < 2^64 */
        words -= block;
        for (; block; block--, data += 2) {
            sum1 += ((uint32_t)data[0] << 8) | data[1];
            sum2 += sum1;
        }
        sum1 = dcread_fold(sum1);
        sum2 = dcread_fold(sum2);
    }
    if (size & 1) {
        sum1 += (uint32_t)data[0] << 8;
        sum2 += sum1;
    }
    return (uint32_t)((dcread_fold(sum2) << 16) | dcread_fold(sum1));
}
#endif

#endif
