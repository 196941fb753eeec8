"""Read a selection of events: every 200th, and 800 in random order."""

from __future__ import annotations

import numpy as np
import pytest

from .limits import decode_all, stored_chunks, zstd_decoder
from .readers import hdf5data, stack
from .task import Consume, Task


def every(data) -> np.ndarray:
    return np.arange(0, data.long_frames, 200)


def shuffled(data) -> np.ndarray:
    count = min(800, data.long_frames)
    return np.random.default_rng(800).permutation(data.long_frames)[:count]


def add_mapped(task: Task, rows_of) -> None:
    for package in ("dcread", "dcnum.read"):

        @task.competitor(package)
        def mapped(data, package=package):
            with hdf5data(package, data.long, index_mapping=rows_of(data)) as hd:

                def read(consume: Consume) -> None:
                    images = hd.image
                    for chunk in images.iter_chunks():
                        consume(images.get_chunk(chunk))

                yield read

    for package in ("h5py", "virtualizarr"):

        @task.competitor(package)
        def picked(data, package=package):
            rows = rows_of(data)
            order, back = np.unique(rows, return_inverse=True)
            with stack(package, data.long) as images:

                def read(consume: Consume) -> None:
                    if package == "h5py":  # wants rows in order
                        consume(images[order][back])
                    else:
                        consume(images.oindex[rows])

                yield read


def limit_of(rows_of):
    return lambda data: decode_all(
        *stored_chunks([data.long], "image", rows_of(data).tolist()), zstd_decoder()
    )


EVERY = Task(
    "index mapping, every 200th event",
    at_least=25,
    of_limit=0.8,
    limit=limit_of(every),
    limit_name="libzstd, all cores, each chunk once",
)
add_mapped(EVERY, every)

SHUFFLED = Task(
    "index mapping, 800 in random order",
    at_least=8,
    of_limit=0.7,
    limit=limit_of(shuffled),
    limit_name="libzstd, all cores, each chunk once",
)
add_mapped(SHUFFLED, shuffled)

TASKS = [EVERY, SHUFFLED]


@pytest.mark.parametrize("name", EVERY.competitors)
def test_mapping_every_200th(name, compete):
    compete(EVERY, name)


@pytest.mark.parametrize("name", SHUFFLED.competitors)
def test_mapping_random_order(name, compete):
    compete(SHUFFLED, name)


def test_first_and_last_of_a_million_read_two_chunks(data):
    """All other chunks of this file fail when they are read."""
    with hdf5data("dcread", data.million, index_mapping=[0, 10**6 - 1]) as hd:
        found = hd.image[:]
    with stack("h5py", data.million) as images:
        assert np.array_equal(found, np.stack([images[0], images[10**6 - 1]]))
        with pytest.raises(OSError, match=r"filter|fletcher|checksum|read"):
            images[500_000]
    with (
        hdf5data("dcnum.read", data.million, index_mapping=[0, 10**6 - 1]) as hd,
        pytest.raises((OSError, MemoryError)),
    ):
        hd.image[:]  # reads the range between
