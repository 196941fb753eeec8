"""Threads take turns at a basin: one opens it, the others wait or go on without it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import BasinNotAvailableError
from ..sync.locks import BriefLock, letting_go

PATIENCE_SECONDS = 1.0
"""How long `keys` and the like wait for another thread that opens a basin."""


class BusyError(BasinNotAvailableError):
    """Another thread is still opening the basin."""


class Turns(BriefLock):
    """The turns of the threads that want to open one basin.

    Held for long, since a plugin may take long: use `in_turn`. A forked child finds
    that it is nobody's turn.
    """

    __slots__ = ()

    _kind = staticmethod(threading.Lock)

    def in_turn(self, patience: float | None) -> _InTurn:
        """Keep other threads from opening the basin as well, in a ``with`` block.

        Parameters
        ----------
        patience : float or None
            How many seconds to wait for another thread; None for ever.

        Raises
        ------
        BusyError
            If another thread is still at it by then.
        """
        turn = _InTurn()
        turn._lock, turn.__exit__ = self._lock, self._lock.__exit__
        turn._seconds = -1.0 if patience is None else max(0.0, patience)
        return turn


class _InTurn:
    """What `Turns.in_turn` gives; no interrupt makes a turn last (see `BriefLock`)."""

    __slots__ = ("__exit__", "_lock", "_seconds")
    __exit__: Callable[..., None]
    _lock: threading.Lock
    _seconds: float

    def __enter__(self) -> None:
        taken: list[bool] = []
        acquire = self._lock.acquire
        try:
            taken.extend(map(acquire, (False,)))
            if not any(taken):
                letting_go(taken.extend, map(acquire, (True,), (self._seconds,)))
            if not any(taken):
                raise BusyError("it is still being opened for another thread")
        except BaseException:
            if any(taken):
                self._lock.release()
            raise
