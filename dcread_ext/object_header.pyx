# cython: language_level=3, boundscheck=False, wraparound=False
"""What the first bytes of an object header of HDF5 tell."""

from libc.stdint cimport uint64_t


cdef bint _may_be_virtual(const unsigned char *head, uint64_t size) noexcept nogil:
    cdef uint64_t start, total = 0, end, place, begin, length
    cdef int flags, entry, kind, byte
    cdef bint newer, more = False
    newer = head[0] == 79 and head[1] == 72 and head[2] == 68 and head[3] == 82  # OHDR
    if newer:
        flags = head[5]
        start = 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
        for byte in range(1 << (flags & 3)):
            total |= <uint64_t>head[start + byte] << (8 * byte)
        start += 1 << (flags & 3)
        entry = 6 if flags & 4 else 4
    else:
        for byte in range(4):
            total |= <uint64_t>head[8 + byte] << (8 * byte)
        start = 16
        entry = 8
    if total > size - start:
        total = size - start
        more = True
    end = start + total
    place = start
    while place + entry <= end:
        kind = head[place]
        if newer:
            length = head[place + 1] | head[place + 2] << 8
        else:
            kind |= head[place + 1] << 8
            length = head[place + 2] | head[place + 3] << 8
        begin = place + entry
        if kind == 8:  # the layout of a dataset
            return begin + 2 > end or (head[begin] >= 4 and head[begin + 1] == 3)
        if kind == 16:  # more of the header elsewhere
            more = True
        place = begin + length
    return more


def may_be_virtual(const unsigned char[::1] head):
    """Tell whether a header that begins so may be that of a virtual dataset."""
    if head.shape[0] < 40:
        return True
    return _may_be_virtual(&head[0], <uint64_t>head.shape[0])
