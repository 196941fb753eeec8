"""Threads in the background that no interrupt leaves half started.

Within ``threading.Thread.start`` and ``join``, an interrupt can leave locks of the
standard library taken for ever, or a thread that is counted but does not run.
"""

from __future__ import annotations

import _thread
import atexit
import os
from collections.abc import Callable

from .locks import letting_go

__all__ = ["BackgroundThread"]


class BackgroundThread:
    """A thread that runs a function.

    The interpreter does not exit before it has ended.

    Parameters
    ----------
    work : callable
        Called without arguments.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._started: list[int] = []  # filled by the call that starts the thread
        self._ident = 0
        self._ended = False
        self._end = _thread.allocate_lock()
        self._end.acquire()

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return bool(self._started) and not self._ended

    def start(self) -> None:
        """Start it.

        Raises
        ------
        RuntimeError
            If there can be no new threads: the interpreter is about to exit.
        """
        self._started.extend(map(_thread.start_new_thread, (self._run,), ((),)))

    def _run(self) -> None:
        self._ident = _thread.get_ident()
        _running[self] = None
        try:
            self._work()
        finally:
            _running.pop(self, None)
            self._ended = True
            self._end.release()

    def join(self) -> None:
        """Wait until it has ended (unless called by itself)."""
        if self._ident == _thread.get_ident():
            return
        with letting_go():
            while self.alive:
                if self._end.acquire(timeout=1):
                    self._end.release()  # for others who wait


_running: dict[BackgroundThread, None] = {}


def _join_all() -> None:
    for thread in list(_running):
        thread.join()


atexit.register(_join_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)
