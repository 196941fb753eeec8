"""Whether the machine was ours alone while something was measured."""

from __future__ import annotations

import os
import pathlib
import time

from .limits import CORES

_STAT = pathlib.Path("/proc/stat")
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def _busy() -> float:
    """Return the processor seconds that all processes have used so far."""
    if not _STAT.exists():
        return time.process_time()
    fields = _STAT.read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / _TICK


class Watch:
    """How much of the machine others used since it was made.

    Examples
    --------
    >>> watch = Watch()
    >>> 0.0 <= watch.others() <= 1.0
    True
    """

    def __init__(self) -> None:
        self._start = time.perf_counter(), _busy(), time.process_time()

    def others(self) -> float:
        """Return the share of all cores, 0 to 1; clocks tick 10 ms, so roughly."""
        wall, busy, own = self._start
        wall = time.perf_counter() - wall
        others = (_busy() - busy) - (time.process_time() - own)
        return min(max((others - 2 / _TICK) / (wall * CORES), 0.0), 1.0)


def wait_for_quiet(most: float = 0.08, patience: float = 6.0) -> bool:
    """Wait until others use little; tell whether that came about."""
    end = time.perf_counter() + patience
    while time.perf_counter() < end:
        watch = Watch()
        time.sleep(0.25)
        if watch.others() < most:
            return True
    return False
