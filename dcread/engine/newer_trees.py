"""The newer trees of HDF5: of chunks, of members and of attributes."""

from __future__ import annotations

import struct
from typing import NamedTuple

from .object_headers import MOST_HEADER, NOWHERE, OddError, Read

MOST_DEPTH = 20
"""Levels of a newer tree: its nodes have dozens of children each."""

MOST_BYTES = 2**28
"""Bytes of the upper nodes of a tree, each of which has a page of records below it."""

_FRAME = 10
"""Bytes of a node besides records and children: mark, version, kind, checksum."""


class TreeHeader(NamedTuple):
    """What a newer tree says of itself: sizes of nodes and records in bytes, ..."""

    kind: int
    node: int
    record: int
    depth: int
    split: int
    merge: int
    root: int
    records: int


def tree_header(read: Read, address: int) -> TreeHeader | None:
    """Return the header of a newer tree; None if it is none that HDF5 survives.

    HDF5 takes memory for nodes as large as the header says, and believes its parents
    how many records a node has.
    """
    mark, *rest = struct.unpack("<4sxBIHHBBQH", read(address, 26))
    found = TreeHeader(*rest)
    if mark != b"BTHD" or not 2 * found.record < found.node <= MOST_HEADER:
        return None
    if not found.record or found.depth > MOST_DEPTH or not _nodes_fit(read, found):
        return None
    return found


def _nodes_fit(read: Read, tree: TreeHeader) -> bool:
    """Tell whether no node has more records than there is room, nor leads upwards.

    The lowest nodes are not read: those above tell how many records they have.
    """
    if tree.root == NOWHERE:
        return not tree.records
    most, below = [(tree.node - _FRAME) // tree.record], [0]
    narrow = _width(most[0])
    pointers = [0]
    total = most[0]
    for _ in range(tree.depth):
        pointer = 8 + narrow + below[-1]
        most.append((tree.node - _FRAME - pointer) // (tree.record + pointer))
        total = (most[-1] + 1) * total + most[-1]
        pointers.append(pointer)
        below.append(_width(total))
    nodes = [(tree.root, tree.records)]
    budget = MOST_BYTES
    for depth in range(tree.depth, -1, -1):
        if max(count for _, count in nodes) > most[depth]:
            return False
        if not depth:
            return True
        budget -= len(nodes) * tree.node
        if budget < 0 or len({node for node, _ in nodes}) < len(nodes):
            return False
        children: list[tuple[int, int]] = []
        for node, count in nodes:
            data = read(node, tree.node)
            if data[:4] != b"BTIN":
                raise OddError  # HDF5 says what is wrong
            start, step = 6 + count * tree.record, pointers[depth]
            for place in range(start, start + (count + 1) * step, step):
                (child,) = struct.unpack_from("<Q", data, place)
                number = data[place + 8 : place + 8 + narrow]
                children.append((child, int.from_bytes(number, "little")))
        nodes = children
    return True


def _width(number: int) -> int:
    """Return how many bytes HDF5 takes for numbers up to one."""
    return max(1, (number.bit_length() + 7) // 8)
