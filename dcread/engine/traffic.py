"""Bytes that servers have sent to this process, for those who show progress."""

from __future__ import annotations

from ..sync.locks import BriefLock


class Traffic:
    """Counts bytes; may be used by several threads.

    Attributes
    ----------
    received : int
        Bytes that were received since the process began.
    """

    def __init__(self) -> None:
        self.received = 0
        self._lock = BriefLock()

    def add(self, count: int) -> None:
        """Count bytes that were received."""
        with self._lock:
            self.received += count


traffic = Traffic()
