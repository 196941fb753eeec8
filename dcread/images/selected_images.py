"""Selections of several images of a cache: what it holds is not read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Reader
from ..engine.buffer_pool import empty
from ..engine.read_plan import Rows, Window, out_shape
from .difference import subtract_images
from .image_store import ImageStore
from .pixel_readers import DifferenceReader

__all__ = ["SelectedDifferences", "SelectedImages"]

_FEW = 64
_SHORT = 3.5  # HDF5 chunks; longer pieces are decoded sooner than copied


class SelectedImages:
    """Rows of an image cache, out of its memory where they are there.

    Parameters
    ----------
    source : Reader
        Source of the images.
    store : ImageStore
        Images in memory.
    use : callable
        Given the first image and the one after the last, notes their use.
    """

    def __init__(
        self, source: Reader, store: ImageStore, use: Callable[[int, int], None]
    ) -> None:
        self._source = source
        self._store = store
        self._use = use
        self.shape = source.shape
        self.dtype = source.dtype
        self.name = source.name
        self.filename = source.filename
        self.block_rows = source.block_rows
        self.map_blocks = source.map_blocks

    def read(
        self, rows: Rows, out: NDArray[Any] | None = None, window: Window = None
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
        held = self._store.held(low, high + 1)
        straight = isinstance(rows, slice) and (rows.step or 1) == 1
        # neighbours of an image or two may be asked for next: keep their HDF5 chunk
        near = len(numbers) <= high - low + 1 <= min(self.block_rows, _FEW)
        going_on = straight and self.goes_on(low, high + 1)
        if held is None and not near and not going_on:
            self.pass_over(low, high + 1)
            return self._source.read(rows, out, window)
        if out is None:
            out = empty(out_shape(self.shape, rows, window), self.dtype)
        rest = window or ()
        if held is not None:
            self._use(low, high + 1)
            places = numbers - low if isinstance(numbers, np.ndarray) else None
            if places is None:
                places = slice(0, high + 1 - low, numbers.step)
            out[...] = held[(places, *rest)]
        elif straight:
            self._use(low, high + 1)
            place = 0
            for images in self._store.images(low, high + 1):
                out[place : place + len(images)] = images[(slice(None), *rest)]
                place += len(images)
        else:
            for place, row in enumerate(numbers):
                self._use(int(row), int(row) + 1)
                out[place] = self._store.image(int(row))[rest]
        return out

    def goes_on(self, start: int, stop: int) -> bool:
        """Tell whether rows are a short piece of what is read piece by piece.

        Where pieces cut HDF5 chunks, both neighbours would decode the one between.
        """
        height = self.block_rows
        cut = bool(start % height or stop % height)
        return cut and stop - start < _SHORT * height and self._store.last + 1 == start

    def pass_over(self, start: int, stop: int) -> None:
        """Note that rows are read from the source."""
        self._store.pass_over(start, stop)


class SelectedDifferences(DifferenceReader):
    """Rows of an image cache minus those of another.

    Short pieces in order come from what both caches read ahead.

    Parameters
    ----------
    image, background : Reader
        Where other rows are read.
    image_pieces, background_pieces : SelectedImages
        Images in memory.
    """

    def __init__(
        self,
        image: Reader,
        background: Reader,
        image_pieces: SelectedImages,
        background_pieces: SelectedImages,
    ) -> None:
        super().__init__(image, background)
        self._pieces = image_pieces, background_pieces

    def read(
        self, rows: Rows, out: NDArray[Any] | None = None, window: Window = None
    ) -> NDArray[Any]:
        """Return rows (see `dcread.engine.DatasetReader.read`)."""
        if isinstance(rows, slice) and (rows.step or 1) == 1 and rows.start < rows.stop:
            start, stop = rows.start, rows.stop
            if all(one.goes_on(start, stop) for one in self._pieces):
                image, background = (
                    one.read(rows, None, window) for one in self._pieces
                )
                return subtract_images(image, background, out)
            for one in self._pieces:
                one.pass_over(start, stop)
        return super().read(rows, out, window)
