/* The median of unsigned pixels by counting those at or below a pivot.
 *
 * Include once for each type, with PIXEL defined to it and NAME(x) to x with a suffix.
 * A pass that counts against two pivots costs a few vector instructions for each
 * 16 bytes and keeps no table, so it beats a histogram; and the median of the frame
 * before is such a good first guess that most frames need one pass or two. After a
 * few passes the bracket is halved, so that no data make it slow.
 */
#ifndef DCREAD_COUNT_MEDIAN_H
#define DCREAD_COUNT_MEDIAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Where the last median was, and how far medians lie from their guesses. */
typedef struct {
    int64_t guess, spread;
} dcread_hint;

/* How many pixels are at or below the first and the second pivot. */
typedef struct {
    size_t first, second;
} dcread_counts;

enum { DCREAD_FEW = 12 }; /* so few pixels are sorted rather than counted again */

#endif

#if (defined(__GNUC__) || defined(__clang__)) && !defined(DCREAD_PLAIN)
typedef PIXEL NAME(dcread_vector) __attribute__((vector_size(16)));
#define VECTOR NAME(dcread_vector)

/* Count in whole vectors, each lane for itself. */
static inline dcread_counts NAME(dcread_count_vectors)(const PIXEL *pixels,
                                                       size_t vectors, PIXEL first,
                                                       PIXEL second)
{
    const size_t lanes = sizeof(VECTOR) / sizeof(PIXEL);
    const size_t most = (PIXEL)~(PIXEL)0; /* as much as a lane can count */
    const VECTOR one = first - (VECTOR){0}, two = second - (VECTOR){0};
    dcread_counts counts = {0, 0};
    while (vectors) {
        size_t steps = vectors < most ? vectors : most;
        VECTOR below = {0}, under = {0}, some;
        vectors -= steps;
        for (; steps; steps--, pixels += lanes) {
            memcpy(&some, pixels, sizeof some);
            below -= (VECTOR)(some <= one); /* true is -1 in each lane */
            under -= (VECTOR)(some <= two);
        }
        for (size_t lane = 0; lane < lanes; lane++) {
            counts.first += below[lane];
            counts.second += under[lane];
        }
    }
    return counts;
}

/* How many pixels can be skipped, a vector at a time, until one is in the bracket. */
static inline size_t NAME(dcread_skip)(const PIXEL *pixels, size_t size, PIXEL low,
                                       PIXEL width)
{
    const size_t lanes = sizeof(VECTOR) / sizeof(PIXEL);
    size_t at = 0;
    for (; at + lanes <= size; at += lanes) {
        VECTOR some;
        uint64_t hit[2];
        memcpy(&some, pixels + at, sizeof some);
        some = (VECTOR)(some - low <= width - (VECTOR){0});
        memcpy(hit, &some, sizeof hit);
        if (hit[0] | hit[1])
            break;
    }
    return at;
}

#define VECTOR_LANES (sizeof(VECTOR) / sizeof(PIXEL))
#else
#define VECTOR_LANES 1
static inline dcread_counts NAME(dcread_count_vectors)(const PIXEL *pixels,
                                                       size_t vectors, PIXEL first,
                                                       PIXEL second)
{
    dcread_counts counts = {0, 0};
    for (size_t i = 0; i < vectors; i++) {
        counts.first += pixels[i] <= first;
        counts.second += pixels[i] <= second;
    }
    return counts;
}

static inline size_t NAME(dcread_skip)(const PIXEL *pixels, size_t size, PIXEL low,
                                       PIXEL width)
{
    size_t at = 0;
    while (at < size && (PIXEL)(pixels[at] - low) > width)
        at++;
    return at;
}
#endif

static inline dcread_counts NAME(dcread_count)(const PIXEL *pixels, size_t size,
                                               PIXEL first, PIXEL second)
{
    size_t vectors = size / VECTOR_LANES;
    dcread_counts counts = NAME(dcread_count_vectors)(pixels, vectors, first, second);
    for (size_t i = vectors * VECTOR_LANES; i < size; i++) {
        counts.first += pixels[i] <= first;
        counts.second += pixels[i] <= second;
    }
    return counts;
}

