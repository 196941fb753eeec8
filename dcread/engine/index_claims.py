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

MOST_NAMES = 2**28
"""Bytes of all names of a group."""

CONTINUATION, LAYOUT, SYMBOL_TABLE = 0x10, 0x08, 0x11
LINK_INFO, ATTRIBUTE_INFO = 0x02, 0x15
FIXED_ARRAY, EXTENSIBLE_ARRAY, NEWER_TREE = 3, 4, 5
_COUNTS = {
    FIXED_ARRAY: (b"FAHD", 8),
    EXTENSIBLE_ARRAY: (b"EAHD", 44),
}
"""What such an index begins with, and where it says how many places it has."""
_ADDRESS_AFTER = {FIXED_ARRAY: 2, EXTENSIBLE_ARRAY: 6, NEWER_TREE: 7}
"""How far behind the kind of an index a layout message has its address."""

MOST_DEPTH = 20
"""Levels of a newer tree: its nodes have dozens of children each."""

MAX_GRID = 2**24
"""Most positions of chunks: to list few among more takes HDF5 minutes."""

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
        one that leads back to itself until its stack overflows. Of a newer tree, of
        which each node has a checksum, only the header is looked at: HDF5 takes memory
        for nodes as large as it says.
    """

    places: int
    is_tree: bool

    @property
    def is_modest(self) -> bool:
        """Whether HDF5 lists so many places in no time."""
        return self.places <= MAX_GRID


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
                is_tree = is_tree and _is_newer_tree(read, data)
    except (struct.error, IndexError, OddError):
        return None
    return Claim(places, is_tree)


def lists_safely(group: Any, read: Read) -> bool:
    """Tell whether HDF5 can list members and attributes without going astray.

    The tree of members has to be one, their names have to lie in the heap of the group
    in ascending order, and newer trees must not claim huge nodes. The caller holds the
    h5py lock.

    Parameters
    ----------
    group : h5py.h5g.GroupID
        The group.
    read : callable
        See `claim_of`.
    """
    return _all_fit(group, read, {SYMBOL_TABLE: _members_fit, **_NEWER})


def looks_up_safely(group: Any, read: Read, most: int) -> bool:
    """Tell it before single members are looked up, without reading much.

    Parameters
    ----------
    group, read
        See `lists_safely`.
    most : int
        Bytes of names up to which all members are looked at. Of a larger group it is
        only seen whether its names begin as they do in each group: those of a heap
        that lies elsewhere belong to other members.
    """

    def members_fit(read: Read, message: bytes) -> bool:
        size, _, start = _heap_of(read, struct.unpack_from("<QQ", message)[1])
        if size <= most:
            return _members_fit(read, message)
        # The empty name, and then another one, or what is free, which is not all zero.
        begin = read(start, 16)
        return begin[:1] == b"\0" and any(begin[8:])

    return _all_fit(group, read, {SYMBOL_TABLE: members_fit, **_NEWER})


def attributes_fit(group: Any, read: Read) -> bool:
    """Tell whether HDF5 can look up attributes without going astray.

    Parameters
    ----------
    group, read
        See `lists_safely`.
    """
    return _all_fit(group, read, {ATTRIBUTE_INFO: _NEWER[ATTRIBUTE_INFO]})


def _all_fit(
    group: Any, read: Read, checks: dict[int, Callable[[Read, bytes], bool]]
) -> bool:
    low, high = h5g.get_objinfo(group).objno
    try:
        return all(
            checks[kind](read, data)
            for kind, data in _messages(read, low | high << _LONG)
            if kind in checks
        )
    except (struct.error, IndexError, OddError):
        return True  # HDF5 says what is wrong


def _members_fit(read: Read, message: bytes) -> bool:
    """Tell whether members are in a tree, their names in a heap, in ascending order."""
    tree, heap = struct.unpack_from("<QQ", message)
    lowest = _lowest_nodes(read, tree, 0, 16, MOST_NODES)
    if lowest is None:
        return False
    size, free, start = _heap_of(read, heap)
    if size > MOST_NAMES:
        return False
    names = read(start, size)
    if len(names) < size or names[:1] != b"\0" or not _free_fits(names, free):
        return False
    before = b""
    for node in lowest:  # (place and number of children)
        for child in _children(read, *node, 16):
            part = read(child, 328)  # (eight members, as many as there mostly are)
            (count,) = struct.unpack_from("<H", part, 6)
            if part[:5] != b"SNOD\1":
                return False
            if count > 8:
                part += read(child + 328, 40 * (count - 8))
            for (place,) in struct.iter_unpack("<Q32x", part[8 : 8 + 40 * count]):
                end = names.find(b"\0", place)
                name = names[place:end]
                if end < 0 or name <= before:
                    return False
                before = name
    return True


def _free_fits(names: bytes, place: int) -> bool:
    """Tell whether the list of what is free in a heap ends, within the heap."""
    for _ in range(len(names) // 16 + 1):
        if place == 1:  # the end
            return True
        if place + 16 > len(names):
            return False
        place, size = struct.unpack_from("<QQ", names, place)
        if not place or size > len(names):
            return False
    return False


def _heap_of(read: Read, heap: int) -> tuple[int, int, int]:
    """Return size of the names of a group, where free bytes begin, and the address."""
    mark, size, free, start = struct.unpack("<4s4xQQQ", read(heap, 32))
    if mark != b"HEAP":
        raise OddError
    return size, free, start


def _newer_trees_fit(read: Read, message: bytes, wide: str) -> bool:
    """Tell whether the trees by name, and by order, have headers that can be."""
    flags = message[1]
    form = "<2x" + wide * (flags & 1) + "8xQ" + "Q" * bool(flags & 2)
    trees = struct.unpack_from(form, message)
    return all(tree == NOWHERE or _tree_header(read, tree) for tree in trees)


_NEWER: dict[int, Callable[[Read, bytes], bool]] = {
    LINK_INFO: lambda read, message: _newer_trees_fit(read, message, "8x"),
    ATTRIBUTE_INFO: lambda read, message: _newer_trees_fit(read, message, "2x"),
}


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
    return _lowest_nodes(read, address, 1, 16 + 8 * axes, most) is not None


def _lowest_nodes(
    read: Read, root: int, kind: int, step: int, most: int
) -> list[tuple[int, int]] | None:
    """Return the lowest nodes of a tree, and how many children each has.

    None if a node does not lie below another.
    """
    first = read(root, 8)
    nodes, level = [root], first[5]
    while True:
        children: list[int] = []
        counts: list[int] = []
        for node in nodes:
            *head, count = struct.unpack("<4sBBH", first or read(node, 8))
            first = b""
            if head != [b"TREE", kind, level]:
                return None
            counts.append(count)
            if level:
                children += _children(read, node, count, step)
        if not level:
            return list(zip(nodes, counts, strict=True))
        nodes, level = children, level - 1
        if len(nodes) > most or len(set(nodes)) < len(nodes):
            return None


def _children(read: Read, node: int, count: int, step: int) -> list[int]:
    """Return where the children of a node of a tree lie."""
    entries = read(node + 24, step * count)
    return [one for (one,) in struct.iter_unpack(f"<{step - 8}xQ", entries)]


class OddError(Exception):
    """A structure that is not as it should be."""


def _newer_index(layout: bytes) -> tuple[int, int, int]:
    """Return the kind of a newer index, its place in the message, and its address.

    The kind is 0 if there is none, or nothing is stored.
    """
    version, kind, _, axes, width = struct.unpack_from("<5B", layout)
    if version < 4 or kind != 2:
        return 0, 0, NOWHERE
    place = 5 + axes * width
    index = layout[place]
    if index not in _ADDRESS_AFTER:
        return 0, place, NOWHERE
    (address,) = struct.unpack_from("<Q", layout, place + _ADDRESS_AFTER[index])
    return (0 if address == NOWHERE else index), place, address


def _places(read: Read, layout: bytes) -> int:
    """Return how many places the index of a layout message claims."""
    index, _, address = _newer_index(layout)
    if index not in _COUNTS:
        return 0
    mark, place = _COUNTS[index]
    header = read(address, 128)
    if header[:4] != mark:
        raise OddError
    return int(struct.unpack_from("<Q", header, place)[0])


def _is_newer_tree(read: Read, layout: bytes) -> bool:
    """Tell whether the header of a newer tree fits what the layout message says."""
    index, place, address = _newer_index(layout)
    if index != NEWER_TREE:
        return True
    axes = layout[3] - 1  # (the last one is the bytes of an element)
    promised = struct.unpack_from("<IBB", layout, place + 1)
    found = _tree_header(read, address)
    if found is None:
        return False
    # A record has an address and a place along each axis; with filters also the size
    # of the chunk, in 1 to 8 bytes, and the mask.
    longer = found.record - 8 - 8 * axes
    fits = longer == 0 if found.kind == 10 else found.kind == 11 and 5 <= longer <= 12
    return fits and (found.node, found.split, found.merge) == promised


class _TreeHeader(NamedTuple):
    """What a newer tree says of itself: sizes of nodes and records in bytes, ..."""

    kind: int
    node: int
    record: int
    depth: int
    split: int
    merge: int


def _tree_header(read: Read, address: int) -> _TreeHeader | None:
    """Return the header of a newer tree; None if HDF5 would take it for granted."""
    mark, *rest = struct.unpack("<4sxBIHHBB", read(address, 16))
    found = _TreeHeader(*rest)
    if mark != b"BTHD" or not 2 * found.record < found.node <= MOST_HEADER:
        return None
    return found if found.record and found.depth <= MOST_DEPTH else None


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
