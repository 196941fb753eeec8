"""The one lock around calls into h5py, and waiting that never holds it.

It is h5py's own lock, so that there is no second one to be taken in another order.
Callers may hold it without knowing: ``for name, item in group.items()`` of h5py does
so between two items. Whoever waits for another thread therefore lets go of it
meanwhile: the other thread may need it, if only to free an h5py object.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from h5py._objects import phil

h5_lock: Any = phil
"""Held by whoever calls h5py; reentrant. h5py takes and frees it around a fork."""


@contextlib.contextmanager
def letting_go() -> Iterator[None]:
    """Let go of `h5_lock` for the length of a ``with`` block, held or not."""
    depth = 0
    try:
        while h5_lock._is_owned():
            h5_lock.release()
            depth += 1
        yield
    finally:
        for _ in range(depth):
            h5_lock.acquire()


class BriefLock:
    """A lock for a few lines, for use by ``with``, that no interrupt leaves locked.

    CPython 3.14 lets an interrupt in between ``__enter__`` and the block, where
    ``threading.Lock`` stays locked for ever (gh-148874). Here it comes within
    ``__enter__``, which gives the lock back; its return lets none in. What is called
    at the end is the lock's own ``__exit__``, written in C: it lets none in either.
    Reentrant.
    """

    __slots__ = ("__exit__", "_lock")

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        """Be a new lock (in a forked child, where nobody is who held the old one)."""
        self._lock = threading.RLock()
        self.__exit__ = self._lock.__exit__

    def __enter__(self) -> None:
        lock: Any = self._lock
        before = lock._recursion_count()
        try:
            self._take()
        except BaseException:
            if lock._recursion_count() > before:
                lock.release()
            raise

    def _take(self) -> None:
        self._lock.acquire()


class PatientLock(BriefLock):
    """A lock for threads that may hold `h5_lock` when they come to wait for it.

    For locks that are held while h5py is called.
    """

    __slots__ = ()

    def _take(self) -> None:
        if not self._lock.acquire(blocking=False):
            with letting_go():
                self._lock.acquire()
