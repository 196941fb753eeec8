"""Readers of rows (see `dcread.engine.Reader`) for image caches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..engine import Reader
from ..engine.buffer_pool import empty
from ..engine.read_plan import Rows, Window, out_shape
from .difference import difference_dtype, subtract_images

__all__ = ["BoolReader", "DifferenceReader"]

_Func: TypeAlias = Callable[[int, NDArray[Any]], None]

_BLOCK_BYTES = 4 << 20


def _parts(rows: Rows, step: int) -> Iterator[tuple[int, int, Rows]]:
    """Cut rows into parts of at the most `step`; tell where each lies."""
    if isinstance(rows, slice):
        numbers = range(rows.start, rows.stop, rows.step or 1)
        for start in range(0, len(numbers), step):
            part = numbers[start : start + step]
            yield (
                start,
                start + len(part),
                slice(part[0], part[-1] + 1, part.step),
            )
    else:
        for start in range(0, len(rows), step):
            part_rows = rows[start : start + step]
            yield start, start + len(part_rows), part_rows


class BoolReader:
    """Rows of a reader as bool: what is not zero is true."""

    dtype: np.dtype[Any] = np.dtype(bool)

    def __init__(self, parent: Reader) -> None:
        self.parent = parent
        self.shape = parent.shape
        self.name = parent.name
        self.filename = parent.filename
        self.block_rows = parent.block_rows
        self.handle = getattr(parent, "handle", None)

    @property
    def stops_early(self) -> bool:
        """Whether the first rows of a block cost less than the whole block."""
        return bool(getattr(self.parent, "stops_early", False))

    def read(
        self, rows: Rows, out: NDArray[Any] | None = None, window: Window = None
    ) -> NDArray[Any]:
        """Return rows as bool; bytes are converted where they lie."""
        if out is None:
            out = empty(out_shape(self.shape, rows, window), self.dtype)
        if self.parent.dtype.itemsize == 1:
            raw = out.view(self.parent.dtype)
            self.parent.read(rows, raw, window)
            np.not_equal(raw, 0, out=out)
            return out
        row_bytes = math.prod(out.shape[1:]) * self.parent.dtype.itemsize
        step = max(1, _BLOCK_BYTES // max(1, row_bytes))
        for start, stop, part in _parts(rows, step):
            raw = self.parent.read(part, window=window)
            np.not_equal(raw, 0, out=out[start:stop])
        return out

    def map_blocks(self, rows: slice, func: _Func, window: Window = None) -> None:
        """Call ``func(first_row, block)`` for blocks that cover `rows` (step 1)."""
        self.parent.map_blocks(
            rows, lambda first, block: func(first, block != 0), window
        )


class DifferenceReader:
    """Rows of one reader minus those of another, wide enough for all values."""

    def __init__(self, image: Reader, background: Reader) -> None:
        self.image = image
        self.background = background
        self.shape = image.shape
        self.name = f"{image.name} - {background.name}"
        self.filename = image.filename
        self.block_rows = image.block_rows

    @property
    def dtype(self) -> np.dtype[Any]:
        """int16 for 8-bit images, wider for wider ones."""
        return difference_dtype(self.image.dtype, self.background.dtype)

    def read(
        self, rows: Rows, out: NDArray[Any] | None = None, window: Window = None
    ) -> NDArray[Any]:
        """Return rows; a block is subtracted as soon as it is decoded."""
        if out is None:
            out = empty(out_shape(self.shape, rows, window), self.dtype)
        if out.size == 0:
            return out
        if isinstance(rows, slice) and (rows.step or 1) == 1:
            self._subtract(rows, out, window)
            return out
        row_bytes = math.prod(out.shape[1:]) * self.image.dtype.itemsize
        step = max(self.block_rows, _BLOCK_BYTES // max(1, row_bytes))
        for start, stop, part in _parts(rows, step):
            image = self.image.read(part, window=window)
            background = self.background.read(part, window=window)
            subtract_images(image, background, out[start:stop])
        return out

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
