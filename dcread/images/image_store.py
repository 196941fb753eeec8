"""The images of a reader in memory: image chunks, runs, HDF5 chunks, single images."""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine import RowReader, get_num_threads
from ..sync.loading_cache import LoadingCache

__all__ = ["ImageStore", "Recent", "Span"]

RUN_BYTES = 16 << 20
"""Bytes that are loaded together for a caller who asks for images in order."""

RUNS_AHEAD = 2
IN_ORDER = 2
"""Steps to the next image after which a caller is taken to ask for images in order."""

MOST_MET = 1024


class Span(NamedTuple):
    """Images that follow each other, not to be written."""

    start: int
    stop: int
    images: NDArray[Any]


class Recent(NamedTuple):
    """Images ``start .. stop - 1`` as long as the cache holds them.

    Attributes
    ----------
    first : int
        Number of the first image of the array.
    images : weakref.ref of ndarray
        The array, not to be written. (Otherwise, an array that the cache has dropped
        would stay, since other threads drop arrays at any time.)
    """

    start: int
    stop: int
    first: int
    images: weakref.ref[NDArray[Any]]


class ImageStore:
    """Images of a reader that are held in memory, within one budget.

    - Image chunks are what the caller asks for by `chunk`.
    - A single image costs the HDF5 chunk that it lies in, which is held. Of an HDF5
      chunk far from the last one, no more is decoded than is needed for the image,
      and nothing is held, until an image of it is asked for again.
    - Images in order are loaded in runs of HDF5 chunks, which decode in parallel; the
      next runs are loaded while the caller works.
    - Of a file that is far away, the slice after two that follow each other is loaded
      while the caller works; it is held until it is asked for.

    Parameters
    ----------
    reader : RowReader
        Source of the images.
    base : RowReader
        The same without index mapping: HDF5 chunks are those of the dataset that is
        mapped.
    rows : ndarray of int, optional
        The index mapping: for each image the row of `base`.
    chunk_size : int
        Images in an image chunk.
    max_bytes : int
        See `set_limit`.

    Attributes
    ----------
    cache : LoadingCache
        Holds the images.
    recent : Recent or None
        Images of the image chunk that was used last. Read it once, without a lock.
    first, last : int
        The images ``first .. last`` were asked for in order, `last` is the last one.
        Two threads may set them at once: no harm.
    """

    def __init__(
        self,
        reader: RowReader,
        base: RowReader,
        rows: NDArray[Any] | None,
        chunk_size: int,
        max_bytes: int,
    ) -> None:
        self._reader = reader
        self._base = base
        self._rows = rows
        self._length = reader.shape[0]
        self._chunk_size = chunk_size
        self._image_bytes = int(np.prod(base.shape[1:], dtype=object))
        self._image_bytes = max(1, self._image_bytes * base.dtype.itemsize)
        self._height = max(1, base.block_rows)
        self.cache = LoadingCache(max(max_bytes, self._height * self._image_bytes))
        self._has_chunks = self._has_runs = False  # ever loaded
        self.recent: Recent | None = None
        self.first = self.last = self._last_chunk = -2
        self._ahead: dict[tuple[int, int], tuple[str, int, int, int]] = {}  # a slice
        self._serial = itertools.count()
        self._met: set[int] = set()  # HDF5 chunks of which only one image was decoded

    def set_limit(self, max_bytes: int) -> None:
        """Set how many bytes may be held; one HDF5 chunk is always allowed."""
        self.cache.limit = max(max_bytes, self._height * self._image_bytes)

    def chunk(self, index: int) -> NDArray[Any]:
        """Return the images of an image chunk; the next one is loaded ahead."""
        size = self._chunk_size
        starts = range(index * size, self._length, size)
        keys = [("chunk", start) for start in starts[:2]]
        span: Span | None = self.cache.use(keys[0])
        self.recent = None
        in_order = index == self._last_chunk + 1
        self._last_chunk = index
        self._has_chunks = True
        if span is None or in_order:
            load = functools.partial(_load, self._reader, size)
            weight = size * self._image_bytes
            room_for_both = 2 * weight <= (self.cache.limit or 0)
            if in_order and span is None and self._is_remote and room_for_both:
                # Bytes of the next one are on their way while this one is decoded.
                self.cache.read_ahead(keys, load, weight, at_once=2)
            if span is None:
                span = self.cache.get(keys[0], lambda: load(keys[0]), weight)
            if in_order:
                self.cache.read_ahead(keys, load, weight)
        return span.images

    def image(self, index: int) -> NDArray[Any]:
        """Return an image (a view)."""
        span = self._find(index)
        image: NDArray[Any] = span.images[index - span.start]
        return image

    def images(self, start: int, stop: int) -> Iterator[NDArray[Any]]:
        """Return images that follow each other, some at a time (views)."""
        while start < stop:
            span = self._find(start)
            part = span.images[start - span.start : stop - span.start]
            start += len(part)
            self.last = start - 1
            yield part

    def take_slice(self, start: int, stop: int) -> NDArray[Any] | None:
        """Return images that `read_on` has loaded or is loading, for who asks first."""
        key = self._ahead.pop((start, stop), None)
        if key is None:
            return None
        load = functools.partial(_load_slice, self._reader, key)
        images: NDArray[Any] = self.cache.get(
            key, load, (stop - start) * self._image_bytes
        )
        self.cache.drop(key)
        return images

    def read_on(self, start: int, stop: int) -> None:
        """Load the slice after one in the background, if the file is far away."""
        ahead, self._ahead = self._ahead, {}
        self.cache.drop(*ahead.values())  # nobody wanted them
        end = min(2 * stop - start, self._length)
        weight, limit = (end - stop) * self._image_bytes, self.cache.limit or 0
        handle = self._base.handle
        source = None if handle is None else handle.source
        if source is None or not source.is_far or not 0 < weight <= limit:
            return
        key = ("slice", stop, end, next(self._serial))  # never that of another one
        self._ahead = {(stop, end): key}
        load = functools.partial(_load_slice, self._reader)
        self.cache.read_ahead([("slice", start, stop), key], load, weight)

    @property
    def _is_remote(self) -> bool:
        """Whether the images lie on a server."""
        handle = self._base.handle
        return handle is not None and handle.is_remote

    def held(self, start: int, stop: int) -> NDArray[Any] | None:
        """Return images (a view) if they lie in an image chunk that is held."""
        first = start - start % self._chunk_size
        span = self.cache.peek(("chunk", first))
        if span is None or stop > span.stop:
            return None
        images: NDArray[Any] = span.images[start - first : stop - first]
        return images

    def pass_over(self, start: int, stop: int) -> None:
        """Note images that were read without this store."""
        self._note(start)
        self.last = stop - 1

    def _note(self, index: int) -> None:
        """Note which image is asked for."""
        if not self.last <= index <= self.last + 1:
            self.first = index
        self.last = index

    def _find(self, index: int) -> Span:
        """Return an image and its neighbours, as far as they are there."""
        before = self.last
        self._note(index)
        in_order = self.last - self.first >= IN_ORDER
        chunk_start = index - index % self._chunk_size
        span: Span | None = None
        if self._has_chunks:
            span = self.cache.use(("chunk", chunk_start))
        if span is None and self._has_runs:
            span = self._held_run(index, in_order=in_order)
        if span is None:
            span = self._find_block(index, before, in_order=in_order)
        # nothing of another image chunk: the cache keeps book of their use
        low = max(span.start, chunk_start)
        high = min(span.stop, chunk_start + self._chunk_size)
        self.recent = Recent(low, high, span.start, weakref.ref(span.images))
        return span

    def _held_run(self, index: int, *, in_order: bool) -> Span | None:
        size = self._run_length()
        span: Span | None = self.cache.use(("run", index - index % size))
        if span is None or not span.start <= index < span.stop:
            return None
        if in_order:
            self._read_ahead(index, size)
        return span

    def _load_run(self, index: int) -> Span | None:
        """Return the run of an image, from its HDF5 chunk on; None if it has begun."""
        size = self._run_length()
        first = index - index % size
        start = index - index % self._height if self._rows is None else index
        stop = min(first + size, self._length)
        load = functools.partial(_read, self._reader, start, stop)
        weight = (stop - start) * self._image_bytes
        span: Span = self.cache.get(("run", first), load, weight)
        if not span.start <= index < span.stop:  # it began behind the image
            return None
        self._read_ahead(index, size)
        return span

    def _read_ahead(self, index: int, size: int) -> None:
        self._has_runs = True
        starts = range(index - index % size, self._length, size)[: RUNS_AHEAD + 1]
        keys = [("run", start) for start in starts]
        load = functools.partial(_load, self._reader, size)
        self.cache.read_ahead(keys, load, size * self._image_bytes)

    def _run_length(self) -> int:
        """Return how many images are loaded together for a caller in order."""
        block_bytes = self._height * self._image_bytes
        blocks = max(2 * get_num_threads(), RUN_BYTES // block_bytes)
        most = (self.cache.limit or 0) // 2 // block_bytes
        return max(1, min(blocks, most)) * self._height

    def _row(self, index: int) -> int:
        """Return the row of `base` that an image lies in."""
        return index if self._rows is None else int(self._rows[index])

    def _find_block(self, index: int, before: int, *, in_order: bool) -> Span:
        """Return the HDF5 chunk of an image if it is held; else load it, or a run."""
        row = self._row(index)
        start = row - row % self._height
        block: Span | None = self.cache.use(("block", start))
        if block is None:
            if in_order:
                run = self._load_run(index)
                if run is not None:
                    return run
                before = index
            block = self._load_block(row, start, before)
        if self._rows is None:
            return block
        place = row - block.start  # behind an index mapping, a single image
        return Span(index, index + 1, block.images[place : place + 1])

    def _load_block(self, row: int, start: int, before: int) -> Span:
        """Return the HDF5 chunk that begins at a row, or a row alone (not held)."""
        if self._is_apart(start, before):
            self._met.add(start)
            return _read(self._base, row, row + 1)
        stop = min(start + self._height, self._base.shape[0])
        load = functools.partial(_read, self._base, start, stop)
        weight = (stop - start) * self._image_bytes
        span: Span = self.cache.get(("block", start), load, weight)
        return span

    def _is_apart(self, start: int, before: int) -> bool:
        """Tell whether to decode no more of an HDF5 chunk than is needed.

        That is if it lies far from the one of the image that was asked for before, and
        none of its images was asked for so far.
        """
        if 0 <= before < self._length:
            row = self._row(before)
            if abs(start - (row - row % self._height)) <= self._height:
                return False
        elif start <= 0:
            return False
        if start in self._met or not self._base.stops_early:
            return False
        if len(self._met) >= MOST_MET:
            self._met.clear()
        return True


def _load(reader: RowReader, size: int, key: tuple[str, int]) -> Span:
    """Load the chunk or run of a key."""
    start = key[1]
    return _read(reader, start, min(start + size, reader.shape[0]))


def _load_slice(reader: RowReader, key: tuple[str, int, int, int]) -> NDArray[Any]:
    """Load the slice of a key, for one caller, who may write to it."""
    return reader.read(slice(key[1], key[2], 1))


def _read(reader: RowReader, start: int, stop: int) -> Span:
    images = reader.read(slice(start, stop, 1))
    images.flags.writeable = False
    return Span(start, stop, images)
