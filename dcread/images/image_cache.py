"""Images of an HDF5 dataset, decoded when needed and kept for a while."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays.dataset_view import raise_if_closed
from ..arrays.mapped_dataset import MappedReader
from ..engine import RowReader, reader_for
from ..errors import FormatError, ShapeMismatchError
from ..problems import warn_caller
from ..sync.loading_cache import LoadingCache
from .base_cache import BaseImageChunkCache
from .display import is_near
from .image_store import ImageStore
from .pixel_readers import BoolReader
from .selected_images import SelectedImages

__all__ = ["EmptyDatasetWarning", "HDF5ImageCache"]

_MAX_BYTES = 256 << 20


class EmptyDatasetWarning(UserWarning):
    """Given for image data without any image.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     images = dcread.HDF5ImageCache(np.zeros((0, 80, 320), np.uint8))
    >>> caught[0].category.__name__
    'EmptyDatasetWarning'
    """


class HDF5ImageCache(BaseImageChunkCache):
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

    Warns
    -----
    EmptyDatasetWarning
        If there is no image.

    Examples
    --------
    >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
    >>> masks = hd.get_image_cache("mask")
    >>> masks.shape, masks.dtype, masks[5].any()
    ((3088, 80, 320), dtype('bool'), np.True_)
    >>> dcread.HDF5ImageCache(np.zeros((9, 80, 320), np.uint8), chunk_size=4).num_chunks
    3
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
        if boolean and source.dtype.kind not in "biufc":
            raise FormatError(
                f"'{source.name}' in {source.filename} has values of type "
                f"{source.dtype}, expected masks (numbers or bool)"
            )
        self.h5ds = h5ds
        self.boolean = boolean
        self._handle = source.handle
        base, rows = source, None
        self._near: RowReader = source
        if isinstance(source, MappedReader):
            base, rows = source.base, source.indices
            self._near = base
        if boolean and source.dtype != bool:
            source, base = BoolReader(source), BoolReader(base)
        self._source: RowReader = source
        self._unmapped = base, rows
        super().__init__(source.shape, chunk_size, cache_size)
        self._dtype = source.dtype
        if self._len == 0:
            warn_caller(
                f"Input image '{source.name}' in file {source.filename} has zero "
                "length",
                EmptyDatasetWarning,
            )

    def _new_cache(self) -> LoadingCache:
        source = self._source
        chunk_bytes = math.prod(self.chunk_shape) * source.dtype.itemsize
        self._max_bytes = min(self.cache_size * chunk_bytes, _MAX_BYTES)
        self._store: ImageStore | None = None
        # a subclass that makes its own chunks gets all images through them
        if type(self)._get_chunk_data is not HDF5ImageCache._get_chunk_data:
            return super()._new_cache()
        self._store = ImageStore(
            source, *self._unmapped, self.chunk_size, self._max_bytes
        )
        return self._store.cache

    @property
    def max_bytes(self) -> int:
        """Bytes of images that may be kept in memory; one HDF5 chunk always may.

        By default as much as `cache_size` chunks take, but not more than 256 MiB.

        Examples
        --------
        >>> images = dcread.HDF5ImageCache(np.zeros((250, 80, 320), np.uint8))
        >>> images.max_bytes > 0
        True
        """
        return self._max_bytes

    @max_bytes.setter
    def max_bytes(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        if self._store is not None:
            self._store.set_limit(max_bytes)

    @property
    def reads_ahead(self) -> bool:
        """True if chunks are read ahead in order; False if a subclass makes them.

        Examples
        --------
        >>> images = dcread.HDF5ImageCache(np.zeros((250, 80, 320), np.uint8))
        >>> images.reads_ahead
        True
        """
        return self._store is not None

    @property
    def reader(self) -> Any:
        """Source of rows for other views; see `dcread.engine.reader_for`.

        Examples
        --------
        >>> images = dcread.HDF5ImageCache(np.zeros((250, 80, 320), np.uint8))
        >>> images.reader.shape
        (250, 80, 320)
        """
        return super().reader if self._store is None else self._source

    @property
    def _selected(self) -> Any:
        if self._store is None:
            return self.reader
        return SelectedImages(self._source, self._store, self._use_images)

    def _use_images(self, start: int, stop: int) -> None:
        """Note the use of the chunks of images."""
        for index in range(start // self.chunk_size, -(-stop // self.chunk_size)):
            self._order.use(index, self.cache_size)

    def __getitem__(self, index: Any) -> Any:
        image = self._glance(index) if type(index) is int else None
        return super().__getitem__(index) if image is None else image.copy()

    __getitem__.__doc__ = BaseImageChunkCache.__getitem__.__doc__

    def _glance(self, index: int) -> NDArray[Any] | None:
        """Return an image (a view) if that takes no lock and no loading."""
        store = self._store
        recent = None if store is None or self._closed else store.recent
        if store is None or recent is None:
            return None
        start, stop, first, reference = recent
        images = reference() if start <= index < stop else None
        if images is None:
            return None
        if self._handle is not None and self._handle.closed:
            return None
        if not store.last <= index <= store.last + 1:
            store.first = index
        store.last = index
        image: NDArray[Any] = images[index - first]
        return image

    def _image(self, index: int) -> NDArray[Any]:
        if self._store is None:
            return super()._image(index)
        return self._store.image(index)

    def _held(self, start: int, stop: int) -> NDArray[Any] | None:
        if self._store is None:
            return super()._held(start, stop)
        return self._store.held(start, stop)

    def _chunk(self, index: int) -> NDArray[Any]:
        if self._store is None:
            return super()._chunk(index)
        return self._store.chunk(index)

    def _glimpse(self, index: int) -> NDArray[Any] | None:
        image = super()._glimpse(index)
        if image is None and self._store is not None and is_near(self._near):
            image = self._source.read(slice(index, index + 1))[0]
        return image

    def _get_chunk_data(self, chunk_slice: slice) -> NDArray[Any]:
        """Return new images of a slice."""
        rows = range(*chunk_slice.indices(self._len))
        if not rows:
            return np.empty((0, *self.image_shape), self.dtype)
        return self._source.read(slice(rows[0], rows[-1] + 1, rows.step))

    def _raise_if_closed(self) -> None:
        handle = self._handle
        if self._closed or (handle is not None and handle.closed):
            super()._raise_if_closed()
            raise_if_closed(self._source)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} '{self._source.name}' of {self._source.filename}: "
            f"shape {self.shape}>"
        )
