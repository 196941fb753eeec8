"""What the chunk index of a dataset claims, looked at before HDF5 lists it.

HDF5 goes through all places that the header of an index claims: a few bytes of a small
file can keep it busy for hours, in one call that nothing interrupts. It follows a tree
that leads back to itself until the process dies. (The structures are those of the HDF5
file format specification.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from h5py import h5g

HEADER = 512
"""Bytes of an object header that are read first; most have fewer."""

NOWHERE = 2**64 - 1
"""The address of what is not there."""

MOST_NODES = 2**20
"""Nodes of the tree of a group: each has 16 members at the least, mostly."""

MOST_HEADER = 2**24
MOST_BLOCKS = 1000
"""Bytes and blocks of an object header that are looked into at the most."""

CONTINUATION, LAYOUT, SYMBOL_TABLE = 0x10, 0x08, 0x11
FIXED_ARRAY, EXTENSIBLE_ARRAY = 3, 4
_COUNTS = {
    FIXED_ARRAY: (b"FAHD", 8),
    EXTENSIBLE_ARRAY: (b"EAHD", 44),
}
"""What such an index begins with, and where it says how many places it has."""

_LONG = 8 * struct.calcsize("L")

Read = Callable[[int, int], bytes]


class Claim(NamedTuple):
    """What a chunk index says of itself.

    Attributes
    ----------
    places : int
        How many places HDF5 goes through; 0 for the kinds of index of which it visits
        only chunks that are there.
    is_tree : bool
        Whether the nodes of a tree lie below each other, as HDF5 believes: it follows
        one that leads back to itself until its stack overflows.
    """

    places: int
    is_tree: bool


def claim_of(h5ds: Any, read: Read, most: int) -> Claim | None:
    """Return what the chunk index of a dataset claims; None if that cannot be told.

    The caller holds the h5py lock.

    Parameters
    ----------
    h5ds : h5py.Dataset
        Chunked.
    read : callable
        ``read(address, size)`` returns bytes of the file, fewer at its end; raises
        `OddError` where addresses are not those of measurements.
    most : int
        How many chunks there can be.
    """
    low, high = h5g.get_objinfo(h5ds.id).objno  # (two C longs)
    places, is_tree = 0, True
    try:
        for kind, data in _messages(read, low | high << _LONG):
            if kind == LAYOUT:
                places = max(places, _places(read, data))
                is_tree = is_tree and _is_tree(read, data, most)
    except (struct.error, IndexError, OddError):
        return None
    return Claim(places, is_tree)


def lists_safely(group: Any, read: Read) -> bool:
    """Tell whether HDF5 can list the members of a group without going astray.

    The caller holds the h5py lock.

    Parameters
    ----------
    group : h5py.h5g.GroupID
        The group.
    read : callable
        See `claim_of`.
    """
    low, high = h5g.get_objinfo(group).objno
    try:
        return all(
            kind != SYMBOL_TABLE
            or _nodes_fit(read, struct.unpack_from("<Q", data)[0], 0, 16, MOST_NODES)
            for kind, data in _messages(read, low | high << _LONG)
        )
    except (struct.error, IndexError, OddError):
        return True  # HDF5 says what is wrong


def _is_tree(read: Read, layout: bytes, most: int) -> bool:
    """Tell whether the tree of a layout message is one, of as many nodes as may be."""
    if layout[0] == 3 and layout[1] == 2:
        axes, (address,) = layout[2], struct.unpack_from("<Q", layout, 3)
    elif layout[0] < 3 and layout[2] == 2:
        axes, (address,) = layout[1], struct.unpack_from("<Q", layout, 8)
    else:
        return True
    if address == NOWHERE:
        return True  # nothing is stored
    return _nodes_fit(read, address, 1, 16 + 8 * axes, most)


def _nodes_fit(read: Read, root: int, kind: int, step: int, most: int) -> bool:
    """Tell whether the nodes of a tree lie below each other, each only once."""
    form = f"<{step - 8}xQ"
    first = read(root, 8)
    nodes, level = [root], first[5]
    while True:
        children: list[int] = []
        for node in nodes:
            head = struct.unpack("<4sBBH", first or read(node, 8))
            first = b""
            if head[:3] != (b"TREE", kind, level):
                return False
            if level:
                entries = read(node + 24, step * head[3])
                children += [one for (one,) in struct.iter_unpack(form, entries)]
        if not level:
            return True
        nodes, level = children, level - 1
        if len(nodes) > most or len(set(nodes)) < len(nodes):
            return False


class OddError(Exception):
    """A structure that is not as it should be."""


def _places(read: Read, layout: bytes) -> int:
    """Return how many places the index of a layout message claims."""
    version, kind, _, axes, width = struct.unpack_from("<5B", layout)
    if version < 4 or kind != 2:
        return 0
    index = layout[5 + axes * width]
    if index not in _COUNTS:
        return 0
    mark, place = _COUNTS[index]
    (address,) = struct.unpack_from(
        "<Q", layout, 5 + axes * width + (2 if index == 3 else 6)
    )
    if address == NOWHERE:
        return 0  # nothing is stored
    header = read(address, 128)
    if header[:4] != mark:
        raise OddError
    return int(struct.unpack_from("<Q", header, place)[0])


def _messages(read: Read, address: int) -> Iterator[tuple[int, bytes]]:
    """Yield kinds and contents of the messages of an object header."""
    data = read(address, HEADER)
    if data[:4] == b"OHDR":
        flags = data[5]
        start = 6 + 16 * bool(flags & 32) + 4 * bool(flags & 16)
        width = 1 << (flags & 3)
        size = int.from_bytes(data[start : start + width], "little")
        start += width
        head, long = 4 + 2 * bool(flags & 4), "<BH"
        marked = True
    else:
        (size,) = struct.unpack_from("<8xI", data)
        start, head, long = 16, 8, "<HH"
        marked = False
    blocks = [(address + start, size)]
    total = 0
    for number, (where, size) in enumerate(blocks):
        total += size
        if total > MOST_HEADER or number >= MOST_BLOCKS:
            raise OddError
        at = where - address
        inside = at >= 0 and at + size <= len(data)
        block = data[at : at + size] if inside else read(where, size)
        if number and marked:
            block = block[4:-4]  # mark and checksum
        place = 0
        while place + head <= len(block):
            kind, length = struct.unpack_from(long, block, place)
            content = block[place + head : place + head + length]
            place += head + length
            if kind == CONTINUATION:
                blocks.append(struct.unpack_from("<QQ", content))
            else:
                yield kind, content
