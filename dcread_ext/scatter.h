/* The wanted lines of the wanted rows of a decoded chunk go to the output. */
#ifndef DCREAD_SCATTER_H
#define DCREAD_SCATTER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The columns of a task (see decode.pyi). */
enum { ADDRESS, STORED, MASK, RAW, SOURCE_ROW, OUT_ROW, ROWS, LINE_FIRST, LINE_LAST };

/* What is the same for all chunks of a plan. `table` has `entries` pairs, or none. */
typedef struct {
    const int64_t *lines;
    const int64_t *table;
    int64_t entries;
    int64_t row_bytes;
    int64_t out_row_bytes;
    unsigned char *out;
    int64_t out_size;
} dcread_target;

/* Whether whole rows follow each other in the chunk and in the output. */
static inline int dcread_covers(const dcread_target *to, const int64_t *task)
{
    return !to->entries && to->row_bytes == to->out_row_bytes
           && task[LINE_LAST] - task[LINE_FIRST] == 1
           && to->lines[3 * task[LINE_FIRST] + 2] == to->row_bytes;
}

/* Where a whole chunk can be decoded to, or NULL. */
static inline unsigned char *dcread_direct(const dcread_target *to, const int64_t *task)
{
    int64_t start = task[OUT_ROW] * to->out_row_bytes;
    if (!dcread_covers(to, task) || task[SOURCE_ROW] || task[OUT_ROW] < 0
        || task[ROWS] * to->row_bytes != task[RAW] || start + task[RAW] > to->out_size)
        return NULL;
    return to->out + start;
}

/* How many bytes of the decoded chunk are looked at, from its beginning; all of them
 * where the task is odd (`dcread_scatter` finds that out). */
static inline size_t dcread_needs(const dcread_target *to, const int64_t *task)
{
    int64_t last = task[SOURCE_ROW] + task[ROWS] - 1;
    if (to->entries) {
        last = -1;
        for (int64_t i = 0; i < task[ROWS]; i++) {
            int64_t entry = task[SOURCE_ROW] + i;
            if (entry < 0 || entry >= to->entries)
                return (size_t)task[RAW];
            if (to->table[2 * entry] > last)
                last = to->table[2 * entry];
        }
    }
    if (last < 0 || to->row_bytes <= 0 || last >= task[RAW] / to->row_bytes)
        return (size_t)task[RAW];
    return (size_t)((last + 1) * to->row_bytes);
}

/* With sizes that the compiler knows for single elements. */
static inline void dcread_copy(unsigned char *out, const unsigned char *data, int64_t size)
{
    if (size == 8)
        memcpy(out, data, 8);
    else if (size == 4)
        memcpy(out, data, 4);
    else if (size == 1)
        out[0] = data[0];
    else
        memcpy(out, data, (size_t)size);
}

/* 0, or -1 if the plan leads out of the chunk or out of the output. */
static inline int dcread_scatter(const dcread_target *to, const int64_t *task,
                                 const unsigned char *data)
{
    if (dcread_covers(to, task)) {
        int64_t size = task[ROWS] * to->row_bytes;
        int64_t from = task[SOURCE_ROW] * to->row_bytes;
        int64_t start = task[OUT_ROW] * to->row_bytes;
        if (size < 0 || from < 0 || from + size > task[RAW])
            return -1;
        if (start < 0 || start + size > to->out_size)
            return -1;
        memcpy(to->out + start, data + from, (size_t)size);
        return 0;
    }
    for (int64_t i = 0; i < task[ROWS]; i++) {
        int64_t source = task[SOURCE_ROW] + i, row = task[OUT_ROW] + i;
        if (to->entries) {
            if (source < 0 || source >= to->entries)
                return -1;
            row = to->table[2 * source + 1];
            source = to->table[2 * source];
        }
        if (source < 0 || (source + 1) * to->row_bytes > task[RAW] || row < 0)
            return -1;
        for (int64_t n = task[LINE_FIRST]; n < task[LINE_LAST]; n++) {
            const int64_t *line = to->lines + 3 * n;
            int64_t from = line[0], start = row * to->out_row_bytes + line[1];
            int64_t size = line[2];
            if (from < 0 || size < 0 || from + size > to->row_bytes)
                return -1;
            if (line[1] < 0 || start + size > to->out_size)
                return -1;
            dcread_copy(to->out + start, data + source * to->row_bytes + from, size);
        }
    }
    return 0;
}

#endif
