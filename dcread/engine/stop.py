"""Telling those who wait to give up."""

from __future__ import annotations

import threading
import time

SLICE = 0.25
"""Seconds after which a wait looks whether it is still wanted."""


class Stop:
    """Tells those who wait for the network to give up."""

    def __init__(self, parent: Stop | None = None) -> None:
        self._is_set = False
        self._event: threading.Event | None = None  # made by who sleeps: few do
        self._parent = parent

    def set(self) -> None:
        """Have all who wait give up."""
        self._is_set = True
        event = self._event
        if event is not None:
            event.set()

    def is_set(self) -> bool:
        """Tell whether to give up."""
        if self._is_set:
            return True
        return self._parent is not None and self._parent.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, unless stopped."""
        if self._event is None:
            self._event = threading.Event()
        event = self._event
        end = time.monotonic() + seconds
        while not self.is_set() and (left := end - time.monotonic()) > 0:
            event.wait(min(left, SLICE))


class StoppedError(Exception):
    """Nobody wants the answer any more."""
