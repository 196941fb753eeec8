"""Take the images one by one, in order."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
import pytest

from .data import Data
from .limits import decode_all, stored_chunks, zstd_decoder
from .readers import hdf5data, stack
from .task import Consume, Task


def decode_and_copy(data: Data) -> Callable[[], None]:
    with h5py.File(data.zstd) as h5:
        image = h5["events/image"]
        nbytes = int(np.prod(image.shape[1:])) * image.dtype.itemsize
    chunks, size = stored_chunks([data.zstd], "image")
    return decode_all(chunks, size, zstd_decoder(), image_bytes=nbytes)


TASK = Task(
    "images one by one in order",
    at_least=2,
    rounds=4,
    limit=decode_and_copy,
    limit_name="libzstd and a copy of each image, all cores",
)

for _package in ("dcread", "dcnum.read"):

    @TASK.competitor(_package)
    def images(data, package=_package):
        with hdf5data(package, data.zstd) as hd:

            def walk(consume: Consume) -> None:
                images = hd.image
                for row in range(len(images)):
                    consume(images[row])

            yield walk


@TASK.competitor("h5py")
def plain(data):
    with stack("h5py", data.zstd) as images:

        def walk(consume: Consume) -> None:
            for row in range(len(images)):
                consume(images[row])

        yield walk


@TASK.competitor("dclab")
def dclab(data):
    import dclab

    with dclab.new_dataset(data.zstd) as ds:

        def walk(consume: Consume) -> None:
            images = ds["image"]
            for row in range(len(ds)):
                consume(images[row])

        yield walk


@pytest.mark.parametrize("name", TASK.competitors)
def test_one_by_one(name, compete):
    compete(TASK, name)
