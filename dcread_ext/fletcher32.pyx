# cython: language_level=3, boundscheck=False, wraparound=False
"""The checksum of HDF5's fletcher32 filter."""

from libc.stdint cimport uint32_t


cdef extern from "fletcher32.h" nogil:
    uint32_t dcread_fletcher32(const unsigned char *data, size_t size)
    uint32_t dcread_fletcher32_plain(const unsigned char *data, size_t size)


def fletcher32(const unsigned char[::1] data):
    """Return the checksum of `data`."""
    cdef uint32_t result = 0
    if data.shape[0] == 0:
        return 0
    with nogil:
        result = dcread_fletcher32(&data[0], <size_t>data.shape[0])
    return result


def fletcher32_plain(const unsigned char[::1] data):
    """Return the checksum of `data`, computed without vector types."""
    cdef uint32_t result = 0
    if data.shape[0] == 0:
        return 0
    with nogil:
        result = dcread_fletcher32_plain(&data[0], <size_t>data.shape[0])
    return result
