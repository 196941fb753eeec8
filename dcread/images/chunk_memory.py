"""Memory for chunks, used again as soon as nobody looks at it."""

from __future__ import annotations

import math
import queue
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..engine.buffer_pool import Lease, empty

__all__ = ["ChunkMemory"]


class ChunkMemory:
    """Blocks of memory of one size, a limited number of them.

    New memory costs time (the system clears it page by page), so that blocks go
    round: an array made by `new` gives its block back when it and all views of it
    are gone.

    Parameters
    ----------
    nbytes : int
        Size of a block.
    limit : int
        How many blocks there may be, those in use included, for a free one to be
        kept.
    """

    def __init__(self, nbytes: int, limit: int) -> None:
        self.nbytes = nbytes
        self._limit = limit
        self._blocks: dict[int, None] = {}  # their ids; its methods are atomic
        self._taker = weakref.WeakMethod(self._take_back)
        # its `put` may be called by the garbage collector at any time
        self._free: queue.SimpleQueue[NDArray[np.uint8] | None] = queue.SimpleQueue()

    def new(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an uninitialised array, whether or not a block is free."""
        block = self._take()
        return self._array(self._make() if block is None else block, shape, dtype)

    def wait_for_new(
        self, shape: tuple[int, ...], dtype: DTypeLike, timeout: float
    ) -> NDArray[Any] | None:
        """Return an uninitialised array once there is a block within the limit.

        Returns
        -------
        ndarray or None
            None if none came free in time, or `give_up` was called.
        """
        block = self._take()
        if block is None:
            if len(self._blocks) < self._limit:
                block = self._make()
            else:
                try:
                    block = self._free.get(timeout=timeout)
                except queue.Empty:
                    return None
        return None if block is None else self._array(block, shape, dtype)

    def give_up(self) -> None:
        """Let who waits for memory go without."""
        self._free.put(None)

    def _take(self) -> NDArray[np.uint8] | None:
        while True:
            try:
                block = self._free.get_nowait()
            except queue.Empty:
                return None
            if block is not None:
                return block

    def _make(self) -> NDArray[np.uint8]:
        block = empty((self.nbytes,), np.dtype(np.uint8))
        self._blocks[id(block)] = None
        return block

    def _array(
        self, block: NDArray[np.uint8], shape: tuple[int, ...], dtype: DTypeLike
    ) -> NDArray[Any]:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        lent = np.asarray(Lease(block, self._taker))
        return lent[:size].view(dtype).reshape(shape)

    def _take_back(self, block: NDArray[np.uint8]) -> None:
        if len(self._blocks) > self._limit or self._free.qsize() >= self._limit:
            self._blocks.pop(id(block), None)
        else:
            self._free.put(block)
