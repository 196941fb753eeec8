# cython: language_level=3, boundscheck=False, wraparound=False
"""Rows by index, from one block of bytes into another."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy


cdef Py_ssize_t _first_outside(
    const int64_t *indices, Py_ssize_t size, Py_ssize_t length
) noexcept nogil:
    cdef uint64_t sign = 0, last = <uint64_t>length - 1
    cdef Py_ssize_t position
    if length:  # no branch: negative, or beyond the last, leaves a sign bit
        for position in range(size):
            sign |= <uint64_t>indices[position] | (last - <uint64_t>indices[position])
        if not sign >> 63:
            return -1
    for position in range(size):
        if indices[position] < 0 or indices[position] >= length:
            return position
    return -1


cdef inline void _copy(
    const unsigned char *source, Py_ssize_t source_stride, const int64_t *sources,
    unsigned char *out, Py_ssize_t out_stride, const int64_t *targets,
    Py_ssize_t size, size_t width
) noexcept nogil:
    cdef Py_ssize_t position
    if targets == NULL:
        for position in range(size):
            memcpy(
                out + position * out_stride,
                source + sources[position] * source_stride, width
            )
    else:
        for position in range(size):
            memcpy(
                out + targets[position] * out_stride,
                source + sources[position] * source_stride, width
            )


cdef void _copy_rows(
    const unsigned char[:, :] source, const int64_t *sources,
    unsigned char[:, :] out, const int64_t *targets, Py_ssize_t size
) noexcept nogil:
    cdef const unsigned char *first = &source[0, 0]
    cdef unsigned char *place = &out[0, 0]
    cdef Py_ssize_t step = source.strides[0], stride = out.strides[0]
    cdef Py_ssize_t width = source.shape[1]
    # A width that the compiler knows becomes one load and one store.
    if width == 1:
        _copy(first, step, sources, place, stride, targets, size, 1)
    elif width == 2:
        _copy(first, step, sources, place, stride, targets, size, 2)
    elif width == 4:
        _copy(first, step, sources, place, stride, targets, size, 4)
    elif width == 8:
        _copy(first, step, sources, place, stride, targets, size, 8)
    else:
        _copy(first, step, sources, place, stride, targets, size, <size_t>width)


cdef _check_rows(const unsigned char[:, :] source, unsigned char[:, :] out):
    if source.shape[1] != out.shape[1]:
        raise ValueError(
            f"rows of {source.shape[1]} bytes do not fit rows of {out.shape[1]} bytes"
        )
    if source.shape[1] > 1 and (source.strides[1] != 1 or out.strides[1] != 1):
        raise ValueError("the bytes of a row must lie side by side")


cdef _check_bounds(const int64_t[::1] indices, Py_ssize_t length, str where):
    cdef Py_ssize_t bad
    with nogil:
        bad = _first_outside(&indices[0], indices.shape[0], length)
    if bad >= 0:
        raise IndexError(
            f"index {indices[bad]} at position {bad} is out of bounds for "
            f"{length} rows of the {where}"
        )


def gather(
    const unsigned char[:, :] source, const int64_t[::1] indices,
    unsigned char[:, :] out
):
    """Set ``out[i] = source[indices[i]]``; nothing is written on error."""
    _check_rows(source, out)
    if indices.shape[0] != out.shape[0]:
        raise ValueError(f"{indices.shape[0]} indices for {out.shape[0]} output rows")
    if indices.shape[0] == 0:
        return
    _check_bounds(indices, source.shape[0], "source")
    if source.shape[1]:
        with nogil:
            _copy_rows(source, &indices[0], out, NULL, indices.shape[0])


def scatter(
    const unsigned char[:, :] source, const int64_t[::1] source_indices,
    unsigned char[:, :] out, const int64_t[::1] out_indices
):
    """Set ``out[out_indices[i]] = source[source_indices[i]]``, in this order."""
    cdef Py_ssize_t size = source_indices.shape[0]
    _check_rows(source, out)
    if size != out_indices.shape[0]:
        raise ValueError(
            f"{size} source indices for {out_indices.shape[0]} output indices"
        )
    if size == 0:
        return
    _check_bounds(source_indices, source.shape[0], "source")
    _check_bounds(out_indices, out.shape[0], "output")
    if source.shape[1]:
        with nogil:
            _copy_rows(source, &source_indices[0], out, &out_indices[0], size)
