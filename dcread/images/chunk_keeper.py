"""Chunks in memory: each made by one thread, the least recently used ones dropped."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ..sync.turns import Turn
from .chunk_map import ChunkMap

__all__ = ["ChunkKeeper"]


class ChunkKeeper:
    """Keeps chunks; subclasses make them with `_load`.

    Parameters
    ----------
    cache_size : int
        How many chunks there are at the most, those in the making included.
    """

    def __init__(self, cache_size: int) -> None:
        self.cache_size = cache_size
        self._turn = Turn()
        self.cache = ChunkMap(self._get, self._turn)
        self._last = -1  # the chunk that was used last
        self._awaited = -1  # the chunk that a thread began to wait for last
        self._closed = False

    def _load(self, index: int) -> NDArray[Any]:
        """Make a chunk."""
        raise NotImplementedError

    def _get(self, index: int) -> NDArray[Any]:
        """Return a chunk, made now if it is not in memory."""
        with self._turn:
            data = self.cache.held(index)
            if data is not None:
                self.cache.move_to_end(index)
                self._last = index
                return data
            data = self._wait_for(index)
        if data is None:
            data = self._make(index)
        self._after(index)
        return data

    def _wait_for(self, index: int) -> NDArray[Any] | None:
        """Return a chunk that others make, or None once the caller may make it."""
        while True:
            data = self.cache.held(index)
            if data is None:
                data = self._take_ahead(index)
            if data is not None:
                self._put(index, data)
                return data
            if index not in self._turn.busy and self._make_room():
                self._turn.busy[index] = 0
                return None
            self._awaited = index
            self._turn.wait()

    def _make_room(self) -> bool:
        """Drop chunks until there is room for another; False if there is none."""
        while self._count() >= self.cache_size:
            if not self._drop_ahead() and not self.cache.let_go():
                return False
        return True

    def _count(self) -> int:
        """Return how many chunks take memory, those in the making included."""
        return self.cache.count_held() + len(self._turn.busy)

    def _take_ahead(self, index: int) -> NDArray[Any] | None:
        """Return a chunk that was made before it was asked for (see subclasses)."""
        return None

    def _drop_ahead(self) -> bool:
        """Drop what was made before it was asked for; False if there is nothing."""
        return False

    def _after(self, index: int) -> None:
        """Note that a chunk was asked for that was not held (see subclasses)."""
        return

    def _put(self, index: int, data: NDArray[Any] | None) -> None:
        """Make a chunk the last used one."""
        if self._closed:
            return
        self.cache[index] = data
        self.cache.move_to_end(index)
        self._last = index
        while len(self.cache) > self.cache_size:
            self.cache.popitem(last=False)

    def _touch(self, index: int) -> NDArray[Any] | None:
        """Make a chunk the last used one; return it if it is in memory."""
        with self._turn:
            data = self.cache.held(index)
            self._put(index, data)
        return data

    def _make(self, index: int) -> NDArray[Any]:
        try:
            data = self._load(index)
        except BaseException:
            with self._turn:
                self._turn.done([index])
            raise
        with self._turn:
            self._put(index, data)
            self._turn.done([index])
        return data
