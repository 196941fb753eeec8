"""Threads in the background that no interrupt leaves half started.

Those that nobody waits for at exit serve again: a file behind a URL starts dozens, and
starting one takes three times as long as waking one.

Within ``threading.Thread.start`` and ``join``, an interrupt can leave locks of the
standard library taken for ever, or a thread that is counted but does not run.
"""

from __future__ import annotations

import _thread
import atexit
import os
import queue
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from .locks import letting_go

__all__ = ["BackgroundThread"]

IDLE = 5.0
"""Seconds that a thread waits for more to do."""

MOST = 24
"""Threads that wait for more to do at the most."""


class BackgroundThread:
    """A thread that runs a function.

    Unlike ``threading.Thread.start``, `start` does not wait until it runs: on a busy
    machine, that takes as long as an answer of a server. It must not ask for
    ``threading.current_thread()``, which would make an object for it that stays.

    Parameters
    ----------
    work : callable
        Called without arguments.
    awaited : bool
        Whether the interpreter does not exit before it has ended.
    """

    def __init__(self, work: Callable[[], None], *, awaited: bool = True) -> None:
        self._work = work
        self._awaited = awaited
        self._started: list[object] = []  # filled by the call that starts the thread
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
        if not self._awaited:
            try:
                box = _idle.pop()
            except IndexError:
                pass
            else:
                self._started.extend(map(box.put, (self,)))
                return
        box = queue.SimpleQueue()
        box.put(self)
        self._started.extend(map(_thread.start_new_thread, (_serve,), ((box,),)))

    def _run(self, box: _Box) -> bool:
        """Run the function; tell whether the thread waits for more to do then."""
        self._ident = _thread.get_ident()
        if self._awaited:
            _running[self] = None
        try:
            self._work()
            stays = not self._awaited and len(_idle) < MOST and not _exiting
            if stays:  # before others go on, who may start the next one
                _idle.append(box)
            return stays
        finally:
            _running.pop(self, None)
            self._ended = True
            self._end.release()

    def join(self) -> None:
        """Wait until it has ended (unless called by itself)."""
        if self._ident == _thread.get_ident():
            return
        letting_go(self._wait)

    def _wait(self) -> None:
        while self.alive:
            if self._end.acquire(timeout=1):
                self._end.release()  # for others who wait


_Box: TypeAlias = "queue.SimpleQueue[BackgroundThread]"
_running: dict[BackgroundThread, None] = {}
_idle: deque[_Box] = deque()  # (its methods are atomic)


def _serve(box: _Box) -> None:
    """Run in a new thread what it was started for, and what others start later.

    That comes out of a box: what a thread is given as arguments stays until it ends.
    """
    thread: BackgroundThread | None = box.get()
    while thread is not None and thread._run(box):
        thread = None  # nothing of it stays
        thread = _next(box)


def _next(box: _Box) -> BackgroundThread | None:
    """Wait for more to do; None if there is nothing for long."""
    while True:
        try:
            return box.get(timeout=IDLE)
        except queue.Empty:
            try:
                _idle.remove(box)
            except ValueError:  # somebody is about to put something into it
                continue
            return None


_exiting = False


def _join_all() -> None:
    global _exiting  # noqa: PLW0603
    _exiting = True
    _idle.clear()  # from here on they may not get to run any more
    for thread in list(_running):
        thread.join()


atexit.register(_join_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)
    os.register_at_fork(after_in_child=_idle.clear)
