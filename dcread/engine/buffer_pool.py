"""Large outputs in memory that was used before.

The system hands out fresh memory page by page, each cleared at its first touch: for
decoded images that takes a tenth of the time of decoding. An array made here returns
its memory to a small store when its last view is gone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = 2**19
"""Bytes from which on an array is worth it."""

STORE = 2**26
"""Bytes that the store holds at the most."""

_store: deque[NDArray[np.uint8]] = deque()  # its methods are atomic; newest last


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array that is not initialised, like `numpy.empty`."""
    size = math.prod(shape) * dtype.itemsize
    if not LEAST <= size <= STORE or dtype.hasobject:
        return np.empty(shape, dtype)
    raw = _take(size)
    if raw is None:
        _drop(size)
        raw = np.empty(size, np.uint8)
    return np.ndarray(shape, dtype, buffer=np.asarray(Lease(raw, _taker)))


Taker = Callable[[NDArray[np.uint8]], None]


class Lease:
    """The base of an array, and so of all its views; its end is that of the last.

    It must not be an array: NumPy passes over those to what lies below, and the base
    would be gone too early.

    Parameters
    ----------
    raw : ndarray of uint8
        The memory that is lent.
    taker : callable
        Asked at the end who takes the memory back (None: nobody is there any more).
    """

    __slots__ = ("__array_interface__", "_raw", "_taker")

    def __init__(
        self, raw: NDArray[np.uint8], taker: Callable[[], Taker | None]
    ) -> None:
        self._raw = raw
        self._taker = taker
        self.__array_interface__ = raw.__array_interface__

    def __del__(self) -> None:
        if not hasattr(self, "_taker"):
            return  # it was interrupted while it was made
        take_back = self._taker()
        if take_back is not None:
            take_back(self._raw)


def _taker() -> Taker | None:
    return _give_back  # None while the interpreter shuts down


def _take(size: int) -> NDArray[np.uint8] | None:
    """Take memory of about this size out of the store, or None.

    What was used last comes first: it may still be in the processor's cache.
    """
    for _ in range(len(_store)):
        try:
            raw = _store.pop()
        except IndexError:  # another thread was quicker
            return None
        if size <= raw.nbytes <= size + size // 8:
            return raw
        _store.appendleft(raw)
    return None


def _drop(size: int) -> None:
    """Free memory of the store, so that the process does not grow by new memory."""
    while size > 0:
        try:
            size -= _store.popleft().nbytes
        except IndexError:
            return


def _give_back(raw: NDArray[np.uint8]) -> None:
    """Put memory into the store; what was put there first has to make room."""
    _store.append(raw)
    while True:
        try:
            if sum(item.nbytes for item in tuple(_store)) <= STORE:
                return
            _store.popleft()
        except RuntimeError:  # another thread changed it while we looked at it
            continue
        except IndexError:
            return
