"""What the indices of a group claim, looked at before HDF5 lists or looks up members.

HDF5 follows a tree that leads back to itself until the process dies, and takes a heap
of names for what it should be. (The structures are those of the HDF5 file format
specification.)
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from typing import Any

from .newer_trees import tree_header
from .object_headers import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    LINK_INFO,
    NOWHERE,
    SYMBOL_TABLE,
    OddError,
    Read,
    messages,
)

MOST_NODES = 2**20
"""Nodes of the tree of a group: each has 16 members at the least, mostly."""

MOST_NAMES = 2**28
"""Bytes of all names of a group."""

_ATTRIBUTE_VERSIONS = (b"\1", b"\2", b"\3")


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
        See `object_headers.Read`.
    """
    found, _ = messages(group, read, _LISTING)
    return _all_fit(found, read, _LISTING)


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

    checks = {SYMBOL_TABLE: members_fit, **_NEWER}
    found, _ = messages(group, read, checks)
    return _all_fit(found, read, checks)


def attributes_in_header(group: Any, read: Read) -> dict[bytes, bytes] | None:
    """Return the values of attributes in the header of a group, by name, as stored.

    More bytes may follow a value. None at all of a header that is not understood.

    Parameters
    ----------
    group, read
        See `lists_safely`.

    Returns
    -------
    dict or None
        None if HDF5 would go astray when it looks up attributes.
    """
    found, understood = messages(group, read, (ATTRIBUTE, ATTRIBUTE_INFO))
    if not _all_fit(found, read, _NEWER):
        return None
    values: dict[bytes, bytes] = {}
    for kind, message in found if understood else ():
        if kind == ATTRIBUTE and message[:1] in _ATTRIBUTE_VERSIONS:
            version, place = message[0], 9 if message[0] == 3 else 8
            name = message[place:].split(b"\0", 1)[0]
            try:
                sizes = struct.unpack_from("<3H", message, 2)
            except struct.error:
                continue
            # Name, type and space; in the first version each is padded to 8 bytes.
            padding = 7 if version == 1 else 0
            for size in sizes:
                place += (size + padding) & ~padding
            if sizes[0] == len(name) + 1:
                values.setdefault(name, message[place:])
    return values


def _all_fit(
    found: list[tuple[int, bytes]],
    read: Read,
    checks: dict[int, Callable[[Read, bytes], bool]],
) -> bool:
    try:
        for kind, data in found:
            if kind in checks and not checks[kind](read, data):
                return False
    except (struct.error, IndexError, OddError):
        pass  # HDF5 says what is wrong
    return True


def _members_fit(read: Read, message: bytes) -> bool:
    """Tell whether members are in a tree, their names in a heap, in ascending order."""
    tree, heap = struct.unpack_from("<QQ", message)
    lowest = _lowest_nodes(read, tree, MOST_NODES)
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
        for child in _children(read, *node):
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
    return all(tree == NOWHERE or tree_header(read, tree) for tree in trees)


_NEWER: dict[int, Callable[[Read, bytes], bool]] = {
    LINK_INFO: lambda read, message: _newer_trees_fit(read, message, "8x"),
    ATTRIBUTE_INFO: lambda read, message: _newer_trees_fit(read, message, "2x"),
}
_LISTING = {SYMBOL_TABLE: _members_fit, **_NEWER}


def _lowest_nodes(read: Read, root: int, most: int) -> list[tuple[int, int]] | None:
    """Return the lowest nodes of the tree of a group, and how many children each has.

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
            if head != [b"TREE", 0, level]:
                return None
            counts.append(count)
            if level:
                children += _children(read, node, count)
                if len(children) > most:
                    return None
        if not level:
            return list(zip(nodes, counts, strict=True))
        nodes, level = children, level - 1
        if len(set(nodes)) < len(nodes):
            return None


def _children(read: Read, node: int, count: int) -> list[int]:
    """Return where the children of a node of the tree of a group lie."""
    entries = read(node + 24, 16 * count)
    return list(itertools.chain.from_iterable(struct.iter_unpack("<8xQ", entries)))
