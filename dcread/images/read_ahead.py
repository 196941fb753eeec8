"""A cache that makes the next chunk while the caller works on this one."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from typing import Any

from numpy.typing import NDArray

from ..sync.locks import letting_go
from .base_cache import BaseImageChunkCache
from .chunk_memory import ChunkMemory

__all__ = ["ReadAheadCache"]

_PATIENCE = 2.0  # seconds that a chunk ahead waits for the caller to let one go


class ReadAheadCache(BaseImageChunkCache):
    """A cache whose chunks are read into memory that it gives.

    Chunks that are asked for in order are read ahead by a thread that ends with
    its chunk, or with the last one that a caller waited for. The chunk ahead takes
    the place of the least recently used one (whose index stays in `cache`), so that
    `cache_size` bounds the memory still; the thread waits until the caller, too, has
    let go of it.

    Subclasses implement `_read_chunk`.
    """

    _reads_ahead = True  # False where a subclass makes its own chunks

    def __init__(
        self, shape: tuple[int, ...], chunk_size: int = 1000, cache_size: int = 2
    ) -> None:
        super().__init__(shape, chunk_size, cache_size)
        self._last_made = -2
        self._ahead: tuple[int, NDArray[Any]] | None = None
        self._ahead_thread: threading.Thread | None = None
        self._memory: ChunkMemory | None = None
        self._process = os.getpid()

    def _read_chunk(self, rows: slice, out: NDArray[Any]) -> None:
        """Read the images of a slice into an array."""
        raise NotImplementedError

    def _get_memory(self) -> ChunkMemory:
        # A forked child begins anew: a thread that is not there may wait in there.
        memory = self._memory  # `close` may take it away meanwhile
        if memory is None or self._process != os.getpid():
            self._process = os.getpid()
            nbytes = math.prod(self.chunk_shape) * self.dtype.itemsize
            memory = self._memory = ChunkMemory(nbytes, self.cache_size)
        return memory

    def _load(self, index: int) -> NDArray[Any]:
        if not self._reads_ahead:
            return super()._load(index)
        shape = (self.get_chunk_size(index), *self.image_shape)
        return self._fill(index, self._get_memory().new(shape, self.dtype))

    def _fill(self, index: int, out: NDArray[Any]) -> NDArray[Any]:
        start = index * self.chunk_size
        self._read_chunk(slice(start, start + len(out), 1), out)
        out.flags.writeable = False
        return out

    def _take_ahead(self, index: int) -> NDArray[Any] | None:
        if self._ahead is not None and self._ahead[0] == index:
            data, self._ahead = self._ahead[1], None
            return data
        memory = self._memory
        if index in self._turn.busy and memory is not None:
            # the thread may wait for a chunk that the caller does not let go
            memory.give_up()
        return None

    def _drop_ahead(self) -> bool:
        dropped, self._ahead = self._ahead is not None, None
        return dropped

    def _count(self) -> int:
        return super()._count() + (self._ahead is not None)

    def _after(self, index: int) -> None:
        """Let a thread make the next chunk if chunks are asked for in order."""
        with self._turn:
            in_order = index == self._last_made + 1
            self._last_made = index
            working = self._ahead_thread is not None and self._ahead_thread.is_alive()
            if not in_order or working or not self._claim_ahead(index + 1):
                return
            memory = self._get_memory()
            thread = threading.Thread(
                target=self._make_ahead, args=(index + 1, memory), name="dcread-ahead"
            )
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down
                self._turn.done([index + 1])
                return
            self._ahead_thread = thread

    def _claim_ahead(self, index: int) -> bool:
        """Tell whether a chunk is to be made ahead; if so, note it and make room."""
        if (
            not (self._reads_ahead and self.cache_size > 1)
            or self._closed
            or index >= self.num_chunks
            or self.cache.held(index) is not None
            or self._ahead is not None
            or self._turn.busy
        ):
            return False
        if self._count() >= self.cache_size:
            self.cache.let_go()
        self._turn.busy[index] = 0
        return True

    def _make_ahead(self, index: int, memory: ChunkMemory) -> None:
        wanted = True
        while wanted:
            data = self._fill_ahead(index, memory)
            with self._turn:
                # A caller who waits for it wants the next one as soon.
                wanted = data is not None and self._awaited == index
                if wanted:
                    self._put(index, data)
                elif data is not None and not self._closed:
                    self._ahead = (index, data)
                self._turn.done([index])
                data = None
                index += 1
                wanted = wanted and self._claim_ahead(index)

    def _fill_ahead(self, index: int, memory: ChunkMemory) -> NDArray[Any] | None:
        # Who asks for the chunk tries again, and gets the error then.
        with contextlib.suppress(Exception):
            shape = (self.get_chunk_size(index), *self.image_shape)
            data = memory.wait_for_new(shape, self.dtype, _PATIENCE)
            if data is not None:
                return self._fill(index, data)
        return None

    def close(self) -> None:
        """Drop all chunks and end what runs in the background; twice is fine."""
        with self._turn:
            self._closed = True
            thread, memory = self._ahead_thread, self._memory
        if thread is not None and thread is not threading.current_thread():
            if memory is not None:
                memory.give_up()
            with letting_go():
                thread.join()
        with self._turn:
            self._ahead = self._ahead_thread = self._memory = None
        super().close()
