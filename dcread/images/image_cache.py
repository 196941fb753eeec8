"""Images of a measurement, decoded when needed and kept for a while."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays.dataset_view import raise_if_closed
from ..engine import Reader, reader_for
from ..errors import ShapeMismatchError
from .base_cache import BaseImageChunkCache
from .block_cache import BlockStore
from .cached_rows import CachedDifference, CachedRows
from .difference import subtract_images
from .pixel_readers import BoolReader, DifferenceReader
from .read_ahead import ReadAheadCache

__all__ = [
    "BaseImageChunkCache",
    "EmptyDatasetWarning",
    "HDF5ImageCache",
    "ImageCorrCache",
]

_MAX_BYTES = 256 << 20


class EmptyDatasetWarning(UserWarning):
    """Given for image data without any image."""


class HDF5ImageCache(ReadAheadCache):
    """Images of an HDF5 dataset.

    A single image costs one HDF5 chunk at the most, whatever `chunk_size`: decoded
    HDF5 chunks are kept within `max_bytes`. Images and chunks that are asked for in
    order are read ahead in the background; `close` ends that. Larger selections
    (``images[20:500]``) are read at once and not kept.

    Parameters
    ----------
    h5ds : h5py.Dataset, MappedHDF5Dataset, view, ndarray or array-like
        The images: (events, height, width).
    chunk_size : int
        Images in a chunk.
    cache_size : int
        Chunks to keep.
    boolean : bool
        Whether the images are masks: what is not zero is True.

    Attributes
    ----------
    h5ds : h5py.Dataset, MappedHDF5Dataset, view, ndarray or array-like
        The images as they were given.
    boolean : bool
        Whether the images are masks.
    max_bytes : int
        What single images may keep in memory, together with `cache`; one HDF5 chunk
        is always kept. As much as `cache_size` chunks by default, but not more than
        256 MiB.

    Warns
    -----
    EmptyDatasetWarning
        If there is no image.
    """

    def __init__(
        self,
        h5ds: Any,
        chunk_size: int = 1000,
        cache_size: int = 2,
        boolean: bool = False,
    ) -> None:
        source = reader_for(h5ds)
        if not source.shape:
            raise ShapeMismatchError(
                f"'{source.name}' in {source.filename} is a single value, "
                "expected images"
            )
        super().__init__(source.shape, chunk_size, cache_size)
        self.h5ds = h5ds
        self.boolean = boolean
        self._source: Reader = source
        if boolean and source.dtype != bool:
            self._source = BoolReader(source)
        self._dtype = self._source.dtype
        self._handle = getattr(source, "handle", None)
        self._chunk_bytes = math.prod(self.chunk_shape) * self._dtype.itemsize
        self.max_bytes = min(self.cache_size * self._chunk_bytes, _MAX_BYTES)
        self._blocks = BlockStore(source, self._allowance)
        # a subclass that makes its own chunks gets all images through them
        self._direct = type(self)._get_chunk_data is HDF5ImageCache._get_chunk_data
        self._reads_ahead = self._direct
        if self._direct:
            self.reader = self._source
            self._rows = CachedRows(self, self._source)
        if self._len == 0:
            warnings.warn(
                f"Input image '{source.name}' in file {source.filename} has zero "
                "length",
                EmptyDatasetWarning,
                stacklevel=2,
            )

    def _get_chunk_data(self, chunk_slice: slice) -> NDArray[Any]:
        """Return new images of a slice."""
        rows = range(*chunk_slice.indices(self._len))
        if not rows:
            return np.empty((0, *self.image_shape), self.dtype)
        return self._source.read(slice(rows[0], rows[-1] + 1, rows.step))

    def _read_chunk(self, rows: slice, out: NDArray[Any]) -> None:
        self._source.read(rows, out)

    def _allowance(self) -> int:
        """Return how many bytes may be held for single images."""
        with self._turn:
            return self.max_bytes - self._count() * self._chunk_bytes

    def _make(self, index: int) -> NDArray[Any]:
        data = super()._make(index)
        self._blocks.trim()
        return data

    def _peek(self, index: int) -> NDArray[Any]:
        if not self._direct:
            return super()._peek(index)
        chunk_index, sub_index = divmod(index, self.chunk_size)
        chunk = self._touch(chunk_index)
        if chunk is not None:
            found: NDArray[Any] = chunk[sub_index]
            return found
        image = self._blocks.row(index)
        # (not by the dtype: a single number has native byte order, whatever its array)
        return image != 0 if self.boolean else image

    def _glance(self, index: int) -> NDArray[Any] | None:
        if not 0 <= index < self._len or index // self.chunk_size != self._last:
            return None
        if self._closed or (self._handle is not None and self._handle.closed):
            return None
        image = self._blocks.quick(index)
        return image != 0 if image is not None and self.boolean else image

    def _raise_if_closed(self) -> None:
        super()._raise_if_closed()
        raise_if_closed(self._source)

    def close(self) -> None:
        """Drop all images and end what runs in the background; twice is fine."""
        self._blocks.close()
        super().close()

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} '{self._source.name}' of {self._source.filename}: "
            f"shape {self.shape}>"
        )


class ImageCorrCache(ReadAheadCache):
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
    dtype : numpy.dtype
        int16 for 8-bit images, wide enough for every difference of wider ones.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
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
        self.reader = DifferenceReader(image.reader, image_bg.reader)
        self._rows = CachedDifference(image, image_bg)
        self._reads_ahead = all(
            isinstance(one, ReadAheadCache) and one._reads_ahead
            for one in (image, image_bg)
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """int16 for 8-bit images, wide enough for every difference of wider ones."""
        dtype: np.dtype[Any] = self.reader.dtype
        return dtype

    def _get_chunk_data(self, chunk_slice: slice) -> NDArray[Any]:
        """Return new images of a slice."""
        start, stop, _ = chunk_slice.indices(self._len)
        if start >= stop:
            return np.empty((0, *self.image_shape), self.dtype)
        out = np.empty((stop - start, *self.image_shape), self.dtype)
        self._read_chunk(slice(start, stop, 1), out)
        return out

    def _read_chunk(self, rows: slice, out: NDArray[Any]) -> None:
        image = self.image._held(rows.start, rows.stop)
        background = self.image_bg._held(rows.start, rows.stop)
        if image is None and background is None:
            self.reader.read(rows, out)
            return
        if image is None:
            image = self.image.reader.read(rows)
        if background is None:
            background = self.image_bg.reader.read(rows)
        subtract_images(image, background, out)

    def _peek(self, index: int) -> NDArray[Any]:
        chunk_index, sub_index = divmod(index, self.chunk_size)
        chunk = self._touch(chunk_index)
        if chunk is not None:
            found: NDArray[Any] = chunk[sub_index]
            return found
        return subtract_images(self.image._peek(index), self.image_bg._peek(index))

    def _glance(self, index: int) -> NDArray[Any] | None:
        if not 0 <= index < self._len or index // self.chunk_size != self._last:
            return None
        image = None if self._closed else self.image._glance(index)
        background = None if image is None else self.image_bg._glance(index)
        if image is None or background is None:
            return None
        return subtract_images(image, background)

    def _raise_if_closed(self) -> None:
        super()._raise_if_closed()
        self.image._raise_if_closed()
        self.image_bg._raise_if_closed()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.image!r}>"
