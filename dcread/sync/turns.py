"""One thread makes a thing, the others who want it wait for their turn."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable

from .locks import PatientLock, letting_go

__all__ = ["Turn"]

_turns: weakref.WeakSet[Turn] = weakref.WeakSet()


class Turn(PatientLock):
    """A lock, and what threads are making at the moment while not holding it.

    Attributes
    ----------
    busy : dict of int to int
        Things in the making, and how many bytes each will take. A forked child
        begins with none, since the threads that were making them are not there.
    """

    def __init__(self) -> None:
        super().__init__()
        _turns.add(self)

    def _renew(self) -> None:
        super()._renew()
        self._condition = threading.Condition(self._lock)
        self.busy: dict[int, int] = {}

    def wait(self) -> None:
        """Let go of the lock until something was made (or given up)."""
        with letting_go():
            self._condition.wait()

    def done(self, keys: Iterable[int]) -> None:
        """Tell the others that these things are no longer in the making."""
        for key in keys:
            self.busy.pop(key, None)
        self._condition.notify_all()


def _renew_all() -> None:
    for turn in list(_turns):
        turn._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
