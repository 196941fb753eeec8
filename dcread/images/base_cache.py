"""A cache of image chunks: the least recently used one leaves first."""

from __future__ import annotations

import abc
import contextlib
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..arrays.index_expression import select
from ..engine import RowReader, Rows, Window
from ..errors import ClosedError
from ..sync.loading_cache import LoadingCache
from . import display
from .chunk_map import ChunkMap, ChunkOrder

__all__ = ["BaseImageChunkCache"]


class BaseImageChunkCache(abc.ABC):
    """Cache of images in chunks: the chunks used last are kept in memory.

    Subclasses implement `_get_chunk_data`. Many threads may share one cache: a
    chunk is loaded by one of them while the others wait, and there are never more
    than `cache_size` chunks in memory, those that are being loaded included.

    Parameters
    ----------
    shape : tuple of int
        (events, ...); usually (events, height, width).
    chunk_size : int
        Images in a chunk; at most the number of all images is used.
    cache_size : int
        Chunks to keep.

    Attributes
    ----------
    shape, image_shape, chunk_shape : tuple of int
        Of all images, of one image, of a full chunk.
    chunk_size, cache_size, num_chunks : int
        Images in a full chunk, chunks to keep, number of all chunks.

    Raises
    ------
    ValueError
        If `chunk_size` or `cache_size` is below 1.

    Examples
    --------
    What computes images needs one method:

    >>> class Ramp(dcread.BaseImageChunkCache):
    ...     def _get_chunk_data(self, chunk_slice):
    ...         values = np.arange(chunk_slice.start, chunk_slice.stop, dtype=np.uint8)
    ...         return np.broadcast_to(values[:, None, None], (len(values), 80, 320))
    >>> ramp = Ramp((250, 80, 320), chunk_size=100)
    >>> int(ramp[200].max()), ramp.get_chunk(2).shape
    (200, (50, 80, 320))
    """

    def __init__(
        self, shape: tuple[int, ...], chunk_size: int = 1000, cache_size: int = 2
    ) -> None:
        for name, value in (("chunk_size", chunk_size), ("cache_size", cache_size)):
            if operator.index(value) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}")
        self.shape = tuple(shape)
        self._dtype: np.dtype[Any] | None = None
        self._len = int(self.shape[0])
        self.cache_size = operator.index(cache_size)
        self.chunk_size = min(self._len, operator.index(chunk_size))
        self.image_shape = self.shape[1:]
        self.chunk_shape = (self.chunk_size, *self.image_shape)
        self.num_chunks = -(-self._len // (self.chunk_size or 1))
        self._order = ChunkOrder()
        self._loaded = self._new_cache()
        self._closed = False

    def _new_cache(self) -> LoadingCache:
        """Return what holds chunks, by their index."""
        return LoadingCache(self.cache_size)

    @property
    def cache(self) -> ChunkMap:
        """Chunk index to chunk, `cache_size` at the most; the last used one is last.

        Examples
        --------
        >>> zeros = np.zeros((250, 80, 320), np.uint8)
        >>> images = dcread.HDF5ImageCache(zeros, chunk_size=100)
        >>> images.get_chunk(1).shape, list(images.cache)
        ((100, 80, 320), [1])
        """
        return ChunkMap(self._order, self.get_chunk, self._loaded.clear)

    @property
    def reader(self) -> Any:
        """Source of rows for other views; see `dcread.engine.reader_for`.

        Examples
        --------
        >>> images = dcread.HDF5ImageCache(np.zeros((250, 80, 320), np.uint8))
        >>> images.reader.shape
        (250, 80, 320)
        """
        return ChunkRows(self)

    @property
    def _selected(self) -> Any:
        """Reader for selections of several images."""
        return self.reader

    @abc.abstractmethod
    def _get_chunk_data(self, chunk_slice: slice) -> NDArray[Any]:
        """Return new images of a slice (to be implemented by subclasses).

        Parameters
        ----------
        chunk_slice : slice
            ``slice(start, stop)``; `stop` may lie beyond the last image.
        """

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the images.

        Examples
        --------
        >>> images = dcread.HDF5ImageCache(np.zeros((250, 80, 320), np.uint8))
        >>> images.dtype
        dtype('uint8')
        """
        if self._dtype is None:
            if self._len:
                self._dtype = self.get_chunk(0).dtype
            else:
                self._dtype = np.asarray(self._get_chunk_data(slice(0, 0))).dtype
        return self._dtype

    @property
    def ndim(self) -> int:
        """Number of axes.

        Examples
        --------
        >>> images = dcread.HDF5ImageCache(np.zeros((250, 80, 320), np.uint8))
        >>> images.ndim
        3
        """
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels of all images.

        Examples
        --------
        >>> images = dcread.HDF5ImageCache(np.zeros((250, 80, 320), np.uint8))
        >>> images.size == 250 * 80 * 320
        True
        """
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """Bytes of all images in memory.

        Examples
        --------
        >>> images = dcread.HDF5ImageCache(np.zeros((250, 80, 320), np.uint8))
        >>> images.nbytes == 250 * 80 * 320
        True
        """
        return self.size * self.dtype.itemsize

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of a stored HDF5 chunk; None where images are not stored in chunks.

        `chunk_size` is what the cache loads together: as many of these chunks as fit.

        Examples
        --------
        >>> with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
        ...     hd["mask"].chunks == hd.h5["events/mask"].chunks
        True
        """
        chunks: tuple[int, ...] | None = self.reader.chunks
        return chunks

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Iterate over the images; each is a new array."""
        return (self[index] for index in range(self._len))

    def __getitem__(self, index: Any) -> Any:
        """Return what NumPy would return for an array of the same images.

        Parameters
        ----------
        index : object
            Whatever NumPy takes between brackets.

        Returns
        -------
        ndarray or scalar
            New memory: writing into it changes nothing here.

        Raises
        ------
        IndexError, TypeError, ValueError
            Where NumPy raises them.
        ClosedError
            After `close`, or when the file is closed.
        """
        self._raise_if_closed()
        if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
            with contextlib.suppress(TypeError):  # numpy.timedelta64 is no index
                index = self._check_image(operator.index(index))
                image = self._image(index)
                self._order.use(index // self.chunk_size, self.cache_size)
                return image.copy() if image.base is not None else image
        try:
            return select(self._selected, index)
        except IndexError as exc:
            if "out of bounds" in str(exc):
                raise IndexError(
                    f"{exc} (out of bounds for HDF5ImageCache of size {self._len})"
                ) from None
            raise

    def _image(self, index: int) -> NDArray[Any]:
        """Return an image, either new or as a view that is not to be written."""
        chunk_index, sub_index = divmod(index, self.chunk_size)
        image: NDArray[Any] = self.get_chunk(chunk_index)[sub_index]
        return image

    def _held(self, start: int, stop: int) -> NDArray[Any] | None:
        """Return images (a view) if they lie in a chunk that is in memory."""
        chunk_index, offset = divmod(start, self.chunk_size)
        chunk: NDArray[Any] | None = self._loaded.peek(chunk_index)
        if chunk is None or offset + stop - start > len(chunk):
            return None
        return chunk[offset : offset + stop - start]

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        if copy is False:
            raise ValueError(f"{self} has to be read: an array needs a copy")
        data: NDArray[Any] = self[:]
        return data if dtype is None else data.astype(dtype, copy=False)

    def _check_image(self, index: int) -> int:
        if not -self._len <= index < self._len:
            raise IndexError(
                f"Index {index} out of bounds for HDF5ImageCache of size {self._len}: "
                f"{self!r}"
            )
        return index % self._len

    def _get_chunk_index_for_index(self, index: int) -> tuple[int, int]:
        """Return the chunk of an image, and its place there."""
        return divmod(self._check_image(operator.index(index)), self.chunk_size)

    def get_chunk_size(self, chunk_index: int) -> int:
        """Return the number of images in a chunk.

        Parameters
        ----------
        chunk_index : int
            Number of the chunk.

        Returns
        -------
        int

        Raises
        ------
        IndexError
            If there is no such chunk.

        Examples
        --------
        >>> zeros = np.zeros((250, 80, 320), np.uint8)
        >>> images = dcread.HDF5ImageCache(zeros, chunk_size=100)
        >>> [images.get_chunk_size(number) for number in range(images.num_chunks)]
        [100, 100, 50]
        """
        chunk_slice = self.get_chunk_slice(self._check_chunk(chunk_index))
        return int(min(chunk_slice.stop, self._len) - chunk_slice.start)

    def get_chunk_slice(self, chunk_index: int) -> slice:
        """Return the slice of the images of a full chunk.

        Parameters
        ----------
        chunk_index : int
            Number of the chunk, which need not exist.

        Returns
        -------
        slice
            Of image numbers; that of the last chunk may go beyond the end.

        Examples
        --------
        >>> zeros = np.zeros((250, 80, 320), np.uint8)
        >>> images = dcread.HDF5ImageCache(zeros, chunk_size=100)
        >>> images.get_chunk_slice(1)
        slice(100, 200, None)
        """
        start = self.chunk_size * chunk_index
        return slice(start, start + self.chunk_size)

    def iter_chunks(self) -> Iterator[int]:
        """Iterate over the chunk indices.

        Returns
        -------
        iterator of int

        Examples
        --------
        >>> zeros = np.zeros((250, 80, 320), np.uint8)
        >>> images = dcread.HDF5ImageCache(zeros, chunk_size=100)
        >>> [len(images.get_chunk(number)) for number in images.iter_chunks()]
        [100, 100, 50]
        """
        return iter(range(self.num_chunks))

    def _check_chunk(self, chunk_index: int) -> int:
        index = operator.index(chunk_index)
        if not 0 <= index < self.num_chunks:
            raise IndexError(
                f"Chunk index {index} out of bounds for HDF5ImageCache: {self!r} only "
                f"has {self.num_chunks} chunks!"
            )
        return index

    def get_chunk(self, chunk_index: int) -> NDArray[Any]:
        """Return one chunk of images.

        Parameters
        ----------
        chunk_index : int
            0 to `num_chunks` - 1.

        Returns
        -------
        ndarray
            Shape (images, ...), type `dtype`. The cached array itself, read-only: copy
            it to change it.

        Raises
        ------
        IndexError
            If there is no such chunk.
        ClosedError
            After `close`, or when the file is closed.

        Examples
        --------
        >>> zeros = np.zeros((250, 80, 320), np.uint8)
        >>> images = dcread.HDF5ImageCache(zeros, chunk_size=100)
        >>> images.get_chunk(2).shape
        (50, 80, 320)
        """
        index = self._check_chunk(chunk_index)
        self._raise_if_closed()
        chunk = self._chunk(index)
        self._order.use(index, self.cache_size)
        return chunk

    def _chunk(self, index: int) -> NDArray[Any]:
        """Return a chunk out of memory, or load it."""
        return self._loaded.get(index, lambda: self._load(index), 1)

    def _load(self, index: int) -> NDArray[Any]:
        start = index * self.chunk_size
        stop = min(start + self.chunk_size, self._len)
        data = np.asarray(self._get_chunk_data(slice(start, stop))).view()
        data.flags.writeable = False
        return data

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise ClosedError(f"{self!r} is closed; open the measurement again")

    def close(self) -> None:
        """Drop all images and end what runs in the background; twice is fine.

        Examples
        --------
        >>> zeros = np.zeros((250, 80, 320), np.uint8)
        >>> images = dcread.HDF5ImageCache(zeros, chunk_size=100)
        >>> _ = images[0]
        >>> images.close()
        >>> len(images.cache)
        0
        """
        self._closed = True
        self._loaded.close()
        self._order.clear()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: shape {self.shape}>"

    def _repr_html_(self) -> str:
        return display.as_html(self, self._known_dtype, self._glimpse)

    @property
    def _known_dtype(self) -> np.dtype[Any] | None:
        """Data type, if it is known without loading anything."""
        return self._dtype

    def _glimpse(self, index: int) -> NDArray[Any] | None:
        """Return an image (maybe a view) if that takes no more than a moment."""
        self._raise_if_closed()
        held = self._held(index, index + 1)
        return None if held is None else held[0]


class ChunkRows(RowReader):
    """Rows of an image cache, taken out of its chunks."""

    def __init__(self, cache: BaseImageChunkCache) -> None:
        self._cache = cache
        self.shape = cache.shape
        self.name = type(cache).__name__

    @property
    def dtype(self) -> np.dtype[Any]:  # type: ignore[override]
        """Data type of the images."""
        return self._cache.dtype

    @property
    def block_rows(self) -> int:  # type: ignore[override]
        """How many rows are made together (a chunk)."""
        return max(1, self._cache.chunk_size)

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read rows; each chunk is asked for once."""
        chunks, places = np.divmod(rows.numbers, self.block_rows)
        order = np.argsort(chunks, kind="stable")
        wanted, starts = np.unique(chunks[order], return_index=True)
        rest = window or ()
        for chunk, mine in zip(wanted, np.split(order, starts[1:]), strict=False):
            data = self._cache.get_chunk(int(chunk))
            out[mine] = data[(slice(None), *rest)][places[mine]]

    def map_blocks(
        self,
        rows: slice,
        func: Callable[[int, NDArray[Any]], None],
        window: Window = None,
    ) -> None:
        """Call ``func(first_row, block)`` for blocks that cover `rows` (step 1)."""
        start = rows.start
        while start < rows.stop:
            stop = min(rows.stop, (start // self.block_rows + 1) * self.block_rows)
            func(start, self.read(slice(start, stop), window=window))
            start = stop
