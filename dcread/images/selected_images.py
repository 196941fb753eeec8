"""Selections of several images of a cache: what it holds is not read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ..engine import RowReader, Rows, Window
from ..engine.rows import RowsLike
from .difference import subtract_images
from .image_store import ImageStore
from .pixel_readers import DifferenceReader

__all__ = ["SelectedDifferences", "SelectedImages"]

_FEW = 64
_SHORT = 3.5  # HDF5 chunks; longer pieces are decoded sooner than copied


class SelectedImages(RowReader):
    """Rows of an image cache, out of its memory where they are there.

    Parameters
    ----------
    source : RowReader
        Source of the images.
    store : ImageStore
        Images in memory.
    use : callable
        Given the first image and the one after the last, notes their use.
    """

    def __init__(
        self, source: RowReader, store: ImageStore, use: Callable[[int, int], None]
    ) -> None:
        self._source = source
        self._store = store
        self._use = use
        self.shape = source.shape
        self.dtype = source.dtype
        self.name = source.name
        self.filename = source.filename
        self.block_rows = source.block_rows
        self.map_blocks = source.map_blocks  # type: ignore[method-assign]
        self.check_room = source.check_room  # type: ignore[method-assign]

    def read(
        self,
        rows: RowsLike,
        out: NDArray[Any] | None = None,
        window: Window = None,
    ) -> NDArray[Any]:
        """Return rows: see `RowReader.read`; after slices in order, read on."""
        rows = Rows.of(rows)
        if out is None and window is None and rows.straight and len(rows) > _FEW:
            place = rows.bounds[0], rows.bounds[1] + 1
            if self._store.last + 1 == place[0] and not self._is_at_hand(*place):
                images = self._store.take_slice(*place)
                if images is None:
                    images = super().read(rows)
                else:
                    self.pass_over(*place)
                self._store.read_on(*place)
                return images
        return super().read(rows, out, window)

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read rows: see `RowReader.read_into`."""
        low, high = rows.bounds
        held = self._store.held(low, high + 1)
        # neighbours of an image or two may be asked for next: keep their HDF5 chunk
        near = len(rows) <= high - low + 1 <= min(self.block_rows, _FEW)
        going_on = rows.straight and self.goes_on(low, high + 1)
        if held is None and not near and not going_on:
            self.pass_over(low, high + 1)
            self._source.read_into(rows, out, window)
            return
        rest = window or ()
        if held is not None:
            self._store.recent = None
            self._use(low, high + 1)
            places: Any
            if isinstance(rows.index, range):
                places = slice(0, high + 1 - low, rows.index.step)
            else:
                places = rows.index - low
            out[...] = held[(places, *rest)]
        elif rows.straight:
            self._use(low, high + 1)
            place = 0
            for images in self._store.images(low, high + 1):
                out[place : place + len(images)] = images[(slice(None), *rest)]
                place += len(images)
        else:
            for place, row in enumerate(rows.numbers.tolist()):
                self._use(row, row + 1)
                out[place] = self._store.image(row)[rest]

    def _is_at_hand(self, start: int, stop: int) -> bool:
        """Tell whether images are held, or come out of what is loaded in runs."""
        return self.goes_on(start, stop) or self._store.held(start, stop) is not None

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
    image, background : RowReader
        Where other rows are read.
    image_pieces, background_pieces : SelectedImages
        Images in memory.
    """

    def __init__(
        self,
        image: RowReader,
        background: RowReader,
        image_pieces: SelectedImages,
        background_pieces: SelectedImages,
    ) -> None:
        super().__init__(image, background)
        self._pieces = image_pieces, background_pieces

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read rows: see `RowReader.read_into`."""
        if rows.straight:
            first, last = rows.bounds
            if all(one.goes_on(first, last + 1) for one in self._pieces):
                image, background = (
                    one.read(rows, None, window) for one in self._pieces
                )
                subtract_images(image, background, out)
                return
            for one in self._pieces:
                one.pass_over(first, last + 1)
        super().read_into(rows, out, window)
