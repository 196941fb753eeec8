"""What the chunk index of a dataset claims, looked at before HDF5 lists it.

HDF5 goes through all places that the header of an index claims: a few bytes of a small
file can keep it busy for hours, in one call that nothing interrupts. It follows a tree
that leads back to itself until the process dies. (The structures are those of the HDF5
file format specification.)
"""

from __future__ import annotations

import itertools
import operator
import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .newer_trees import tree_header
from .object_headers import LAYOUT, NOWHERE, OddError, Read, messages

FIXED_ARRAY, EXTENSIBLE_ARRAY, NEWER_TREE = 3, 4, 5
_COUNTS = {
    FIXED_ARRAY: (b"FAHD", 8),
    EXTENSIBLE_ARRAY: (b"EAHD", 44),
}
"""What such an index begins with, and where it says how many places it has."""
_ADDRESS_AFTER = {FIXED_ARRAY: 2, EXTENSIBLE_ARRAY: 6, NEWER_TREE: 7}
"""How far behind the kind of an index a layout message has its address."""

MAX_GRID = 2**24
"""Most positions of chunks in a dataset that are planned here."""

MAX_PLACES = 2**22
"""Most places that an index may claim: HDF5 goes through as many in 0.2 s."""

_Key = tuple[int, ...]
_FIRST, _LAST = operator.itemgetter(0), operator.itemgetter(-1)


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
    finds_all : bool
        Whether the keys on the way to each chunk are as HDF5 wants them when it looks
        for one: it lists others, too, and then finds fewer.
    entries : ndarray or None
        The entries of the lowest nodes of an older tree, with the fields ``size`` (as
        stored), ``mask`` (of filters), ``offset`` (along each axis, the bytes of an
        element come last) and ``address``. None of other kinds of index.
    """

    places: int
    is_tree: bool
    finds_all: bool
    entries: NDArray[np.void] | None = None

    @property
    def is_modest(self) -> bool:
        """Whether HDF5 lists so many places in no time."""
        return self.places <= MAX_PLACES


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
    layouts, understood = messages(h5ds.id, read, (LAYOUT,))
    if not understood:
        return None
    if len(layouts) != 1:  # (HDF5 takes one of several)
        return Claim(0, is_tree=not layouts, finds_all=not layouts)
    ((_, data),) = layouts
    try:
        return _older_tree(read, data, most) or _newer_claim(read, data)
    except (struct.error, IndexError, OddError):
        return None


def _older_tree(read: Read, layout: bytes, most: int) -> Claim | None:
    """Return what the older tree of a layout message claims; None if it has none.

    It is one, of as many chunks as may be, if each level lies below the one before. The
    bytes of an element are the last axis.
    """
    if layout[0] == 3 and layout[1] == 2:
        axes, (address,) = layout[2], struct.unpack_from("<Q", layout, 3)
        heights = struct.unpack_from(f"<{axes}I", layout, 11)
    elif layout[0] < 3 and layout[2] == 2:
        axes, (address,) = layout[1], struct.unpack_from("<Q", layout, 8)
        heights = struct.unpack_from(f"<{axes}I", layout, 16)
    else:
        return None
    kind = np.dtype(
        [
            ("size", "<u4"),
            ("mask", "<u4"),
            ("offset", "<u8", (axes,)),
            ("address", "<u8"),
        ]
    )
    if address == NOWHERE:  # nothing is stored
        return Claim(0, is_tree=True, finds_all=True, entries=np.empty(0, kind))
    if not all(heights):
        raise OddError  # HDF5 says what is wrong
    key = struct.Struct(f"<8x{axes}Q")
    finds_all = True
    # Places, and the keys that those of a node lie between.
    nodes: list[tuple[int, _Key, _Key]] = [(address, (), (NOWHERE + 1,))]
    level = -1
    while True:
        below: list[tuple[int, _Key, _Key]] = []
        parts: list[bytes] = []
        total = 0
        for node, begin, end in nodes:
            mark, found, keys, data = _node_of_chunks(read, node, key)
            level = found if level < 0 else level  # that of the root
            total += len(keys) - 1
            if mark != b"TREE\1" or found != level or total > most:
                return Claim(0, is_tree=False, finds_all=False)
            finds_all = (
                finds_all
                and all(map(operator.lt, keys, keys[1:]))
                and (len(keys) == 1 or (begin <= keys[0] and keys[-2] < end))
                and (level > 0 or not any(map(_LAST, keys[:-1])))
                # (those of chunks are looked at when they are listed)
                and not any(
                    map(
                        operator.mod,
                        itertools.chain.from_iterable(keys if level else keys[-1:]),
                        itertools.cycle(heights),
                    )
                )
            )
            parts.append(data)
            if level:
                children = struct.iter_unpack(f"<{key.size}xQ", data)
                ends = map(min, keys[1:], itertools.repeat(end))
                below += zip(map(_LAST, children), keys, ends, strict=False)
        if not level:
            entries = np.frombuffer(b"".join(parts), kind)
            return Claim(0, is_tree=True, finds_all=finds_all, entries=entries)
        nodes, level = below, level - 1
        if len(set(map(_FIRST, nodes))) < len(nodes):
            return Claim(0, is_tree=False, finds_all=False)


def _node_of_chunks(
    read: Read, node: int, key: struct.Struct
) -> tuple[bytes, int, list[_Key], bytes]:
    """Return mark, level, keys and entries of a node of an older chunk index.

    An entry is a key and the address of a child; one more key follows.
    """
    step = key.size + 8
    data = read(node, 24 + 64 * step + key.size)  # (64 children are usual)
    mark, level, count = struct.unpack_from("<5sBH", data)
    if count > 64:
        data = read(node, 24 + step * count + key.size)
    end = 24 + step * count
    entries = data[24:end]
    firsts = struct.iter_unpack(f"{key.format}8x", entries)
    return mark, level, [*firsts, key.unpack_from(data, end)], entries


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


def _newer_claim(read: Read, layout: bytes) -> Claim:
    """Return what a newer index claims, if there is one."""
    index, place, address = _newer_index(layout)
    places, is_tree = 0, True
    if index in _COUNTS:
        mark, count = _COUNTS[index]
        header = read(address, 128)
        if header[:4] != mark:
            raise OddError
        (places,) = struct.unpack_from("<Q", header, count)
    elif index == NEWER_TREE:
        is_tree = _is_newer_tree(read, layout, place, address)
    return Claim(places, is_tree, finds_all=True)


def _is_newer_tree(read: Read, layout: bytes, place: int, address: int) -> bool:
    """Tell whether the header of a newer tree fits what the layout message says."""
    axes = layout[3] - 1  # (the last one is the bytes of an element)
    promised = struct.unpack_from("<IBB", layout, place + 1)
    found = tree_header(read, address)
    if found is None:
        return False
    # A record has an address and a place along each axis; with filters also the size
    # of the chunk, in 1 to 8 bytes, and the mask.
    longer = found.record - 8 - 8 * axes
    fits = longer == 0 if found.kind == 10 else found.kind == 11 and 5 <= longer <= 12
    return fits and (found.node, found.split, found.merge) == promised
