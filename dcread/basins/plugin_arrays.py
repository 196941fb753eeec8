"""Arrays that a plugin gives: nothing but the rows asked for is handed on."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import FileHandle, Reader, open_file
from ..errors import BasinError, ClosedError

_BLOCK_BYTES = 2**24


class Gate:
    """Shared by all arrays that a basin gave: closed when the basin is.

    Parameters
    ----------
    confine : callable
        Has the policy apply to a file that a plugin opened itself.
    """

    def __init__(self, confine: Callable[[FileHandle], None]) -> None:
        self.closed = False
        self._confine = confine
        self._handles: weakref.WeakSet[FileHandle] = weakref.WeakSet()

    def add(self, handle: FileHandle) -> None:
        """Take over our handle of a file that a plugin opened."""
        self._confine(handle)
        self._handles.add(handle)

    def close(self) -> None:
        """Close all; what a plugin opened is closed by the plugin."""
        self.closed = True
        for handle in list(self._handles):
            handle.close()


class PluginArray:
    """Rows of an array-like that a plugin gave, checked as they come.

    Parameters
    ----------
    array : array-like
        With ``shape``, ``dtype`` and slicing along the first axis.
    name : str
        Name of the feature.
    filename : str
        What messages call the basin.
    gate : Gate
        Closed together with the basin.
    """

    def __init__(self, array: Any, name: str, filename: str, gate: Gate) -> None:
        self.array = array
        self._gate = gate
        self.shape: tuple[int, ...] = tuple(int(size) for size in array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.name = name
        self.filename = filename
        row = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        self.block_rows = max(1, _BLOCK_BYTES // max(1, row))

    def _slice(self, start: int, stop: int) -> NDArray[Any]:
        if self._gate.closed:
            raise ClosedError(
                f"{self.filename} is closed; open the measurement again to read "
                f"'{self.name}'"
            )
        block = np.asarray(self.array[start:stop])
        expected = (stop - start, *self.shape[1:])
        if block.shape != expected or block.dtype != self.dtype:
            raise BasinError(
                f"{self.filename}: '{self.name}' gave shape {block.shape} of "
                f"{block.dtype} for rows {start} to {stop}, expected {expected} of "
                f"{self.dtype}; this is an error in the plugin"
            )
        return block

    def read(
        self,
        rows: slice | NDArray[np.integer[Any]],
        out: NDArray[Any] | None = None,
        window: tuple[slice, ...] | None = None,
    ) -> NDArray[Any]:
        """Return rows (see `DatasetReader.read`).

        Raises
        ------
        BasinError
            If the plugin's array does not have the shape that it tells.
        """
        rest = window or tuple(slice(0, size) for size in self.shape[1:])
        count = (
            len(range(rows.start, rows.stop, rows.step or 1))
            if isinstance(rows, slice)
            else len(rows)
        )
        if out is None:
            sizes = (part.stop - part.start for part in rest)
            out = np.empty((count, *sizes), self.dtype)
        if isinstance(rows, slice) and rows.step in (None, 1):
            for first in range(0, count, self.block_rows):
                last = min(first + self.block_rows, count)
                block = self._slice(rows.start + first, rows.start + last)
                out[first:last] = block[(slice(None), *rest)]
            return out
        if isinstance(rows, slice):
            rows = np.arange(rows.start, rows.stop, rows.step)
        order = np.argsort(rows, kind="stable")
        ordered = rows[order].astype(np.int64)
        for first, last in _runs(ordered, self.block_rows):
            start = int(ordered[first])
            block = self._slice(start, int(ordered[last - 1]) + 1)
            out[order[first:last]] = block[ordered[first:last] - start][
                (slice(None), *rest)
            ]
        return out

    def map_blocks(
        self,
        rows: slice,
        func: Callable[[int, NDArray[Any]], None],
        window: tuple[slice, ...] | None = None,
    ) -> None:
        """Call ``func(first_row, block)`` (see `DatasetReader.map_blocks`)."""
        for start in range(rows.start, rows.stop, self.block_rows):
            stop = min(start + self.block_rows, rows.stop)
            func(start, self.read(slice(start, stop, 1), window=window))


def _runs(ordered: NDArray[Any], longest: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of positions with equal or neighbouring rows, not too long."""
    if len(ordered) == 0:
        return
    breaks = np.flatnonzero(np.diff(ordered) > 1) + 1
    edges = [0, *breaks.tolist(), len(ordered)]
    for first, last in itertools.pairwise(edges):
        for start in range(first, last, longest):
            yield start, min(start + longest, last)


class PluginGroup(Mapping[str, Any]):
    """Arrays by name (``trace``, ``contour``) that a plugin gave."""

    def __init__(
        self, group: Mapping[str, Any], name: str, filename: str, gate: Gate
    ) -> None:
        self._group = group
        self._name = name
        self._filename = filename
        self._gate = gate

    def __getitem__(self, key: str) -> Any:
        name = f"{self._name}/{key}"
        return wrapped(self._group[key], name, self._filename, self._gate)

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def __len__(self) -> int:
        return len(self._group)


def wrapped(obj: Any, name: str, filename: str, gate: Gate) -> Any:
    """Return what a plugin gave for a feature as a reader, or a mapping of them.

    All of them close with the gate, except for readers that the plugin made.

    Raises
    ------
    BasinError
        If it is neither array-like nor a mapping.
    """
    import h5py

    if isinstance(obj, h5py.Dataset):
        handle = open_file(obj.file)
        gate.add(handle)
        return handle.dataset(obj)
    if isinstance(obj, Reader):
        return obj
    if isinstance(obj, Mapping):
        return PluginGroup(obj, name, filename, gate)
    shape = getattr(obj, "shape", None)
    sliceable = hasattr(obj, "dtype") and hasattr(obj, "__getitem__")
    if not sliceable or not isinstance(shape, tuple):
        raise BasinError(
            f"'{name}' should be array-like (shape, dtype, slicing) or a mapping, "
            f"found {type(obj).__name__}"
        )
    return PluginArray(obj, name, filename, gate)
