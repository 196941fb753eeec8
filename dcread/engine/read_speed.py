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
    is_far : bool
        Whether reads take so long that many of them should be under way at once.
    is_suspect : bool
        Whether one read was slow, and there was no other one to compare it with.
    """

    def __init__(self) -> None:
        self.is_far = self.is_suspect = False
        self._doubted = False
        self._recent: collections.deque[bool] = collections.deque(maxlen=QUICK_READS)

    def is_slow(self, nanoseconds: int, size: int) -> bool:
        """Tell whether a read took longer than drives of this machine need."""
        return nanoseconds > SLOW + PER_BYTE * size

    def note(self, nanoseconds: int, size: int, count: int = 1) -> None:
        """Note a read of a file that is far, or some: by now it may be in memory."""
        quick = nanoseconds < QUICK + PER_BYTE * size
        self._recent.extend([quick] * count)
        if len(self._recent) == QUICK_READS and all(self._recent):
            self._recent.clear()
            self.is_far = False

    def settle(self) -> bool | None:
        """Decide by the reads that were noted: one that was quick makes it near.

        None, and nothing is decided, if there was one the first time.
        """
        slow = [not quick for quick in self._recent]
        self._recent.clear()
        if not self._doubted and not all(slow):
            self._doubted = True
            return None
        self.is_suspect = not slow
        self.is_far = bool(slow) and all(slow)
        return self.is_far
