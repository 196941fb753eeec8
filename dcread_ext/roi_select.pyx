# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Medians of frames of any real numbers, by radix selection."""

from libc.math cimport NAN
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint32_t, uint64_t,
)
from libc.string cimport memcpy, memset

ctypedef fused real:
    int8_t
    int16_t
    int32_t
    uint32_t
    int64_t
    uint64_t
    float
    double


cdef inline uint64_t _key(real value) noexcept nogil:
    # An unsigned number that sorts like `value`.
    cdef uint64_t top = (<uint64_t>1) << 63
    cdef uint64_t bits
    cdef double wide
    if real is float or real is double:
        wide = value
        memcpy(&bits, &wide, 8)
        return ~bits if bits & top else bits | top
    elif real is uint32_t or real is uint64_t:
        return value
    else:
        return (<uint64_t><int64_t>value) ^ top


cdef inline real _value(uint64_t key, const real *_type) noexcept nogil:
    cdef uint64_t top = (<uint64_t>1) << 63
    cdef double wide
    if real is float or real is double:
        key = key ^ top if key & top else ~key
        memcpy(&wide, &key, 8)
        return <real>wide
    elif real is uint32_t or real is uint64_t:
        return <real>key
    else:
        return <real><int64_t>(key ^ top)


cdef uint64_t _select(
    uint64_t *keys, Py_ssize_t size, Py_ssize_t rank, uint64_t spread, bint *again
) noexcept nogil:
    # Byte by byte from the highest that differs: never more than 8 passes.
    cdef Py_ssize_t counts[256]
    cdef Py_ssize_t i, kept
    cdef int shift = 56
    cdef int byte
    while shift > 0 and (spread >> shift) == 0:
        shift -= 8
    while size > 1 and shift >= 0:
        memset(counts, 0, sizeof(counts))
        for i in range(size):
            counts[(keys[i] >> shift) & 255] += 1
        byte = 0
        while rank >= counts[byte]:
            rank -= counts[byte]
            byte += 1
        kept = 0
        for i in range(size):
            keys[kept] = keys[i]
            kept += <int>((keys[i] >> shift) & 255) == byte
        size = kept
        shift -= 8
    again[0] = rank + 1 < size
    return keys[0]


cdef double _median_selected(
    const real[:, :, :] stack, Py_ssize_t frame, uint64_t *keys
) noexcept nogil:
    cdef Py_ssize_t size = stack.shape[1] * stack.shape[2]
    cdef Py_ssize_t row, column, at = 0
    cdef uint64_t spread = 0, lower, upper = ~(<uint64_t>0), key
    cdef bint again = False
    cdef real first, second = 0
    for row in range(stack.shape[1]):
        for column in range(stack.shape[2]):
            first = stack[frame, row, column]
            if real is float or real is double:
                if first != first:
                    return NAN
            keys[at] = _key(first)
            spread |= keys[at] ^ keys[0]
            at += 1
    lower = _select(keys, size, (size - 1) // 2, spread, &again)
    first = _value(lower, &first)
    if size % 2 or again:
        return <double>first
    for row in range(stack.shape[1]):
        for column in range(stack.shape[2]):
            key = _key(stack[frame, row, column])
            if lower < key < upper:
                upper = key
    second = _value(upper, &second)
    if real is float or real is double:
        return <double>((first + second) / 2)  # rounds and overflows like NumPy
    else:
        return (<double>first + <double>second) / 2


def roi_select(
    const real[:, :, :] stack, uint64_t[::1] scratch, double[::1] out
):
    """Set ``out[i]`` to the median of ``stack[i]`` by radix selection."""
    cdef Py_ssize_t frame
    cdef Py_ssize_t size = stack.shape[1] * stack.shape[2]
    if size == 0:
        raise ValueError("frames without pixels have no median")
    if scratch.shape[0] < size:
        raise ValueError(f"scratch for {scratch.shape[0]} pixels, frames have {size}")
    if out.shape[0] != stack.shape[0]:
        raise ValueError(f"{out.shape[0]} results for {stack.shape[0]} frames")
    with nogil:
        for frame in range(stack.shape[0]):
            out[frame] = _median_selected(stack, frame, &scratch[0])
