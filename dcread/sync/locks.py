"""The one lock around calls into h5py, and waiting that never holds it.

It is h5py's own lock, so that there is no second one to be taken in another order.
Callers may hold it without knowing: ``for name, item in group.items()`` of h5py does
so between two items. Whoever waits for another thread therefore lets go of it
meanwhile: the other thread may need it, if only to free an h5py object.

An interrupt comes between two instructions of Python, never within a call of what
is written in C. So a lock is taken or released, and that is noted in a list, within
one call of ``list.extend``.
"""

from __future__ import annotations

import operator
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import h5py.h5

T = TypeVar("T")

h5_lock: Any = getattr(h5py.h5, "phil", None) or threading.RLock()
"""Held by whoever calls h5py; reentrant. h5py takes and frees it around a fork.

(From Python 3.14 on it is taken in another way, see below.)
"""

_NEVER = object()
_RLock = type(threading.RLock())  # (which is a function)


def letting_go(func: Callable[..., T], *args: Any) -> T:
    """Return what a function returns, called with `h5_lock` let go of, held or not.

    No ``with``: an interrupt can come within its ``__enter__`` and ``__exit__``, where
    they are written in Python, and would leave the lock as the block has it.
    """
    released: list[bool] = []
    again = map(h5_lock.acquire, released)
    try:
        _release_all(released)
        return func(*args)
    finally:
        list(again)


def times_held() -> int:
    """Return how often this thread holds `h5_lock`; others may have it meanwhile."""
    released: list[bool] = []
    again = map(h5_lock.acquire, released)
    try:
        _release_all(released)
    finally:
        list(again)
    return len(released)


def _release_all(released: list[bool]) -> None:
    """Let go of `h5_lock`; note True for each time, for `acquire` to wait."""
    try:
        released.extend(map(operator.not_, iter(h5_lock.release, _NEVER)))
    except RuntimeError:  # raised by one release too many
        return


class BriefLock:
    """A lock for a few lines, for use by ``with``, that no interrupt leaves locked.

    CPython 3.14 lets an interrupt in between ``__enter__`` and the block, where
    ``threading.Lock`` stays locked for ever (gh-148874). Here it comes within
    ``__enter__``, which gives the lock back; its return lets none in. What is called
    at the end is the lock's own ``__exit__``, written in C: it lets none in either.
    Reentrant. A forked child finds it free: the threads that held it are not there.
    """

    __slots__ = ("__exit__", "__weakref__", "_lock")
    _lock: Any

    _kind: ClassVar[Any] = _RLock

    def __init__(self) -> None:
        self._lock = lock = self._kind()
        self.__exit__ = lock.__exit__
        _locks.add(weakref.ref(self, _locks.discard))

    def _renew(self) -> None:
        """Be a new lock."""
        self._lock = lock = self._kind()
        self.__exit__ = lock.__exit__

    def __enter__(self) -> None:
        taken: list[bool] = []
        try:
            taken.extend(map(self._lock.acquire, _WAITING))
        except BaseException:
            if any(taken):
                self._lock.release()
            raise


class PatientLock(BriefLock):
    """A lock for threads that may hold `h5_lock` when they come to wait for it.

    For locks that are held while h5py is called.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        taken: list[bool] = []
        try:
            taken.extend(map(self._lock.acquire, _AT_ONCE))
            if not any(taken):
                letting_go(taken.extend, map(self._lock.acquire, _WAITING))
        except BaseException:
            if any(taken):
                self._lock.release()
            raise


class _OfH5py(BriefLock):
    """The lock of h5py as a `BriefLock`, for Pythons that let interrupts in between."""

    __slots__ = ("acquire", "release")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.acquire, self.release = lock.acquire, lock.release
        self.__exit__ = lock.__exit__


if sys.version_info >= (3, 14):
    h5_lock = _OfH5py(h5_lock)

_WAITING, _AT_ONCE = (True,), (False,)
_locks: set[weakref.ref[BriefLock]] = set()


def _renew_all() -> None:
    for reference in list(_locks):
        lock = reference()
        if lock is not None:
            lock._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
