"""Arrays that a plugin gives: nothing but the rows asked for is handed on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Reader, reader_for
from ..errors import BasinError

_BLOCK_BYTES = 2**24


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
    """

    def __init__(self, array: Any, name: str, filename: str) -> None:
        self.array = array
        self.shape: tuple[int, ...] = tuple(int(size) for size in array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.name = name
        self.filename = filename
        row = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        self.block_rows = max(1, _BLOCK_BYTES // max(1, row))

    def _slice(self, start: int, stop: int) -> NDArray[Any]:
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
        if isinstance(rows, slice):
            rows = np.arange(rows.start, rows.stop, rows.step or 1)
        rest = window or tuple(slice(0, size) for size in self.shape[1:])
        if out is None:
            sizes = (part.stop - part.start for part in rest)
            out = np.empty((len(rows), *sizes), self.dtype)
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

    def __init__(self, group: Mapping[str, Any], name: str, filename: str) -> None:
        self._group = group
        self._name = name
        self._filename = filename

    def __getitem__(self, key: str) -> Any:
        return wrapped(self._group[key], f"{self._name}/{key}", self._filename)

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def __len__(self) -> int:
        return len(self._group)


def wrapped(obj: Any, name: str, filename: str) -> Any:
    """Return what a plugin gave for a feature as a reader, or a mapping of them.

    Raises
    ------
    BasinError
        If it is neither array-like nor a mapping.
    """
    import h5py

    if isinstance(obj, (h5py.Dataset, np.ndarray, Reader)):
        return reader_for(obj)
    if isinstance(obj, Mapping):
        return PluginGroup(obj, name, filename)
    shape = getattr(obj, "shape", None)
    sliceable = hasattr(obj, "dtype") and hasattr(obj, "__getitem__")
    if not sliceable or not isinstance(shape, tuple):
        raise BasinError(
            f"'{name}' should be array-like (shape, dtype, slicing) or a mapping, "
            f"found {type(obj).__name__}"
        )
    return PluginArray(obj, name, filename)
