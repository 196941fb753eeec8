"""Virtual datasets of boxes: columns, strides, frames that lie in a file each.

What HDF5 itself would read, but by opening the source files for us, unchecked, and
for writing where the virtual dataset is: so they are read here, by our own readers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError, PolicyError, ShapeMismatchError
from .convert import converted
from .dataset_reader import DatasetReader, Dest
from .decode_job import Work
from .h5py_fallback import fill_value
from .rows import Rows, Table, Window

BLOCK = 2**22
"""Bytes that are put together at once."""

WHOLE = 2**26
"""Most bytes of a source that is read whole, to take it in another shape."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Selected positions along one axis, ascending: `count` blocks, `stride` apart."""

    start: int
    stride: int
    count: int
    block: int

    def __len__(self) -> int:
        return self.count * self.block

    @property
    def stop(self) -> int:
        """One past the last position."""
        return self.start + (self.count - 1) * self.stride + self.block

    def at(self, numbers: Table) -> Table:
        """Return the positions of the selected elements with these numbers."""
        blocks, within = np.divmod(numbers, self.block)
        return self.start + blocks * self.stride + within

    def find(self, positions: Table) -> tuple[NDArray[np.bool_], Table]:
        """Tell which positions are selected, and return the numbers of those."""
        blocks, within = np.divmod(positions - self.start, self.stride)
        inside = (blocks >= 0) & (blocks < self.count) & (within < self.block)
        return inside, (blocks * self.block + within)[inside]


@dataclass(frozen=True, slots=True)
class Picked:
    """Selected positions along one axis, ascending, as they are."""

    positions: Table

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def start(self) -> int:
        """The first position."""
        return int(self.positions[0])

    @property
    def stop(self) -> int:
        """One past the last position."""
        return int(self.positions[-1]) + 1

    def at(self, numbers: Table) -> Table:
        """Return the positions of the selected elements with these numbers."""
        found: Table = self.positions[numbers]
        return found

    def find(self, positions: Table) -> tuple[NDArray[np.bool_], Table]:
        """Tell which positions are selected, and return the numbers of those."""
        numbers = np.searchsorted(self.positions, positions)
        numbers[numbers == len(self.positions)] = 0
        inside = self.positions[numbers] == positions
        return inside, numbers[inside]


_FAR = 2**62  # (a file may claim any number)

MOST_POSITIONS = 2**24
"""Positions along one axis that are listed one by one: a file may claim any number."""

Axes: TypeAlias = tuple[Axis | Picked, ...]
Opener: TypeAlias = Callable[[str, str], DatasetReader]

Selection: TypeAlias = "tuple[Picked | tuple[int, ...], ...] | None"
"""What is selected of a dataset of any shape: start, stride, count and block along each
axis, or positions; None for everything."""


class Source(NamedTuple):
    """One mapping of a virtual dataset, as h5py tells it.

    Attributes
    ----------
    space : h5py.h5s.SpaceID
        The selection of the virtual dataset.
    file, dataset : str
        Where it is taken from.
    origin : h5py.h5s.SpaceID
        The selection of the source.
    """

    space: Any
    file: str
    dataset: str
    origin: Any


def sources_of(plist: Any) -> Iterator[Source]:
    """Yield the mappings of a virtual dataset, one at a time: there may be very many.

    Parameters
    ----------
    plist : h5py.h5p.PropDCID
        How it was created.
    """
    for number in range(plist.get_virtual_count()):
        yield Source(
            plist.get_virtual_vspace(number),
            plist.get_virtual_filename(number),
            plist.get_virtual_dsetname(number),
            plist.get_virtual_srcspace(number),
        )


