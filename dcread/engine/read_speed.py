"""Is a file on a slow share? Told by how long its reads take."""

from __future__ import annotations

import collections

SLOW = 500_000
"""Nanoseconds from which on a small read is slow: from memory it takes some 2,000, from
a solid-state drive 100,000."""

PER_BYTE = 2
"""Nanoseconds that each byte may take on top, on a drive of this machine."""

QUICK = 100_000
"""Nanoseconds up to which a read is quick: its bytes are in memory."""

QUICK_READS = 64
"""Reads that have to be quick, one after the other, for a share to count as near."""


class ReadSpeed:
    """What is known of how long the reads of a file take.

    Attributes
    ----------
    is_suspect : bool
        Whether one read was slow, and there was no other one to compare it with.
    """

    def __init__(self) -> None:
        self.is_suspect = False
        self._doubted = False
        self._recent: collections.deque[bool] = collections.deque(maxlen=QUICK_READS)

    def is_slow(self, nanoseconds: int, size: int) -> bool:
        """Tell whether a read took longer than drives of this machine need."""
        return nanoseconds > SLOW + PER_BYTE * size

    def note(self, nanoseconds: int, size: int, count: int = 1) -> bool:
        """Note a read of a file that is far, or some; tell whether it is near by now.

        It may be in memory.
        """
        quick = nanoseconds < QUICK + PER_BYTE * size
        self._recent.extend([quick] * count)
        near = len(self._recent) == QUICK_READS and all(self._recent)
        if near:
            self._recent.clear()
        return near

    def settle(self) -> bool | None:
        """Tell by the reads that were noted whether the file is far: all were slow.

        None, and nothing is decided, if one was quick the first time.
        """
        slow = [not quick for quick in self._recent]
        self._recent.clear()
        if not self._doubted and not all(slow):
            self._doubted = True
            return None
        self.is_suspect = not slow
        return bool(slow) and all(slow)
