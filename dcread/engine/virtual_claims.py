"""Mappings of virtual datasets, looked at before HDF5 decodes them.

HDF5 decodes the mapping when it opens the dataset, and compares its checksum after
that only: it follows a damaged heap for ever, and writes a selection of too many axes
beyond the memory that it has for one. (The structures are those of the HDF5 file
format specification.)
"""

from __future__ import annotations

import struct

from .global_heap import heap_objects
from .object_headers import LAYOUT, NOWHERE, OddError, Read, messages_at

DATASPACE = 0x01
MOST_AXES = 32

_VIRTUAL = 3
_SAME_FILE, _FILE_SHARED, _DATASET_SHARED = 4, 1, 2
_POINTS, _HYPERSLABS = 1, 2
_REGULAR = 1


def mapping_fits(read: Read, address: int, head: bytes, room: int) -> bool:
    """Tell whether HDF5 can open the object with a header, as far as mappings go.

    Parameters
    ----------
    read : callable
        See `heap_objects`.
    address : int
        Of the object header.
    head : bytes
        With what that begins.
    room : int
        Bytes of the file.
    """
    try:
        axes, heap, number = _mapping_of(read, address, head)
    except (struct.error, IndexError, OddError):
        return True  # HDF5 says what is wrong
    if heap == NOWHERE:
        return True
    try:
        places = {
            one: (place, size)
            for one, place, size in heap_objects(read, heap, room - heap)
            if one
        }
        place, size = places[number]
        _check(read(place, size), axes)
    except (struct.error, IndexError, KeyError, ValueError, OddError):
        return False
    return True


def _mapping_of(read: Read, address: int, head: bytes) -> tuple[int, int, int]:
    """Return the axes of a dataset, and heap and number of its mapping.

    The heap is `NOWHERE` if it is no virtual dataset, or nothing is mapped.
    """
    axes = 0
    found, _ = messages_at(address, head, read, (DATASPACE, LAYOUT))
    for kind, data in found:
        if kind == DATASPACE:
            axes = data[1]
        elif data[0] >= 4 and data[1] == _VIRTUAL:
            return axes, *struct.unpack_from("<QI", data, 2)
        else:  # (HDF5 takes the first layout, too)
            break
    return axes, NOWHERE, 0


def _check(block: bytes, axes: int) -> None:
    """Go through a mapping as HDF5 does; raise where it would leave the block."""
    version, count = struct.unpack_from("<BQ", block)
    if version > 1:
        raise OddError
    place = 9
    for number in range(count):
        flags = 0
        if version:
            flags = block[place]
            place += 1
        place = _after_name(block, place, flags & _FILE_SHARED, number, flags)
        place = _after_name(block, place, flags & _DATASET_SHARED, number, 0)
        place = _after_selection(block, place, 0)
        place = _after_selection(block, place, axes)
        if place + 4 > len(block):  # the checksum
            raise OddError


def _after_name(block: bytes, place: int, shared: int, number: int, flags: int) -> int:
    """Return where a name ends, or the number of the entry that it is shared with."""
    if flags & _SAME_FILE:
        return place
    if not shared:
        return block.index(0, place) + 1
    if struct.unpack_from("<Q", block, place)[0] >= number:
        raise OddError
    return place + 8


def _after_selection(block: bytes, place: int, axes: int) -> int:
    """Return where a selection ends; of `axes` axes, or any number for 0."""
    kind, version = struct.unpack_from("<II", block, place)
    flags, width = 0, 4
    place += 8
    if kind not in {_POINTS, _HYPERSLABS}:  # all, or none
        return place + 8
    if version == 1:
        place += 8
    elif kind == _POINTS:
        width = block[place]
        place += 1
    elif version == 2:
        flags, width = block[place], 8
        place += 5
    else:
        flags, width = block[place], block[place + 1]
        place += 2
    found = int.from_bytes(block[place : place + 4], "little")
    place += 4
    if not 0 < found <= MOST_AXES or (axes and found != axes) or width not in {2, 4, 8}:
        raise OddError
    if kind == _HYPERSLABS and flags & _REGULAR:
        return place + 4 * found * width
    count = int.from_bytes(block[place : place + width], "little")
    corners = 2 if kind == _HYPERSLABS else 1  # (of a block, or a point)
    return place + width + count * corners * found * width
