"""What the time on two cores predicts for more of them.

A scan spends ``serial`` seconds in which one thread works (Python code, asking
HDF5 for the chunk index, handing out) and the rest of its processor time in
threads that work at once. With wall clock ``W`` on ``n`` cores and processor time
``C`` in all, ``W = serial + (C - serial) / n``; so both follow from one run. More
cores never read faster than memory can be written.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .data import HEIGHT, WIDTH, Data
from .limits import CORES, copy_all
from .task import Task, race


class Prediction(NamedTuple):
    """Measured parts of a task and what they predict, in seconds."""

    wall: float
    processor: float
    serial: float
    peer: float
    floor: float

    def on(self, cores: int) -> float:
        """Return the predicted wall clock on a number of cores."""
        parallel = (self.processor - self.serial) / cores
        return max(self.serial + parallel, self.floor)


def bandwidth() -> float:
    """Return how many bytes a second all cores together can copy."""
    import time

    source = np.ones((4000, HEIGHT, WIDTH), np.uint8)
    copy = copy_all(source, 992)
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        copy()
        best = min(best, time.perf_counter() - start)
    return float(source.nbytes / best)


def predict(task: Task, data: Data, times: dict[str, list] | None = None) -> Prediction:
    """Return what a task's best run predicts."""
    times = times or race(task, data)
    wall, processor = min(times["dcread"])
    peer = min(times["dcnum.read"])[0]
    serial = (CORES * wall - processor) / max(CORES - 1, 1)
    floor = data.frames * HEIGHT * WIDTH / bandwidth()
    return Prediction(wall, processor, max(serial, 0.0), peer, floor)
