"""Images minus their background."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.buffer_pool import empty
from ..errors import ShapeMismatchError
from .base_cache import BaseImageChunkCache
from .difference import subtract_images
from .image_cache import HDF5ImageCache
from .pixel_readers import DifferenceReader
from .selected_images import SelectedDifferences, SelectedImages

__all__ = ["ImageCorrCache"]


class ImageCorrCache(BaseImageChunkCache):
    """Images minus their background.

    What `image` and `image_bg` hold in memory is used; what they do not hold is
    decoded and subtracted block by block, without being kept.

    Parameters
    ----------
    image, image_bg : BaseImageChunkCache
        Of one shape.

    Attributes
    ----------
    image, image_bg : BaseImageChunkCache
        As given.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.

    Examples
    --------
    >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
    >>> corrected = dcread.ImageCorrCache(hd.image, hd.image_bg)
    >>> np.array_equal(corrected[7], np.int16(hd.image[7]) - hd.image_bg[7])
    True
    """

    def __init__(
        self, image: BaseImageChunkCache, image_bg: BaseImageChunkCache
    ) -> None:
        if image.shape != image_bg.shape:
            raise ShapeMismatchError(
                f"{image!r} and its background {image_bg!r} must have the same shape: "
                f"found {image.shape} and {image_bg.shape}"
            )
        super().__init__(image.shape, max(1, image.chunk_size), image.cache_size)
        self.image = image
        self.image_bg = image_bg
        self._source = DifferenceReader(image.reader, image_bg.reader)
        self._last_chunk = -2

    @property
    def reader(self) -> DifferenceReader:
        """Source of rows for other views; see `dcread.engine.reader_for`.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.image_corr.reader.shape
        (3088, 80, 320)
        """
        return self._source

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type: int16 for 8-bit images, wide enough for all differences of others.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.image_corr.dtype
        dtype('int16')
        """
        dtype: np.dtype[Any] = self._source.dtype
        return dtype

    @property
    def _selected(self) -> Any:
        pieces = self.image._selected, self.image_bg._selected
        if not all(isinstance(one, SelectedImages) for one in pieces):
            return self._source
        return SelectedDifferences(self._source.image, self._source.background, *pieces)

    def __getitem__(self, index: Any) -> Any:
        image = self._glance(index) if type(index) is int else None
        return super().__getitem__(index) if image is None else image

    __getitem__.__doc__ = BaseImageChunkCache.__getitem__.__doc__

    def _glance(self, index: int) -> NDArray[Any] | None:
        """Return an image if that takes no lock and no loading."""
        caches = self.image, self.image_bg
        if self._closed or not 0 <= index < self._len:
            return None
        if index // self.chunk_size != self._order.latest:
            return None
        found = []
        for cache in caches:
            image = cache._glance(index) if isinstance(cache, HDF5ImageCache) else None
            if image is None:
                return None
            found.append(image)
        return subtract_images(*found)

    def _image(self, index: int) -> NDArray[Any]:
        chunk: NDArray[Any] | None = self._loaded.use(index // self.chunk_size)
        if chunk is not None:
            image: NDArray[Any] = chunk[index % self.chunk_size]
            return image
        return subtract_images(self.image._image(index), self.image_bg._image(index))

    @property
    def _known_dtype(self) -> np.dtype[Any] | None:
        return self.dtype

    def _glimpse(self, index: int) -> NDArray[Any] | None:
        image, background = self.image._glimpse(index), self.image_bg._glimpse(index)
        if image is None or background is None:
            return None
        return subtract_images(image, background)

    def _chunk(self, index: int) -> NDArray[Any]:
        load = functools.partial(
            _load_chunk, self.image, self.image_bg, self._source, self.chunk_size
        )
        chunk = self._loaded.get(index, lambda: load(index), 1)
        if index == self._last_chunk + 1 and all(
            isinstance(one, HDF5ImageCache) and one.reads_ahead
            for one in (self.image, self.image_bg)
        ):
            keys = range(index, self.num_chunks)[:2]
            self._loaded.read_ahead(keys, load, 1)
        self._last_chunk = index
        return chunk

    def _get_chunk_data(self, chunk_slice: slice) -> NDArray[Any]:
        """Return new images of a slice."""
        start, stop, _ = chunk_slice.indices(self._len)
        return _differences(
            self.image, self.image_bg, self._source, start, max(start, stop)
        )

    def _raise_if_closed(self) -> None:
        super()._raise_if_closed()
        self.image._raise_if_closed()
        self.image_bg._raise_if_closed()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.image!r}>"


# Functions, since what loads in the background must not hold the cache itself.
def _load_chunk(
    image: BaseImageChunkCache,
    image_bg: BaseImageChunkCache,
    reader: DifferenceReader,
    size: int,
    index: int,
) -> NDArray[Any]:
    start = index * size
    stop = min(start + size, reader.shape[0])
    chunk = _differences(image, image_bg, reader, start, stop)
    chunk.flags.writeable = False
    return chunk


def _differences(
    image: BaseImageChunkCache,
    image_bg: BaseImageChunkCache,
    reader: DifferenceReader,
    start: int,
    stop: int,
) -> NDArray[Any]:
    """Return new differences of a slice; what is held is not read again."""
    out = empty((stop - start, *reader.shape[1:]), reader.dtype)
    if start == stop:
        return out
    rows = slice(start, stop, 1)
    held = image._held(start, stop), image_bg._held(start, stop)
    if any(one is not None for one in held):
        images, backgrounds = (
            cache.reader.read(rows) if one is None else one
            for cache, one in zip((image, image_bg), held, strict=True)
        )
        return subtract_images(images, backgrounds, out)
    return reader.read(rows, out)