/* Sort the pixels in [low, low + width], DCREAD_FEW at the most, into `few`. */
static inline void NAME(dcread_collect)(const PIXEL *pixels, size_t size, PIXEL low,
                                        PIXEL width, PIXEL *few)
{
    size_t found = 0, at = 0;
    while (at < size) {
        size_t stop;
        at += NAME(dcread_skip)(pixels + at, size - at, low, width);
        stop = size - at < VECTOR_LANES ? size : at + VECTOR_LANES;
        for (; at < stop; at++) {
            size_t place = found;
            if ((PIXEL)(pixels[at] - low) > width || found == DCREAD_FEW)
                continue; /* more than counted: somebody else writes the frame */
            for (; place && few[place - 1] > pixels[at]; place--)
                few[place] = few[place - 1];
            few[place] = pixels[at];
            found++;
        }
    }
}

/* The smallest pixel above `low`, if there is one. Pixels at or below it wrap around
 * to more than any other: a minimum is all that is left, which compilers know how to
 * do with vectors. */
static inline PIXEL NAME(dcread_next)(const PIXEL *pixels, size_t size, PIXEL low)
{
    PIXEL least = (PIXEL)~(PIXEL)0;
    for (size_t i = 0; i < size; i++) {
        PIXEL above = (PIXEL)(pixels[i] - low - 1);
        least = above < least ? above : least;
    }
    return (PIXEL)(low + 1 + least);
}

/* The median of `size` pixels, at least one. The bracket [low, high] always holds the
 * lower middle one: `before` pixels are below it, `within` at or below its end. */
static inline double NAME(dcread_median)(const PIXEL *pixels, size_t size,
                                         dcread_hint *hint)
{
    const size_t rank = (size - 1) / 2;
    const int64_t guess = hint->guess;
    int64_t low = 0, high = (PIXEL)~(PIXEL)0, middle = guess, half = hint->spread;
    size_t before = 0, within = size;
    double upper = -1;
    for (int pass = 0; low < high && within - before > DCREAD_FEW; pass++) {
        int64_t first = middle - half - 1, second = middle + half;
        int64_t pixels_between, width;
        dcread_counts counts;
        first = first < low ? low - 1 : first;
        second = second > high ? high : second;
        counts = NAME(dcread_count)(pixels, size, (PIXEL)(first < 0 ? 0 : first),
                                    (PIXEL)second);
        counts.first = first < low ? before : counts.first;
        pixels_between = (int64_t)(counts.second - counts.first);
        width = second - first;
        if (counts.first > rank) { /* the median is below both pivots */
            high = first;
            within = counts.first;
            middle = -1;
            if (pixels_between)
                middle = high - (int64_t)(within - rank) * width / pixels_between;
            half = (high - middle) / 8;
        } else if (counts.second <= rank) { /* above both */
            low = second + 1;
            before = counts.second;
            middle = -1;
            if (pixels_between)
                middle = low + (int64_t)(rank - before) * width / pixels_between;
            half = (middle - low) / 8;
        } else { /* between them */
            low = first + 1;
            high = second;
            before = counts.first;
            within = counts.second;
            middle = low + (int64_t)(rank - before) * (high - low) / pixels_between;
            half = (high - low) / 8;
        }
        if (pass > 5 || middle < low || middle > high) {
            middle = low + (high - low) / 2;
            half = 0;
        }
    }
    if (low < high) {
        PIXEL few[DCREAD_FEW] = {0};
        size_t place = rank - before;
        NAME(dcread_collect)(pixels, size, (PIXEL)low, (PIXEL)(high - low), few);
        low = few[place];
        if (rank + 1 < within)
            upper = few[place + 1];
    } else if (rank + 1 < within) {
        upper = (double)low;
    }
    hint->guess = low;
    hint->spread = (hint->spread + (low < guess ? guess - low : low - guess)) / 2;
    if (size % 2)
        return (double)low;
    if (upper < 0)
        upper = NAME(dcread_next)(pixels, size, (PIXEL)low);
    return ((double)low + upper) / 2;
}

#undef VECTOR
#undef VECTOR_LANES
