"""Headers of the newer trees of HDF5: of chunks, of members and of attributes."""

from __future__ import annotations

import struct
from typing import NamedTuple

from .object_headers import MOST_HEADER, Read

MOST_DEPTH = 20
"""Levels of a newer tree: its nodes have dozens of children each."""


class TreeHeader(NamedTuple):
    """What a newer tree says of itself: sizes of nodes and records in bytes, ..."""

    kind: int
    node: int
    record: int
    depth: int
    split: int
    merge: int


def tree_header(read: Read, address: int) -> TreeHeader | None:
    """Return the header of a newer tree; None if HDF5 would take it for granted."""
    mark, *rest = struct.unpack("<4sxBIHHBB", read(address, 16))
    found = TreeHeader(*rest)
    if mark != b"BTHD" or not 2 * found.record < found.node <= MOST_HEADER:
        return None
    return found if found.record and found.depth <= MOST_DEPTH else None