class Boxes:
    """A virtual dataset as a list of boxes, each a box of a source.

    Parameters
    ----------
    owner : DatasetReader
        The virtual dataset.
    sources : iterable of Source
        What it takes of which dataset of which file.
    """

    def __init__(self, owner: DatasetReader, sources: Iterable[Source]) -> None:
        self._h5ds, self._handle = owner.h5ds, owner.handle
        self._shape, self._dtype = owner.shape, owner.dtype
        self._where = where = owner.where
        # A later box covers an earlier one.
        self._boxes = [_Box(one, self._shape, where) for one in sources]
        self._starts = np.array([box.start for box in self._boxes], np.int64)
        self._stops = np.array([box.stop for box in self._boxes], np.int64)

    @property
    def names(self) -> list[tuple[str, str]]:
        """File and dataset of each source."""
        return [box.names for box in self._boxes]

    def read(self, work: Work, rows: Rows, dest: Dest, open_source: Opener) -> None:
        """Read rows into the output.

        Parameters
        ----------
        work, rows, dest
            See `DatasetReader.collect`.
        open_source : callable
            Returns the reader of a source, by file and dataset.
        """
        window: Window = work.window
        if window is None:
            window = tuple(slice(0, length) for length in self._shape[1:])
        widest = max((part.stop - part.start for part in window), default=0)
        _check_positions(widest, self._where)
        columns = [np.arange(part.start, part.stop) for part in window]
        row = math.prod(len(column) for column in columns) * work.out.itemsize
        for start, stop, part in rows.split(max(1, BLOCK // max(1, row))):
            if isinstance(dest, slice):
                where: Dest = slice(start + dest.start, stop + dest.start)
            else:
                where = dest[start:stop]
            places, numbers = part.in_order()
            block = self._block([numbers, *columns], open_source)
            work.out[where] = (
                block if isinstance(part.index, range) else block[np.argsort(places)]
            )

    def _block(self, positions: list[Table], open_source: Opener) -> NDArray[Any]:
        shape = tuple(map(len, positions))
        out = np.zeros(shape, self._dtype)
        known = np.zeros(shape, bool)
        for box in self._boxes_in(positions):
            box.fill(positions, out, known, open_source)
        if not known.all():
            place = np.unravel_index(int(known.argmin()), shape)
            element = tuple(int(p[i]) for p, i in zip(positions, place, strict=True))
            out[~known] = self._handle.fetching(
                fill_value, self._h5ds, self._where, element
            )
        return out

    def _boxes_in(self, positions: list[Table]) -> Iterator[_Box]:
        """Yield the boxes that have some of these positions between their edges."""
        if not self._boxes or not all(map(len, positions)):
            return
        first, last = [part[0] for part in positions], [part[-1] for part in positions]
        near = (self._starts <= last) & (self._stops > first)
        for number in np.flatnonzero(near.all(axis=1)).tolist():
            yield self._boxes[number]


class _Box:
    """One mapping of a virtual dataset."""

    def __init__(self, source: Source, shape: tuple[int, ...], where: str) -> None:
        self._where = where
        self.names = literal(source.file, where), literal(source.dataset, where)
        self._virtual = _axes(_selection(source.space, where), shape)
        self._origin = _selection(source.origin, where)
        self._source: Axes | None = None

    @property
    def start(self) -> list[int]:
        """The first position along each axis."""
        return [min(axis.start, _FAR) for axis in self._virtual]

    @property
    def stop(self) -> list[int]:
        """One past the last position along each axis."""
        return [min(axis.stop, _FAR) for axis in self._virtual]

    def fill(
        self,
        positions: list[Table],
        out: NDArray[Any],
        known: NDArray[np.bool_],
        open_source: Opener,
    ) -> None:
        """Put what this box holds of these positions, ascending, into a block."""
        pairs = list(zip(self._virtual, positions, strict=True))
        starts = [int(part.searchsorted(axis.start)) for axis, part in pairs]
        stops = [int(part.searchsorted(min(axis.stop, _FAR))) for axis, part in pairs]
        edges = map(slice, starts, stops)
        found = [
            axis.find(part[edge])
            for edge, (axis, part) in zip(edges, pairs, strict=True)
        ]
        numbers = [number for _, number in found]
        if not all(map(len, numbers)):
            return
        chosen = [np.flatnonzero(inside) for inside, _ in found]
        places = np.ix_(*map(operator.add, chosen, starts))
        reader = open_source(*self.names)
        with reader.handle.using():
            values = self._values(reader, numbers)
        where = f"{self._where} from {reader.filename}"
        out[places] = converted(values, out.dtype, where)
        known[places] = True

    def _values(self, reader: DatasetReader, numbers: list[Table]) -> NDArray[Any]:
        """Return the selected elements with these numbers along each virtual axis."""
        source = self._axes(reader)
        pairs = list(zip(numbers, self._virtual, strict=True))
        long = [number for number, axis in pairs if len(axis) > 1]
        sizes = [len(axis) for axis in self._virtual if len(axis) > 1]
        if sizes == [len(axis) for axis in source if len(axis) > 1]:
            chosen = iter(long)
            zero = np.zeros(1, np.int64)
            found = _read(
                reader,
                [axis.at(next(chosen) if len(axis) > 1 else zero) for axis in source],
            )
            # An element of an axis of length 1 may be asked for again and again.
            once = [len(n) if len(axis) > 1 else 1 for n, axis in pairs]
            return np.broadcast_to(found.reshape(once), tuple(map(len, numbers)))
        # The same elements in another shape, as HDF5 counts them through.
        size = math.prod(map(len, source)) * reader.dtype.itemsize
        if size > WHOLE:
            raise FormatError(
                f"{self._where}: takes {size} bytes of {reader.filename} in another "
                f"shape, expected at most {WHOLE}; store them in the same shape"
            )
        whole = _read(reader, [axis.at(np.arange(len(axis))) for axis in source])
        return whole.reshape([len(axis) for axis in self._virtual])[np.ix_(*numbers)]

    def _axes(self, reader: DatasetReader) -> Axes:
        if self._source is None:
            origin, shape = self._origin, reader.shape
            if origin is not None and len(origin) != len(shape):
                raise ShapeMismatchError(
                    f"{self._where}: expected {len(origin)} axes in {reader.filename}, "
                    f"dataset '{reader.name}', found {len(shape)}; restore the source "
                    "file"
                )
            axes = _axes(origin, shape)
            pairs = zip(axes, shape, strict=True)
            enough = all(axis.stop <= length for axis, length in pairs)
            elements = math.prod(map(len, self._virtual))
            if not enough or math.prod(map(len, axes)) < elements:
                needed = tuple(axis.stop for axis in axes)
                raise ShapeMismatchError(
                    f"{self._where}: expected at least {needed} values in "
                    f"{reader.filename}, dataset '{reader.name}', found "
                    f"{reader.shape}; restore the source file"
                )
            self._source = axes
        return self._source


def _read(reader: DatasetReader, picks: list[Table]) -> NDArray[Any]:
    """Return the elements at these positions along each axis."""
    window = tuple(slice(int(p.min()), int(p.max()) + 1) for p in picks[1:])
    found = reader.read(picks[0], window=window or None)
    inner = [pick - part.start for pick, part in zip(picks[1:], window, strict=True)]
    return found[np.ix_(np.arange(len(picks[0])), *inner)]


def _selection(space: Any, where: str) -> Selection:
    """Return what a selection takes, as far as the shape of the dataset does not tell.

    The selections of HDF5 are large, so that those of many mappings are not kept.

    Parameters
    ----------
    space : h5py.h5s.SpaceID
        The selection.
    where : str
        What error messages call the virtual dataset.

    Raises
    ------
    FormatError
        If it is no box.
    """
    from h5py import h5s

    kind = space.get_select_type()
    if kind == h5s.SEL_ALL:
        return None
    if kind == h5s.SEL_HYPERSLABS:
        if space.is_regular_hyperslab():
            return tuple(zip(*space.get_regular_hyperslab(), strict=True))
        corners = np.asarray(space.get_select_hyper_blocklist(), np.int64)
        # (first and last position of each block along each axis)
        counts = (corners[:, 1] - corners[:, 0] + 1).sum(axis=0)
        _check_positions(int(counts.max()), where)
        axes = tuple(
            Picked(np.unique(np.concatenate([np.arange(a, b + 1) for a, b in ends])))
            for ends in np.moveaxis(corners, -1, 0).tolist()
        )
        if math.prod(map(len, axes)) == space.get_select_npoints():
            return axes
    raise FormatError(
        f"{where}: takes elements of a source that do not form a box, which is not "
        "supported; open the file with h5py"
    )


def _axes(selection: Selection, shape: tuple[int, ...]) -> Axes:
    """Return what a selection takes along each axis; one without an end goes as far."""
    if selection is None:
        return tuple(Axis(0, 1, 1, length) for length in shape)
    return tuple(
        one if isinstance(one, Picked) else _axis(one, length)
        for one, length in zip(selection, shape, strict=True)
    )


def _check_positions(count: int, where: str) -> None:
    """Refuse to list very many positions along one axis."""
    if count > MOST_POSITIONS:
        raise FormatError(
            f"{where}: takes {count} positions along one axis of parts of other "
            f"datasets, expected at most {MOST_POSITIONS}; open the file with h5py"
        )


def _axis(selected: tuple[int, ...], length: int) -> Axis:
    start, stride, count, block = map(int, selected)
    if block >= 2**63:  # without end
        block = max(0, length - start)
    if count >= 2**63:
        count = max(0, -(-(length - start - block + 1) // stride))
    if count == 1:
        stride = block
    return Axis(start, max(1, stride), count, block)


def literal(name: str, where: str) -> str:
    """Return the name of a source, where a doubled percent sign stands for one.

    Raises
    ------
    PolicyError
        If names follow a pattern.
    """
    if "%" in name.replace("%%", ""):
        raise PolicyError(
            f"{where}: its sources are named by the pattern '{name}', which is not "
            "followed, since the files that it stands for cannot be checked beforehand"
        )
    return name.replace("%%", "%")
