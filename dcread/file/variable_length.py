"""Values of variable length, read without HDF5.

HDF5 takes memory for as much as an element claims, reads the whole heap that it lies
in, and trusts both; a damaged heap can keep it busy for ever. So the values are read
from the bytes of the file: an element is a length and a place in a heap. The elements
of an attribute are in the header of its group; those of many attributes may lie
elsewhere, in what HDF5 reads to open one, which is listened to then.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5fd, h5g, h5i, h5p

from ..engine import DatasetReader
from ..engine.global_heap import heap_objects
from ..engine.h5py_errors import call_holding_lock, close_file
from ..engine.object_headers import OddError
from ..engine.source import ByteSource, SourceStream
from ..engine.stored_types import LENGTH_AND_NUMBER, in_file
from ..errors import FormatError
from ..sync.locks import h5_lock
from .links import STRICT

if TYPE_CHECKING:
    from ..engine import FileHandle
    from ..engine.name_resolver import Place
    from ..engine.parallel_reads import Sink

MOST_RECORDED = 1 << 24
"""Bytes that opening an attribute may read."""

_MOST_HEAPS = 1000

_LENGTH = operator.itemgetter(0)


class VariableLengths:
    """Values of variable length in a file: text of attributes, logs and definitions.

    Those of a file that somebody writes, or that is not read by its bytes, are left to
    HDF5: the caller opened it, and HDF5 knows more of it than its bytes tell.

    Parameters
    ----------
    handle : FileHandle
        The open file; it must stay in use as long as this is.
    """

    def __init__(self, handle: FileHandle) -> None:
        self.handle = handle
        # None: HDF5 reads the values.
        self._source = handle.source
        if handle.metadata is not None:
            self._source = _Blocks(handle.label, handle.size, handle.metadata.look)
        self._h5: h5py.File | None = None
        self._stream: _Recorder | None = None
        self._group: tuple[bytes, h5g.GroupID] | None = None
        self._header: tuple[h5g.GroupID, dict[bytes, bytes]] | None = None
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}
        self._block = 0, b""  # what was read of a heap last, and where

    def of_attribute(
        self, group: h5g.GroupID, name: bytes, count: int, item: int, limit: int
    ) -> list[bytes] | None:
        """Return the values of an attribute; None: HDF5 may read them.

        The caller holds the h5py lock.

        Parameters
        ----------
        group : h5py.h5g.GroupID
            The group, or the file, that has it.
        name : bytes
            Its name.
        count : int
            Its number of elements.
        item : int
            The bytes of what an element has a variable number of.
        limit : int
            How many bytes there may be.

        Raises
        ------
        FormatError
            If there are more, or an element leads nowhere.
        """
        if self._source is None:
            return None
        nbytes = count * (LENGTH_AND_NUMBER + self.handle.numbering.address_bytes)
        if self._header is None or self._header[0] != group:
            self._header = group, self.handle.attributes_of(group)
        stored = self._header[1].get(name)
        if stored is not None and len(stored) >= nbytes:
            return self.of_elements(stored[:nbytes], item, limit)
        h5a.open(self._twin(group), name)
        assert self._stream is not None
        found: set[bytes] = set()
        for data in self._stream.pieces():
            found.update(_values_of(data, name, nbytes))
        if not found:
            raise FormatError(
                "the length of its text cannot be told before it is read; read it with "
                "h5py if it is wanted"
            )
        values = None
        for raw in found:
            values = self.of_elements(raw, item, limit)
        # An attribute that was written again may have left its old value behind.
        return values if len(found) == 1 else None

    def of_dataset(self, place: Place, limit: int) -> list[bytes] | None:
        """Return the texts in a dataset, in rows; None: HDF5 may read them.

        Parameters
        ----------
        place : Place
            The open dataset, not virtual.
        limit : int
            How many bytes there may be.

        Raises
        ------
        FormatError
            As `of_attribute`.
        """
        if self._source is None or place.handle is not self.handle:
            return None
        size = LENGTH_AND_NUMBER + self.handle.numbering.address_bytes
        raw = self._stored(place, size, limit)
        return self.of_elements(raw, 1, limit)

    def check_columns(self, place: Place, limit: int) -> int:
        """Look at the values of variable length of a table before HDF5 reads them.

        Parameters
        ----------
        place : Place
            The open dataset, in the file of the handle.
        limit : int
            How many bytes they may have.

        Returns
        -------
        int
            How many bytes they have; 0 if HDF5 has to be trusted.

        Raises
        ------
        FormatError
            As `of_attribute`.
        """
        with h5_lock:
            size = LENGTH_AND_NUMBER + self.handle.numbering.address_bytes
            width, spots = in_file(place.id.get_type(), size)
        if self._source is None or not spots:
            return 0
        raw = self._stored(place, width, limit)
        rows = np.frombuffer(raw, np.uint8).reshape(-1, width)
        total = 0
        for start, item in spots:
            elements = rows[:, start : start + size].tobytes()
            total += sum(map(len, self.of_elements(elements, item, limit - total)))
        return total

    def _stored(self, place: Place, width: int, limit: int) -> bytes:
        """Return the elements of a dataset as they are in the file."""
        assert self._source is not None
        with h5_lock:
            plist, shape = place.id.get_create_plist(), place.id.shape
            nbytes = math.prod(shape) * width
            if nbytes > 16 * limit:
                raise _too_long(nbytes, 16 * limit)
            if plist.get_layout() == h5d.CONTIGUOUS and not plist.get_external_count():
                address = place.id.get_offset()
                if address is None:  # never written
                    return bytes(nbytes)
                if self.handle.shifts_addresses:
                    address += self.handle.numbering.userblock
                return self._source.read(address, nbytes)
        elements = None
        if shape:
            reader = DatasetReader(self.handle, h5py.Dataset(place.id))
            elements = reader.elements(width)
        if elements is None:
            raise FormatError(
                "the lengths of its texts cannot be told before they are read; read it "
                "with h5py if it is wanted"
            )
        return elements.tobytes()

    def of_elements(self, raw: bytes, item: int, limit: int) -> list[bytes]:
        """Return values, given their elements as they are in the file.

        Raises
        ------
        FormatError
            As `of_attribute`.
        """
        assert self._source is not None
        base, address_bytes, _ = self.handle.numbering
        elements = list(struct.iter_unpack(f"<I{address_bytes}sI", raw))
        total = sum(map(_LENGTH, elements)) * item
        if total > limit:
            raise _too_long(total, limit)
        values = []
        for length, place, index in elements:
            if not (length or index or any(place)):  # nothing was written
                values.append(b"")
                continue
            address = base + int.from_bytes(place, "little")
            heap = self._heaps.get(address)
            if heap is None:
                heap = self._walk(address)
            start, stored = heap.get(index, (0, -1))
            if stored != length * item:
                raise FormatError(
                    f"expected {length * item} bytes in a heap at byte {address}, "
                    f"found {max(stored, 0)}; the file is damaged: copy it again"
                )
            begin, block = self._block
            if start < begin or start + stored > begin + len(block):
                values.append(self._source.read(start, stored))
            else:
                values.append(block[start - begin : start - begin + stored])
        return values

    def _walk(self, address: int) -> dict[int, tuple[int, int]]:
        """Return where the objects in a heap are, and their sizes, by their number."""
        source = self._source
        assert source is not None

        def read(start: int, size: int) -> bytes:
            data = source.read(start, max(0, min(size, source.size - start)))
            self._block = start, data
            return data

        objects: dict[int, tuple[int, int]] = {}
        size_bytes = self.handle.numbering.size_bytes
        try:
            room = source.size - address
            for number, start, size in heap_objects(read, address, room, size_bytes):
                if number in objects:
                    raise OddError
                if number:  # (0 is what is free, mostly all of the rest)
                    objects[number] = start, size
        except OddError:
            raise FormatError(
                f"expected a heap with text at byte {address}, found none; the file is "
                "damaged: copy it again"
            ) from None
        if len(self._heaps) >= _MOST_HEAPS:
            self._heaps.clear()
        self._heaps[address] = objects
        return objects

    def _twin(self, group: h5g.GroupID) -> h5g.GroupID:
        """Return a group in the file as it was opened once more."""
        place = b"/" if isinstance(group, h5f.FileID) else h5i.get_name(group)
        if self._group is None or self._group[0] != place:
            if self._h5 is not None:
                self.close()
            assert self._source is not None
            self._stream = _Recorder(self._source)
            access = h5p.create(h5p.FILE_ACCESS)
            access.set_fileobj_driver(h5fd.fileobj_driver, self._stream)
            name = repr(self._stream).encode()
            fid = h5f.open(name, h5f.ACC_RDONLY, fapl=access)
            self._h5 = call_holding_lock(h5py.File, fid)
            twin = self._h5.id
            if place != b"/":
                # The attributes of other groups may have the same names.
                self._stream.forget()
                twin = STRICT.find(None, place, twin).id
            self._group = place, twin
        return self._group[1]

    def close(self) -> None:
        """Close what was opened; the file of the handle stays open."""
        self._group = None
        h5, self._h5 = self._h5, None
        if h5 is not None:
            close_file(h5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._h5 is not None:
            self.close()


class _Blocks(ByteSource):
    """The bytes of a remote file as HDF5 gets them, in blocks that are in memory."""

    def __init__(
        self, label: str, size: int, look: Callable[[int, int], bytes]
    ) -> None:
        self.label, self.size, self._look = label, size, look

    def read_ranges(self, ranges: Sequence[tuple[int, int]], sink: Sink) -> None:
        """Read ranges; see `ByteSource.read_ranges`."""
        for number, (start, stop) in enumerate(ranges):
            if stop > self.size:
                raise FormatError(
                    f"{self.label}: expected {stop - start} bytes at byte {start}, "
                    "found the end of the file; the file is damaged: copy it again"
                )
            sink(number, memoryview(self._look(start, stop)))

    def close(self) -> None:
        """Do nothing: the file stays open."""


def _too_long(nbytes: int, limit: int) -> FormatError:
    return FormatError(
        f"it has {nbytes} bytes, expected at most {limit}; read it with h5py if it is "
        "wanted"
    )


def _values_of(data: bytes, name: bytes, nbytes: int) -> list[bytes]:
    """Return the values of attributes of a name in the bytes of headers."""
    found = []
    place = data.find(name + b"\0")
    while place >= 0:
        value = _value_at(data, place, name, nbytes)
        if value is not None:
            found.append(value)
        place = data.find(name + b"\0", place + 1)
    return found


def _value_at(data: bytes, place: int, name: bytes, nbytes: int) -> bytes | None:
    """Return the value of an attribute whose name is at a place; None if it is none."""
    for before, versions in ((8, b"\1\2"), (9, b"\3")):
        head = data[max(0, place - before) : place - before + 8]
        if len(head) < 8 or head[0] not in versions:
            continue
        sizes = struct.unpack_from("<3H", head, 2)
        if sizes[0] == len(name) + 1:
            # Name, type and space; in the first version each is padded to 8 bytes.
            padding = 7 if head[0] == 1 else 0
            start = place
            for size in sizes:
                start += (size + padding) & ~padding
            if start + nbytes <= len(data):
                return data[start : start + nbytes]
    return None


class _Recorder(SourceStream):
    """A stream that keeps what was read of it."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__(source)
        self._read: dict[int, bytes] = {}
        self._pieces: list[bytes] | None = None
        self._total = 0

    def readinto(self, buffer: Any) -> int:
        """Read at the position.

        Raises
        ------
        FormatError
            If HDF5 asks for too much.
        """
        view = memoryview(buffer).cast("B")
        self._total += view.nbytes
        if self._total > MOST_RECORDED:
            raise FormatError(
                f"more than {MOST_RECORDED} bytes of headers; read it with h5py if it "
                "is wanted"
            )
        start = self._position
        count = super().readinto(view)
        if count > len(self._read.get(start, b"")):
            self._read[start] = bytes(view[:count])
            self._pieces = None
        return count

    def forget(self) -> None:
        """Forget what was read so far."""
        self._read.clear()
        self._pieces = None

    def pieces(self) -> list[bytes]:
        """Return what was read, joined where one piece follows or overlaps another."""
        if self._pieces is None:
            joined: list[bytearray] = []
            end = -1
            for start, data in sorted(self._read.items()):
                if not joined or start > end:
                    joined.append(bytearray(data))
                    end = start + len(data)
                elif start + len(data) > end:
                    joined[-1] += data[end - start :]
                    end = start + len(data)
            self._pieces = [bytes(piece) for piece in joined]
        return self._pieces
