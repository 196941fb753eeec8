"""Messages in the headers of HDF5 objects, read from the bytes of a file.

(The structures are those of the HDF5 file format specification.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container

from h5py import h5d, h5g

HEADER = 512
"""Bytes of an object header that are read first; most have fewer."""

NOWHERE = 2**64 - 1
"""The address of what is not there."""

MOST_HEADER = 2**24
MOST_BLOCKS = 1000
"""Bytes and blocks of an object header that are looked into at the most."""

CONTINUATION, LAYOUT, SYMBOL_TABLE, ATTRIBUTE = 0x10, 0x08, 0x11, 0x0C
LINK_INFO, ATTRIBUTE_INFO = 0x02, 0x15
"""Kinds of messages."""

_LONG = 8 * struct.calcsize("L")

_OLDER_ENTRY = struct.Struct("<HH").unpack_from
_NEWER_ENTRY = struct.Struct("<BH").unpack_from
"""Kind and length of a message in an object header."""

Read = Callable[[int, int], bytes]
"""``read(address, size)`` returns bytes of the file, fewer at its end.

It raises `OddError` where addresses are not those of measurements.
"""


class OddError(Exception):
    """A structure that is not as it should be."""


def messages(
    of: h5g.GroupID | h5d.DatasetID, read: Read, kinds: Container[int]
) -> tuple[list[tuple[int, bytes]], bool]:
    """Return kinds and contents of messages in the header of an object.

    The caller holds the h5py lock.

    Parameters
    ----------
    of : h5py.h5g.GroupID or h5py.h5d.DatasetID
        The open object.
    read : callable
        See `Read`.
    kinds : container of int
        Which messages are wanted.

    Returns
    -------
    list of (int, bytes)
        Those before the first part of the header that is not understood.
    bool
        Whether all of it is understood.
    """
    low, high = h5g.get_objinfo(of).objno  # (two C longs)
    address = low | high << _LONG
    try:
        head = read(address, HEADER)
    except OddError:
        return [], False
    return messages_at(address, head, read, kinds)


def messages_at(
    address: int, data: bytes, read: Read, kinds: Container[int]
) -> tuple[list[tuple[int, bytes]], bool]:
    """Return the same of the header at an address, which begins with some bytes."""
    found: list[tuple[int, bytes]] = []
    try:
        if data[:4] == b"OHDR":
            flags = data[5]
            start = 6 + 16 * bool(flags & 32) + 4 * bool(flags & 16)
            width = 1 << (flags & 3)
            size = int.from_bytes(data[start : start + width], "little")
            start += width
            head, entry = 4 + 2 * bool(flags & 4), _NEWER_ENTRY
            marked = True
        else:
            (size,) = struct.unpack_from("<8xI", data)
            start, head, entry = 16, 8, _OLDER_ENTRY
            marked = False
        blocks = [(address + start, size)]
        total = 0
        for number, (where, size) in enumerate(blocks):
            total += size
            if total > MOST_HEADER or number >= MOST_BLOCKS:
                return found, False
            at = where - address
            inside = at >= 0 and at + size <= len(data)
            block = data[at : at + size] if inside else read(where, size)
            if number and marked:
                block = block[4:-4]  # mark and checksum
            place, last = 0, len(block) - head
            while place <= last:
                kind, length = entry(block, place)
                begin = place + head
                place = begin + length
                if kind == CONTINUATION:
                    blocks.append(struct.unpack_from("<QQ", block[begin:place]))
                elif kind in kinds:
                    found.append((kind, block[begin:place]))
    except (struct.error, IndexError, OddError):
        return found, False
    return found, True
