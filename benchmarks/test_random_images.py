"""Look at 40 random images; nothing of them was read before."""

from __future__ import annotations

import numpy as np
import pytest

from .limits import decode_all, stored_chunks, zstd_decoder
from .readers import hdf5data, stack
from .task import Consume, Task

COUNT = 40


def picks(data) -> list[int]:
    return np.random.default_rng(40).integers(0, data.long_frames, COUNT).tolist()


def decode(data):
    """Decode each pick's chunk in turn, as if it were the only one asked for."""
    chunk = 32
    chunks, size = [], 0
    for row in picks(data):
        found, size = stored_chunks([data.long], "image", [row // chunk * chunk])
        chunks += found
    return decode_all(chunks, size, zstd_decoder(), cores=1)


TASK = Task(
    "40 random images, cold cache",
    at_least=35,
    of_limit=1 / 1.15,
    limit=decode,
    limit_name="libzstd, one chunk an image, one core",
)

for _package in ("dcread", "dcnum.read"):

    @TASK.competitor(_package)
    def images(data, package=_package):
        rows = picks(data)
        with hdf5data(package, data.long) as hd:

            def look(consume: Consume) -> None:
                images = hd.image
                for row in rows:
                    consume(images[row])

            yield look


for _package in ("h5py", "virtualizarr"):

    @TASK.competitor(_package)
    def rows(data, package=_package):
        rows = picks(data)
        with stack(package, data.long) as images:

            def look(consume: Consume) -> None:
                for row in rows:
                    consume(images[row])

            yield look


@TASK.competitor("dclab")
def dclab(data):
    import dclab

    rows = picks(data)
    with dclab.new_dataset(data.long) as ds:

        def look(consume: Consume) -> None:
            images = ds["image"]
            for row in rows:
                consume(images[row])

        yield look


@pytest.mark.parametrize("name", TASK.competitors)
def test_random_images(name, compete):
    compete(TASK, name)
