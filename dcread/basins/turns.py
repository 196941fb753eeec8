"""Threads take turns at a basin: one opens it, the others wait or go on without it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from ..errors import BasinNotAvailableError
from ..sync.locks import BriefLock, letting_go

PATIENCE_SECONDS = 1.0
"""How long `keys` and the like wait for another thread that opens a basin."""


class BusyError(BasinNotAvailableError):
    """Another thread is still opening the basin."""


class _Turn:
    """One thread's turn to open a basin, while others wait."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.process = os.getpid()


class Turns:
    """The turns of the threads that want to open one basin.

    No lock is held during a turn: a plugin may take long.

    Parameters
    ----------
    lock : BriefLock
        Held while a turn is taken.
    """

    def __init__(self, lock: BriefLock) -> None:
        self._lock = lock
        self._turn: _Turn | None = None

    @contextlib.contextmanager
    def in_turn(self, patience: float | None) -> Iterator[None]:
        """Keep other threads from opening the basin as well.

        Raises
        ------
        BusyError
            If another thread is still at it after that many seconds.
        """
        until = None if patience is None else time.monotonic() + patience
        turn = _Turn()
        try:
            while True:
                with self._lock:
                    other = self._turn
                    if other is None or other.process != turn.process:
                        self._turn = turn
                        break
                left = None if until is None else until - time.monotonic()
                with letting_go():
                    done = other.done.wait(left)
                if not done:
                    raise BusyError("it is still being opened for another thread")
            yield
        finally:
            if self._turn is turn:
                self._turn = None
            turn.done.set()
