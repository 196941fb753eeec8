"""Open a measurement, ask for its length, its features and one scalar."""

from __future__ import annotations

import time

import numpy as np
import pytest

from .data import EVENT_COUNTS
from .readers import hdf5data
from .task import Consume, Task

TASK = Task("open + len + keys + one scalar", at_least=1, rounds=30)

for _package in ("dcread", "dcnum.read"):

    @TASK.competitor(_package)
    def opening(data, package=_package):
        def look(consume: Consume) -> None:
            with hdf5data(package, data.zstd) as hd:
                count, names = len(hd), list(hd.keys())
                consume(hd["deform"])
                consume(np.array([count, len(names)]))

        yield look


@TASK.competitor("dclab")
def dclab(data):
    import dclab

    def look(consume: Consume) -> None:
        with dclab.new_dataset(data.zstd) as ds:
            count = len(ds)
            names = [feat for feat in ds.features_innate if feat != "index"]
            consume(np.asarray(ds["deform"][:]))
            consume(np.array([count, len(names)]))

    yield look


def seconds_to_open(data, events: int, package: str, rounds: int = 15) -> float:
    """Return the least time to open, ask for length, features and one value."""
    path = data.tall(events)
    best = np.inf
    for _ in range(rounds):
        start = time.perf_counter()
        with hdf5data(package, path) as hd:
            assert len(hd) == events
            assert "deform" in list(hd.keys())
            hd.h5["events/deform"][events // 2]
        best = min(best, time.perf_counter() - start)
    return float(best)


@pytest.mark.parametrize("name", ["dcread", "dcnum.read"])
def test_opening(name, compete):
    compete(TASK, name)


@pytest.mark.parametrize("events", EVENT_COUNTS)
def test_opening_is_flat(events, data, benchmark):
    benchmark.group = "open + len + keys, by number of events"
    benchmark(seconds_to_open, data, events, "dcread", 1)
