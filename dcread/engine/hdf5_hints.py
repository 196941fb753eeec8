"""Addresses in HDF5 metadata: what HDF5 is likely to read next.

HDF5 reads one small structure after the other, and each names the next ones. Here
those names are picked out of what passes by, so that they travel together. A hint is
never trusted: a wrong one costs bytes, a missing one a round trip; HDF5 stays the judge
of what the file says. (The structures are those of the HDF5 file format specification.)
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

MOST = 4096
"""Hints that are kept at a time."""

HEADER = 512
NODE = 544
SYMBOLS = 328
LARGE = 2**16
"""Bytes of an object header, a node of a group's tree, a list of symbols, at a guess;
and the most that is fetched on a hint."""

FOLLOWED = 20_000
"""Structures that are looked into at the most, in all."""

UNDEFINED = 2**64 - 1
"""The address of what is not stored."""

SCANNED = 8192
"""Bytes of a structure that was found by its signature."""

NEAR = 4096
BEHIND = 3 * 2**18
"""Bytes between headers that were written together, and bytes behind them that are
fetched along, in all: small datasets were mostly written right after their headers."""


Read: TypeAlias = Callable[[int, int], bytes | None]


class _Array(NamedTuple):
    """How the blocks of an extensible array look like."""

    skipped: int
    entry_bytes: int
    offset_bytes: int


class Hints:
    """Places that HDF5 will probably read.

    Parameters
    ----------
    size : int
        Bytes of the file: what lies beyond is no place.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._base = 0
        self._wanted: dict[int, int] = {}
        self._missing: dict[int, int] = {}
        self._taken: list[tuple[int, int]] = []
        self._seen: set[int] = set()
        self._headers: set[int] = set()
        self._listed: set[int] = set()
        self._rows = 0
        self._behind = BEHIND
        self._continued: set[int] = set()
        self._arrays: dict[int, _Array] = {}
        self._trees: dict[int, tuple[int, int, int, int]] = {}
        self._heaps: dict[int, int] = {}
        self._scanned = 0
        self._has_signatures = True

    def follow(self, read: Read) -> bool:
        """Look into all places that are here; tell whether some are not.

        Parameters
        ----------
        read : callable
            ``read(start, stop)`` returns the bytes of a place that is here, else None.
        """
        taken, self._taken = self._taken, []
        for start, stop in taken:  # by now they have arrived
            data = read(start, stop)
            if data is not None:
                self.look_at(start, data)
        self._wanted.update(self._missing)
        self._missing = {}
        while self._wanted and len(self._seen) < FOLLOWED:
            start, stop = self._wanted.popitem()
            data = read(start, stop)
            if data is None:
                self._missing[start] = stop
            else:
                self.look_at(start, data)
        return bool(self._missing)

    def take(self, read: Read, limit: int) -> list[tuple[int, int]]:
        """Return places (start, stop) that are not here yet, and forget them.

        Parameters
        ----------
        read : callable
            As for `follow`, which is done before.
        limit : int
            How many bytes to return at the most.
        """
        self.follow(read)
        missing, self._missing = self._missing, {}
        self._add_small_datasets(missing)
        room = limit
        for start, stop in sorted(missing.items()):
            room -= stop - start
            if room < 0:
                self._wanted[start] = stop  # the next time
            else:
                self._taken.append((start, stop))
        return list(self._taken)

    def _add_small_datasets(self, missing: dict[int, int]) -> None:
        """Extend the places of headers by what probably lies behind them.

        That is a number for each event, for each header of a group of the old kind;
        how many events there are is known from what has arrived.
        """
        together: list[int] = []
        for start in sorted(missing.keys() & self._listed):
            if together and start - together[-1] > NEAR:
                self._extend(missing, together)
                together = []
            together.append(start)
        self._extend(missing, together)

    def _extend(self, missing: dict[int, int], headers: list[int]) -> None:
        size = 8 * self._rows * len(headers) + NEAR
        if headers and self._rows and size <= self._behind:
            self._behind -= size
            last = headers[-1]
            missing[last] = min(missing[last] + size, self._size)

    def scan(self, at: int, data: bytes) -> None:
        """Look for structures in bytes that begin at byte `at`, before HDF5 asks.

        In files of the newer format: what can be told by its signature is part of it.
        """
        if at == 0 and data.startswith(_FORMAT):
            self._has_signatures = data[8:9] >= b"\x02"
        if not self._has_signatures:
            return
        # By NumPy: the regular expression alone takes a third more time.
        letters = np.frombuffer(data, np.uint8)
        places = np.flatnonzero(letters[:-1] == _H)
        after = letters[places + 1]
        for place in places[(after == _D) | (after == _P)].tolist():
            match = _SIGNATURE.match(data, place)
            if match is None:
                continue
            start = place - (1 if match[0].endswith(b"\x02") else 2)
            if data[start : start + 4] in _LOOKS and self._scanned < FOLLOWED:
                self._scanned += 1
                self._look(at + start, data[start : start + SCANNED])

    def look_at(self, at: int, data: bytes) -> None:
        """Pick the addresses out of a structure that lies at byte `at`."""
        if at not in self._seen:
            self._seen.add(at)
            self._look(at, data)

    def _look(self, at: int, data: bytes) -> None:
        look = _LOOKS.get(data[:4])
        try:
            if look is not None:
                look(self, at, data)
            elif data[:8] == _FORMAT:
                self._superblock(at, data)
            elif at in self._continued:
                self._messages_1(data, 0)
            elif data[:2] == b"\x01\x00" and at in self._headers:
                self._messages_1(data, 16)
        except (struct.error, IndexError):
            return  # it was something else, or is damaged: HDF5 will say

    def _hint(self, address: int, size: int) -> int:
        """Note a place; return where it lies in the file."""
        at = address + self._base
        size = max(1, min(size, LARGE, self._size - at))
        if 0 < at < self._size and at not in self._seen and len(self._wanted) < MOST:
            self._wanted[at] = at + size
        return at

    def _hint_header(self, address: int) -> int:
        at = self._hint(address, HEADER)
        self._headers.add(at)
        return at

    def _superblock(self, at: int, data: bytes) -> None:
        if data[8] < 2:
            start = 24 + 4 * (data[8] == 1)
            self._base = at  # what the file says of it may be wrong
            header, kind, tree, heap = struct.unpack_from("<8xQI4xQQ", data, start + 32)
            self._hint_header(header)
            if kind == 1:
                self._hint(tree, NODE)
                self._hint(heap, 128)
        else:
            self._base = at
            self._hint_header(struct.unpack_from("<Q", data, 36)[0])

    # -- groups of the old kind, and their chunk index

    def _tree(self, _at: int, data: bytes) -> None:
        kind, level, count = struct.unpack_from("<BBH", data, 4)
        if kind == 0:
            for number in range(min(count, 1024)):
                (child,) = struct.unpack_from("<Q", data, 32 + 16 * number)
                self._hint(child, len(data) if level else SYMBOLS)
        elif level:
            fan_out = 32  # of chunk indices; HDF5 reads whole nodes
            key = (len(data) - 24 - 16 * fan_out) // (2 * fan_out + 1)
            for number in range(min(count, 2 * fan_out)):
                place = 24 + key + number * (key + 8)
                self._hint(struct.unpack_from("<Q", data, place)[0], len(data))

    def _symbols(self, _at: int, data: bytes) -> None:
        (count,) = struct.unpack_from("<H", data, 6)
        for number in range(count):
            place = 8 + 40 * number
            header, kind, tree, heap = struct.unpack_from("<8xQI4xQQ", data, place)
            self._listed.add(self._hint_header(header))
            if kind == 1:
                self._hint(tree, NODE)
                self._hint(heap, 128)

    def _local_heap(self, _at: int, data: bytes) -> None:
        size, _, address = struct.unpack_from("<QQQ", data, 8)
        self._hint(address, size)

    # -- object headers

    def _header_2(self, _at: int, data: bytes) -> None:
        flags = data[5]
        width = 1 << (flags & 3)
        start = 6 + 16 * bool(flags & 32) + 4 * bool(flags & 16) + width
        stop = start + int.from_bytes(data[start - width : start], "little") + 4
        self._messages_2(data[:stop], start, 4 + 2 * bool(flags & 4))

    def _header_2_more(self, _at: int, data: bytes) -> None:
        self._messages_2(data, 4, 4)  # (6 where creation order is kept: then no hints)

    def _messages_2(self, data: bytes, place: int, head: int) -> None:
        while place + head < len(data) - 4:
            kind, size = struct.unpack_from("<BH", data, place)
            self._message(kind, data[place + head : place + head + size], plain=False)
            place += head + size

    def _messages_1(self, data: bytes, place: int) -> None:
        while place + 8 < len(data):
            kind, size = struct.unpack_from("<HH", data, place)
            self._message(kind, data[place + 8 : place + 8 + size], plain=True)
            place += 8 + size

    def _message(self, kind: int, data: bytes, *, plain: bool) -> None:
        if kind == 0x01 and data[1]:  # a dataspace
            (rows,) = struct.unpack_from("<Q", data, 8 if data[0] == 1 else 4)
            self._rows = max(self._rows, rows)
        elif kind == 0x10:  # the header goes on elsewhere
            address, size = struct.unpack_from("<QQ", data)
            at = self._hint(address, size)
            if plain:
                self._continued.add(at)
        elif kind == 0x11:  # a group of the old kind
            tree, heap = struct.unpack_from("<QQ", data)
            self._hint(tree, NODE)
            self._hint(heap, 128)
        elif kind in {0x02, 0x15}:  # links, attributes kept elsewhere
            width = 8 if kind == 0x02 else 2
            place = 2 + width * (data[1] & 1)
            heap, tree = struct.unpack_from("<QQ", data, place)
            self._hint(heap, 256)
            self._hint(tree, 64)
        elif kind == 0x06:
            self._link(data)
        elif kind == 0x08:
            self._layout(data)
        elif kind == 0x0C:
            self._attribute(data)

    def _link(self, data: bytes) -> int:
        """Note the target of a link; return how long its message is."""
        flags = data[1]
        place = 2 + bool(flags & 8) + 8 * bool(flags & 4) + bool(flags & 16)
        width = 1 << (flags & 3)
        place += width + int.from_bytes(data[place : place + width], "little")
        if not flags & 8:
            self._hint_header(struct.unpack_from("<Q", data, place)[0])
        return place + 8

    def _layout(self, data: bytes) -> None:
        version, kind = data[0], data[1]
        if kind != 2:
            return
        if version == 3:
            rank = data[2]
            (address,) = struct.unpack_from("<Q", data, 3)
            self._hint(address, 24 + 512 + 65 * (8 + 8 * rank))
        elif version == 4:
            self._hint(struct.unpack_from("<Q", data, len(data) - 8)[0], 128)

    def _attribute(self, data: bytes) -> None:
        """Note where the text of an attribute of variable length lies."""
        version = data[0]
        sizes = struct.unpack_from("<HHH", data, 2)
        place = 8 + (version == 3)
        if version == 1:
            sizes = tuple(-(-size // 8) * 8 for size in sizes)
        kind = data[place + sizes[0]] & 15
        if kind == 9:
            (address,) = struct.unpack_from("<4xQ", data, place + sum(sizes))
            self._hint(address, 4096)

    # -- indices and heaps of the new kind

    def _fixed_array(self, _at: int, data: bytes) -> None:
        entry, count, address = struct.unpack_from("<6xBxQQ", data)
        self._hint(address, min(LARGE, 32 + entry * min(count, LARGE)))

    def _extensible_array(self, _at: int, data: bytes) -> None:
        entry, bits, inline = data[6], data[7], data[8]
        (address,) = struct.unpack_from("<Q", data, 60)
        at = self._hint(address, 4096)
        array = _Array(inline * entry, entry, -(-bits // 8))
        self._arrays[at] = self._arrays[address] = array

    def _index_block(self, at: int, data: bytes) -> None:
        array = self._arrays.get(at)
        if array is not None:
            self._addresses(data, 14 + array.skipped, array)

    def _super_block(self, _at: int, data: bytes) -> None:
        for array in self._arrays.values():
            self._addresses(data, 14 + array.offset_bytes, array)
            return

    def _addresses(self, data: bytes, place: int, array: _Array) -> None:
        for where in range(place, len(data) - 7, 8):
            (address,) = struct.unpack_from("<Q", data, where)
            if address == UNDEFINED:
                continue
            if not 0 < address + self._base < self._size:
                return  # the checksum behind the last address
            self._arrays.setdefault(self._hint(address, 8192), array)

    def _tree_2(self, _at: int, data: bytes) -> None:
        node, record, depth, root, count = struct.unpack_from("<6xIHH2xQH", data)
        self._trees[self._hint(root, node)] = (node, record, depth, count)

    def _tree_2_node(self, at: int, data: bytes) -> None:
        node, record, depth, count = self._trees.get(at, (0, 0, 0, 0))
        if depth != 1:
            return
        most = max(1, (node - 10) // max(1, record))
        step = 8 + -(-most.bit_length() // 8)
        for number in range(count + 1):
            place = 6 + record * count + step * number
            self._hint(struct.unpack_from("<Q", data, place)[0], node)

    def _fractal_heap(self, _at: int, data: bytes) -> None:
        (start,) = struct.unpack_from("<Q", data, 112)
        bits, _, root, rows = struct.unpack_from("<HHQH", data, 128)
        at = self._hint(root, 4096 if rows else start)
        self._heaps[at] = -(-bits // 8)

    def _heap_table(self, at: int, data: bytes) -> None:
        offset = self._heaps.get(at, 4)
        for place in range(13 + offset, len(data) - 7, 8):
            child = self._hint(struct.unpack_from("<Q", data, place)[0], 4096)
            self._heaps.setdefault(child, offset)

    def _heap_block(self, at: int, data: bytes) -> None:
        """Note the targets of links that are kept in a heap."""
        place = 13 + self._heaps.get(at, 4)
        for start in (place + 4, place):
            if data[start : start + 1] == b"\x01":
                while data[start : start + 1] == b"\x01" and start + 12 < len(data):
                    start += self._link(data[start:])  # noqa: PLW2901
                return


_FORMAT = b"\x89HDF\r\n\x1a\n"

_SIGNATURE = re.compile(rb"H(?:DR\x02|[DP]\0)")
"""What structures have that tell what they are, wherever they lie: OHDR of version 2,
FRHP, BTHD, EAHD and FAHD of version 0, each from its H on."""

_H, _D, _P = b"HDP"

_LOOKS: dict[bytes, Callable[[Hints, int, bytes], None]] = {
    b"TREE": Hints._tree,
    b"SNOD": Hints._symbols,
    b"HEAP": Hints._local_heap,
    b"OHDR": Hints._header_2,
    b"OCHK": Hints._header_2_more,
    b"FAHD": Hints._fixed_array,
    b"EAHD": Hints._extensible_array,
    b"EAIB": Hints._index_block,
    b"EASB": Hints._super_block,
    b"BTHD": Hints._tree_2,
    b"BTIN": Hints._tree_2_node,
    b"FRHP": Hints._fractal_heap,
    b"FHIB": Hints._heap_table,
    b"FHDB": Hints._heap_block,
}
