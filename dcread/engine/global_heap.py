"""Global heaps: where HDF5 keeps values of variable length, and virtual mappings."""

from __future__ import annotations

from .object_headers import OddError, Read

MARK = b"GCOL\x01"
_AT_ONCE = 4096
"""What a heap has at the least."""


def heap_objects(
    read: Read, address: int, room: int, size_bytes: int = 8
) -> list[tuple[int, int, int]]:
    """Return number, place and size of each object in a heap; number 0 is free space.

    Parameters
    ----------
    read : callable
        ``read(address, size)`` returns bytes of the file, fewer at its end.
    address : int
        Where the heap begins.
    room : int
        How many bytes it may have.
    size_bytes : int
        How many bytes a size has in the file.

    Raises
    ------
    OddError
        If there is no heap, or HDF5 would not get to its end.
    """
    head = 8 + size_bytes
    data = read(address, min(_AT_ONCE, max(0, room)))
    size = int.from_bytes(data[8:head], "little")
    if not data.startswith(MARK) or head > len(data) or size > room:
        raise OddError
    found = []
    place = head
    while place + head <= size:
        field = data[place : place + head]
        if len(field) < head:  # a large object lies before it
            field = read(address + place, head)
        number = int.from_bytes(field[:2], "little")
        stored = int.from_bytes(field[8:], "little")
        start = place + head if number else place  # (what is free has no head)
        if number and stored > size - start:
            raise OddError
        found.append((number, address + start, stored))
        if not number and not 0 < stored <= size - start:
            raise OddError
        place = start + (-(-stored // 8) * 8 if number else stored)
    return found
