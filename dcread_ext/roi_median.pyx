# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Medians of frames of 8 or 16 bits, by counting pixels."""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #define PIXEL uint8_t
    #define NAME(x) x##_8
    #include "prefetch.h"
    #include "count_median.h"
    #undef PIXEL
    #undef NAME
    #define PIXEL uint16_t
    #define NAME(x) x##_16
    #include "count_median.h"
    """
    ctypedef struct dcread_hint:
        int64_t guess
        int64_t spread
    void dcread_prefetch(const void *, size_t) noexcept nogil
    double dcread_median_8(const uint8_t *, size_t, dcread_hint *) noexcept nogil
    double dcread_median_16(const uint16_t *, size_t, dcread_hint *) noexcept nogil

ctypedef fused counted:
    uint8_t
    uint16_t

cdef void _medians_counted(
    const counted[:, :, :] stack, counted *scratch, double[::1] out
) noexcept nogil:
    cdef Py_ssize_t frame, row, column
    cdef Py_ssize_t height = stack.shape[1], width = stack.shape[2]
    cdef const counted *pixels
    cdef counted *place
    cdef dcread_hint hint
    cdef bint side_by_side = stack.strides[2] == sizeof(counted)
    cdef bint whole = side_by_side and stack.strides[1] == width * stack.strides[2]
    hint.guess, hint.spread = 1 << (8 * sizeof(counted) - 1), 0
    for frame in range(stack.shape[0]):
        pixels = &stack[frame, 0, 0]
        if not whole:
            for row in range(height):
                place = scratch + row * width
                if side_by_side:
                    memcpy(place, &stack[frame, row, 0], width * sizeof(counted))
                else:
                    for column in range(width):
                        place[column] = stack[frame, row, column]
            pixels = scratch
        elif frame + 1 < stack.shape[0]:
            # Frames lie far apart: the processor does not guess the next one.
            dcread_prefetch(
                &stack[frame + 1, 0, 0], height * width * sizeof(counted)
            )
        if counted is uint8_t:
            out[frame] = dcread_median_8(pixels, height * width, &hint)
        else:
            out[frame] = dcread_median_16(pixels, height * width, &hint)


def roi_median(
    const counted[:, :, :] stack, counted[::1] scratch, double[::1] out
):
    """Set ``out[i]`` to the median of ``stack[i]`` by counting pixels."""
    cdef Py_ssize_t size = stack.shape[1] * stack.shape[2]
    if size == 0:
        raise ValueError("frames without pixels have no median")
    if scratch.shape[0] < size:
        raise ValueError(f"scratch for {scratch.shape[0]} pixels, frames have {size}")
    if out.shape[0] != stack.shape[0]:
        raise ValueError(f"{out.shape[0]} results for {stack.shape[0]} frames")
    with nogil:
        _medians_counted(stack, &scratch[0], out)
