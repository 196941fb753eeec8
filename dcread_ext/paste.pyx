# cython: language_level=3, boundscheck=False, wraparound=False
"""Small images of any size into frames, one over the other."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

ctypedef fused pixel:
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    float
    double

cdef enum:
    START, HEIGHT, WIDTH, TOP, LEFT, FRAME, FIRST, COLUMNS


cdef Py_ssize_t _first_wrong(
    const int64_t[:, ::1] table, int64_t room, int64_t frames, int64_t height,
    int64_t width
) noexcept nogil:
    cdef Py_ssize_t row
    cdef const int64_t *item
    for row in range(table.shape[0]):
        item = &table[row, 0]
        if not (
            0 <= item[START] <= room and 0 <= item[HEIGHT] and 0 <= item[WIDTH]
            and 0 <= item[TOP] <= height and 0 <= item[LEFT] <= width
            and 0 <= item[FRAME] < frames
        ):
            return row
        # (a quotient, since a product of what a file claims may overflow)
        if item[WIDTH] and item[HEIGHT] > (room - item[START]) // item[WIDTH]:
            return row
    return -1


cdef inline void _over(
    const pixel *piece, pixel *place, Py_ssize_t size
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        place[i] = piece[i] if piece[i] != 0 else place[i]


cdef void _paste(
    const pixel *pieces, const int64_t *item, pixel[:, :, :] frames
) noexcept nogil:
    cdef Py_ssize_t i, frame = item[FRAME], top = item[TOP], left = item[LEFT]
    cdef Py_ssize_t rows = min(item[HEIGHT], <int64_t>frames.shape[1] - item[TOP])
    cdef Py_ssize_t size = min(item[WIDTH], <int64_t>frames.shape[2] - item[LEFT])
    cdef const pixel *piece = pieces + item[START]
    if item[FIRST]:
        for i in range(frames.shape[1]):
            memset(&frames[frame, i, 0], 0, frames.shape[2] * sizeof(pixel))
    if size <= 0:
        return
    for i in range(rows):
        if item[FIRST]:
            memcpy(&frames[frame, top + i, left], piece, size * sizeof(pixel))
        else:
            _over(piece, &frames[frame, top + i, left], size)
        piece += item[WIDTH]


def paste(
    const pixel[::1] pieces, const int64_t[:, ::1] table, pixel[:, :, :] frames
):
    """Lay images into frames, in the order of the table; nothing is done on error.

    An image that is the first of its frame clears the frame and is copied as it is;
    any other one overwrites where it is not zero. Both are cut at the frame's edge.
    """
    cdef Py_ssize_t row, wrong
    if table.shape[1] != COLUMNS:
        raise ValueError(f"expected {COLUMNS} columns, found {table.shape[1]}")
    if table.shape[0] == 0 or frames.shape[1] == 0 or frames.shape[2] == 0:
        return
    if frames.strides[2] != sizeof(pixel):
        raise ValueError("the pixels of a line must lie side by side")
    with nogil:
        wrong = _first_wrong(
            table, pieces.shape[0], frames.shape[0], frames.shape[1], frames.shape[2]
        )
    if wrong >= 0:
        raise IndexError(
            f"image {wrong} of the table lies outside the {pieces.shape[0]} pixels, "
            f"or outside its frame"
        )
    with nogil:
        for row in range(table.shape[0]):
            _paste(&pieces[0] if pieces.shape[0] else NULL, &table[row, 0], frames)
