"""Arrays that a plugin gives: nothing but the rows asked for is handed on."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import (
    ReadCost,
    RowReader,
    Rows,
    Storage,
    Window,
    open_dataset,
    open_file,
)
from ..engine.kernels import scatter_rows
from ..errors import BasinError
from .opened import is_mapping
from .origin import Origin

_BLOCK_BYTES = 1 << 24
GAP_BYTES = 1 << 16
"""Rows that nobody asked for are read along if they have no more bytes than that."""

MAX_MEMBERS = 10_000_000
"""How many traces or contours there may be; a contour belongs to one event."""

MAX_PRICED = 4_096
"""How many calls for rows a plugin is asked the cost of."""


class PluginArray(RowReader):
    """Rows of an array-like that a plugin gave, checked as they come.

    Rows that lie scattered are asked for together: by ``read_rows`` where the array
    has that, else in slices that leave out gaps of more than `GAP_BYTES` and take the
    rows of a chunk at once.

    Parameters
    ----------
    array : Array
        What the plugin gave.
    name : str
        Name of the feature.
    origin : Origin
        The basin.

    Attributes
    ----------
    shape, dtype, name, filename, block_rows
        See `dcread.engine.RowReader`.
    chunks : tuple of int or None
        Shape of what is stored together.
    """

    def __init__(self, array: Any, name: str, origin: Origin) -> None:
        self.source = array
        self._origin = origin
        self.is_at_hand = origin.is_at_hand
        self.name = name
        self.filename = origin.location
        with origin.asking(name):
            self.shape = tuple(map(operator.index, array.shape))
            self.dtype = np.dtype(array.dtype)
            self.chunks = _chunks(array, self.shape)
            self._read_rows = getattr(array, "read_rows", None)
            self._read_cost = getattr(array, "read_cost", None)
        self._row_bytes = max(1, math.prod(self.shape[1:]) * self.dtype.itemsize)
        self._most_rows = max(1, _BLOCK_BYTES // self._row_bytes)
        chunk = self.chunks[0] if self.chunks else self._most_rows
        self.block_rows = min(chunk, self._most_rows)
        self._step = self._most_rows // self.block_rows * self.block_rows

    def _checked(self, answer: Any, count: int, what: str) -> NDArray[Any]:
        if isinstance(answer, np.ma.MaskedArray) and np.ma.is_masked(answer):
            raise BasinError(
                f"{self.filename}: '{self.name}' gave masked values for {what}, which "
                "an array cannot tell from others; the plugin has to fill them"
                f"; plugin {self._origin.plugin}"
            )
        block = np.asarray(answer)
        expected = (count, *self.shape[1:])
        if block.shape != expected or block.dtype != self.dtype:
            raise BasinError(
                f"{self.filename}: '{self.name}' gave shape {block.shape} of "
                f"{block.dtype} for {what}, expected {expected} of {self.dtype}; this "
                f"is an error in the plugin {self._origin.plugin}"
            )
        return block

    def _slice(self, start: int, stop: int) -> NDArray[Any]:
        with self._origin.asking(self.name):
            answer = self.source[start:stop]
            return self._checked(answer, stop - start, f"rows {start} to {stop}")

    def _picked(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        assert self._read_rows is not None
        with self._origin.asking(self.name):
            answer = self._read_rows(rows)
            return self._checked(answer, len(rows), f"{len(rows)} rows by number")

    def read_cost(self, rows: Rows) -> ReadCost:
        """Return what reading rows takes: as the array tells, else calls of it."""
        if self._read_cost is None and rows.straight:
            return ReadCost(-(-len(rows) // self._step), None)
        if rows.straight and len(rows) > MAX_PRICED * self._step:
            return ReadCost(None, None)
        total = ReadCost(0, 0)
        for part in self._calls(rows):
            if self._read_cost is None:
                total += ReadCost(1, None)
                continue
            with self._origin.asking(self.name):
                requests, nbytes = self._read_cost(part)
                total += ReadCost(_as_count(requests), _as_count(nbytes))
        return total

    def _calls(self, rows: Rows) -> Iterator[NDArray[np.int64]]:
        """Yield the rows that each call is for."""
        if rows.straight:
            for _, _, part in rows.split(self._step):
                yield part.numbers
            return
        different = np.unique(rows.numbers)
        for first, last in self._runs(different):
            yield different[first:last]

    def storage(self) -> Storage:
        """Return what the plugin tells of its array."""
        reader = f"plugin {self._origin.plugin}"
        return Storage("array", self.shape, self.dtype, self.chunks, reader=reader)

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read rows: see `RowReader.read_into`.

        Raises
        ------
        BasinError
            If the plugin raises anything, or its array does not have the shape that
            it tells.
        """
        rest = window or tuple(slice(0, size) for size in self.shape[1:])
        if not rows.straight:
            self._scattered(rows.numbers, out, rest)
            return
        first = rows.bounds[0]
        for start, stop, _ in rows.split(self._step):
            block = self._slice(first + start, first + stop)
            out[start:stop] = block[(slice(None), *rest)]

    def _scattered(
        self, rows: NDArray[np.int64], out: NDArray[Any], rest: tuple[slice, ...]
    ) -> None:
        different, places = np.unique(rows, return_inverse=True)
        order = np.argsort(places, kind="stable")
        edges = np.searchsorted(places[order], np.arange(len(different) + 1))
        for first, last in self._runs(different):
            part = different[first:last]
            if self._read_rows is not None and len(part) > 1:
                block, inside = self._picked(part), np.arange(len(part))
            else:
                start = int(part[0])
                block, inside = self._slice(start, int(part[-1]) + 1), part - start
            targets = order[edges[first] : edges[last]]
            picks = inside[places[targets] - first]
            scatter_rows(block[(slice(None), *rest)], picks, out, targets)

    def _runs(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Yield ranges of positions whose rows are asked for at once."""
        if len(rows) == 0:
            return
        if self._read_rows is not None:
            for start in range(0, len(rows), self._most_rows):
                yield start, min(start + self._most_rows, len(rows))
            return
        apart = (np.diff(rows) - 1) * self._row_bytes > GAP_BYTES
        if self.chunks:
            chunk = rows // max(1, self.chunks[0])
            apart &= chunk[1:] - chunk[:-1] > 0
        edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(rows)]
        for first, last in itertools.pairwise(edges):
            start = first
            while start < last:
                most = rows[start] + max(self._most_rows, self._chunk_rows())
                stop = int(np.searchsorted(rows[start:last], most)) + start
                yield start, stop
                start = stop

    def _chunk_rows(self) -> int:
        """Return how many rows a slice may have so that a chunk is read once."""
        rows = self.chunks[0] if self.chunks else 1
        return rows if rows * self._row_bytes <= 4 * _BLOCK_BYTES else 1


def _as_count(value: Any) -> int | None:
    return None if value is None else int(value)


def _chunks(array: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the chunk shape that an array tells, if that can be one."""
    chunks = getattr(array, "chunks", None)
    if not isinstance(chunks, tuple) or len(chunks) != len(shape) or not shape:
        return None
    if not all(isinstance(size, (int, np.integer)) and size > 0 for size in chunks):
        return None
    return tuple(map(int, chunks))


class PluginGroup(Mapping[str, Any]):
    """Arrays by name (``trace``, ``contour``) that a plugin gave."""

    def __init__(self, group: Any, name: str, origin: Origin) -> None:
        self._group = group
        self._name = name
        self._origin = origin

    def __getitem__(self, key: str) -> Any:
        name = f"{self._name}/{key}"
        with self._origin.asking(name, by_name=True):
            found = self._group[key]
        return as_reader(found, name, self._origin)

    def __iter__(self) -> Iterator[str]:
        with self._origin.asking(self._name):
            names = list(itertools.islice(self._group.keys(), MAX_MEMBERS + 1))
            if len(names) > MAX_MEMBERS:
                raise BasinError(f"names more than {MAX_MEMBERS} arrays")
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def as_reader(obj: Any, name: str, origin: Origin) -> Any:
    """Return what a plugin gave for a feature as a reader, or a mapping of them.

    All of them close with the basin, except for readers that the plugin made.

    Raises
    ------
    BasinError
        If it is neither array-like nor a mapping.
    """
    import h5py

    if isinstance(obj, h5py.Dataset):
        handle = open_file(obj.file)
        origin.adopt(handle)
        return open_dataset(handle, obj)
    if isinstance(obj, RowReader):
        return obj
    if is_mapping(obj):
        return PluginGroup(obj, name, origin)
    shape = getattr(obj, "shape", None)
    sliceable = hasattr(obj, "dtype") and hasattr(obj, "__getitem__")
    if not sliceable or not isinstance(shape, tuple):
        raise BasinError(
            f"'{name}' should be array-like (shape, dtype, slicing) or a mapping, "
            f"found {type(obj).__name__}"
        )
    return PluginArray(obj, name, origin)
