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
from types import TracebackType
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


class PatientLock:
    """A lock for threads that may hold `h5_lock` when they come to wait for it.

    For locks that are held while h5py is called. Those that are held for a few
    lines are `threading.Lock`: an interrupt cannot leave them locked, which it can
    here, just before the first line of the ``with`` block.

    Parameters
    ----------
    reentrant : bool
        Whether a thread may take it again.
    """

    def __init__(self, *, reentrant: bool = False) -> None:
        self._lock = threading.RLock() if reentrant else threading.Lock()

    def acquire(self) -> None:
        """Take the lock, however long it takes."""
        if not self._lock.acquire(blocking=False):
            with letting_go():
                self._lock.acquire()

    def release(self) -> None:
        """Give the lock to the next."""
        self._lock.release()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.acquire()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()
