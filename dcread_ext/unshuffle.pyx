# cython: language_level=3, boundscheck=False, wraparound=False
"""The inverse of HDF5's shuffle filter."""


cdef extern from "unshuffle.h" nogil:
    void dcread_unshuffle(
        const unsigned char *planes, unsigned char *out, size_t size, size_t width
    )


def unshuffle(
    const unsigned char[::1] data, Py_ssize_t width, unsigned char[::1] out
):
    """Write the bytes of `data` to `out`, in the order before shuffling."""
    if width < 1:
        raise ValueError(f"an element has at least 1 byte, not {width}")
    if data.shape[0] != out.shape[0]:
        raise ValueError(
            f"output of {out.shape[0]} bytes for {data.shape[0]} shuffled bytes"
        )
    if data.shape[0] == 0:
        return
    with nogil:
        dcread_unshuffle(&data[0], &out[0], <size_t>data.shape[0], <size_t>width)
