"""Readers of rows (see `dcread.engine.RowReader`) for image caches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..engine import READ_FEWER, RowReader, Rows, Window
from .difference import difference_dtype, subtract_images

__all__ = ["BoolReader", "DifferenceReader"]

_Func: TypeAlias = Callable[[int, NDArray[Any]], None]

_BLOCK_BYTES = 4 << 20


class BoolReader(RowReader):
    """Rows of a reader as bool: what is not zero is true."""

    dtype: np.dtype[Any] = np.dtype(bool)

    def __init__(self, parent: RowReader) -> None:
        self.parent = parent
        self.shape = parent.shape
        self.name = parent.name
        self.filename = parent.filename
        self.chunks = parent.chunks
        self.block_rows = parent.block_rows
        self.handle = parent.handle

    @property
    def stops_early(self) -> bool:  # type: ignore[override]
        """Whether the first rows of a block cost less than the whole block."""
        return self.parent.stops_early

    def check_room(self, size: int, remedy: str = READ_FEWER) -> None:
        """Ask the reader of the bytes."""
        self.parent.check_room(size, remedy)

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read rows as bool; bytes are converted where they lie."""
        if self.parent.dtype.itemsize == 1:
            raw = out.view(self.parent.dtype)
            self.parent.read_into(rows, raw, window)
            np.not_equal(raw, 0, out=out)
            return
        row_bytes = math.prod(out.shape[1:]) * self.parent.dtype.itemsize
        for start, stop, part in rows.split(max(1, _BLOCK_BYTES // max(1, row_bytes))):
            raw = self.parent.read(part, window=window)
            np.not_equal(raw, 0, out=out[start:stop])

    def map_blocks(self, rows: slice, func: _Func, window: Window = None) -> None:
        """Call ``func(first_row, block)`` for blocks that cover `rows` (step 1)."""
        self.parent.map_blocks(
            rows, lambda first, block: func(first, block != 0), window
        )


class DifferenceReader(RowReader):
    """Rows of one reader minus those of another, wide enough for all values."""

    def __init__(self, image: RowReader, background: RowReader) -> None:
        self.image = image
        self.background = background
        self.shape = image.shape
        self.name = f"{image.name} - {background.name}"
        self.filename = image.filename
        self.chunks = image.chunks
        self.block_rows = image.block_rows

    @property
    def dtype(self) -> np.dtype[Any]:  # type: ignore[override]
        """int16 for 8-bit images, wider for wider ones."""
        return difference_dtype(self.image.dtype, self.background.dtype)

    def check_room(self, size: int, remedy: str = READ_FEWER) -> None:
        """Ask the reader of the images."""
        self.image.check_room(size, remedy)

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read rows; a block is subtracted as soon as it is decoded."""
        if rows.straight:
            first, last = rows.bounds
            self._subtract(slice(first, last + 1, 1), out, window)
            return
        row_bytes = math.prod(out.shape[1:]) * self.image.dtype.itemsize
        step = max(self.block_rows, _BLOCK_BYTES // max(1, row_bytes))
        for start, stop, part in rows.split(step):
            image = self.image.read(part, window=window)
            background = self.background.read(part, window=window)
            subtract_images(image, background, out[start:stop])

    def _subtract(self, rows: slice, out: NDArray[Any], window: Window) -> None:
        def subtract(first: int, block: NDArray[Any]) -> None:
            part = slice(first, first + len(block), 1)
            background = self.background.read(part, window=window)
            start = first - rows.start
            subtract_images(block, background, out[start : start + len(block)])

        self.image.map_blocks(rows, subtract, window)

    def map_blocks(self, rows: slice, func: _Func, window: Window = None) -> None:
        """Call ``func(first_row, block)`` for blocks that cover `rows` (step 1)."""

        def subtract(first: int, block: NDArray[Any]) -> None:
            part = slice(first, first + len(block), 1)
            background = self.background.read(part, window=window)
            func(first, subtract_images(block, background))

        self.image.map_blocks(rows, subtract, window)
