"""Pieces of image caches: slices and selections of single images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..engine import Reader
from ..engine.buffer_pool import empty
from .difference import subtract_images
from .pixel_readers import DifferenceReader, result_shape

if TYPE_CHECKING:
    from .base_cache import BaseImageChunkCache
    from .image_cache import HDF5ImageCache

__all__ = ["CachedDifference", "CachedRows"]

_Rows: TypeAlias = "slice | NDArray[np.integer[Any]]"
_Window: TypeAlias = "tuple[slice, ...] | None"

_FEW = 64
_SHORT = 3.5  # HDF5 chunks; longer pieces are decoded sooner than copied


class CachedRows:
    """Rows of an image cache: what it holds is not read again."""

    def __init__(self, cache: HDF5ImageCache, source: Reader) -> None:
        self._cache = cache
        self._source = source
        self.shape = source.shape
        self.dtype = source.dtype
        self.name = source.name
        self.filename = source.filename
        self.block_rows = source.block_rows
        self.map_blocks = source.map_blocks

    def read(
        self,
        rows: _Rows,
        out: NDArray[Any] | None = None,
        window: _Window = None,
    ) -> NDArray[Any]:
        """Return rows (see `dcread.engine.DatasetReader.read`)."""
        if isinstance(rows, slice):
            numbers: Any = range(rows.start, rows.stop, rows.step or 1)
            low, high = (numbers[0], numbers[-1]) if numbers else (0, -1)
        else:
            numbers = rows
            low, high = (int(rows.min()), int(rows.max())) if len(rows) else (0, -1)
        if high < low:
            return self._source.read(rows, out, window)
        held = self._cache._held(low, high + 1)
        straight = isinstance(rows, slice) and (rows.step or 1) == 1
        # neighbours of an image or two may be asked for next: keep their block
        near = len(numbers) <= high - low + 1 <= min(self.block_rows, _FEW)
        if held is None and not near and not (straight and self.goes_on(low, high + 1)):
            return self._source.read(rows, out, window)
        if out is None:
            shape = tuple(result_shape(self.shape, rows, window))
            out = empty(shape, self.dtype)
        rest = window or ()
        if held is not None and isinstance(rows, slice):
            out[...] = held[(slice(0, high + 1 - low, rows.step), *rest)]
        elif held is not None:
            out[...] = held[(numbers - low, *rest)]
        elif straight:
            self._copy(low, high + 1, out, rest)
        else:
            for place, row in enumerate(numbers):
                out[place] = self._cache._peek(int(row))[rest]
        return out

    def goes_on(self, start: int, stop: int) -> bool:
        """Tell whether rows are a short piece of what is read piece by piece.

        Where pieces cut HDF5 chunks, both neighbours would decode the one between.
        """
        height, blocks = self.block_rows, self._cache._blocks
        cut = start % height or stop % height
        if cut and stop - start < _SHORT * height and blocks.follows(start):
            return True
        blocks.pass_over(start, stop)
        return False

    def _copy(
        self, start: int, stop: int, out: NDArray[Any], rest: tuple[slice, ...]
    ) -> None:
        """Copy images out of the blocks that are held, or read ahead, for them."""
        place, chunk_size = 0, self._cache.chunk_size
        for chunk_index in range(start // chunk_size, (stop - 1) // chunk_size + 1):
            self._cache._touch(chunk_index)
        for rows in self._cache._blocks.rows(start, stop):
            part = rows[(slice(None), *rest)]
            target = out[place : place + len(part)]
            if part.dtype == out.dtype:
                target[...] = part
            else:  # masks
                np.not_equal(part, 0, out=target)
            place += len(part)


class CachedDifference(DifferenceReader):
    """Rows of an image cache minus those of another."""

    def __init__(
        self, image: BaseImageChunkCache, background: BaseImageChunkCache
    ) -> None:
        super().__init__(image.reader, background.reader)
        self._pieces = image._rows, background._rows

    def read(
        self, rows: _Rows, out: NDArray[Any] | None = None, window: _Window = None
    ) -> NDArray[Any]:
        """Return rows; short pieces in order come from what the caches read ahead."""
        if isinstance(rows, slice) and (rows.step or 1) == 1 and rows.start < rows.stop:
            going_on = [
                isinstance(one, CachedRows) and one.goes_on(rows.start, rows.stop)
                for one in self._pieces
            ]
            if all(going_on):
                image, background = (
                    one.read(rows, None, window) for one in self._pieces
                )
                return subtract_images(image, background, out)
        return super().read(rows, out, window)
