"""Rows of what is in memory, or of anything that slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .read_plan import Rows, Window, out_shape


class ArrayReader:
    """Rows of a NumPy array, or of anything that slices like one."""

    def __init__(self, array: Any, name: str = "array", filename: str = "memory"):
        self.array = array
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.name = name
        self.filename = filename
        self.block_rows = 1

    def read(
        self, rows: Rows, out: NDArray[Any] | None = None, window: Window = None
    ) -> NDArray[Any]:
        """Return the rows (see `DatasetReader.read`)."""
        if out is None:
            out = np.empty(out_shape(self.shape, rows, window), self.dtype)
        rest = window or ()
        if isinstance(rows, slice) or isinstance(self.array, np.ndarray):
            out[...] = np.asarray(self.array[rows])[(slice(None), *rest)]
        else:
            for position, row in enumerate(rows.tolist()):
                out[position] = np.asarray(self.array[row : row + 1])[0][rest]
        return out

    def map_blocks(
        self,
        rows: slice,
        func: Callable[[int, NDArray[Any]], None],
        window: Window = None,
    ) -> None:
        """Call ``func(first_row, block)`` (see `DatasetReader.map_blocks`)."""
        func(rows.start, self.read(rows, window=window))
