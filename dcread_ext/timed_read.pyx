# cython: language_level=3, boundscheck=False, wraparound=False
"""A read at an offset, and how long it took without Python's lock."""


cdef extern from "pread.h" nogil:
    enum: DCREAD_HAS_PREAD
    long long dcread_pread(int fd, void *out, size_t size, long long at)

cdef extern from "nanoseconds.h" nogil:
    long long dcread_nanoseconds()

HAS_PREAD = bool(DCREAD_HAS_PREAD)


def timed_read(int fd, unsigned char[::1] out, long long at):
    """Fill `out` from byte `at` of a descriptor.

    Returns the number of bytes (fewer at the end of the file; -errno if it fails), and
    how long that took, in nanoseconds.
    """
    cdef long long begin, count, end
    if not out.shape[0]:
        return 0, 0
    with nogil:
        begin = dcread_nanoseconds()
        count = dcread_pread(fd, &out[0], <size_t>out.shape[0], at)
        end = dcread_nanoseconds()
    return count, end - begin
