"""Take the images one by one, in order."""

from __future__ import annotations

import pytest

from .readers import hdf5data, stack
from .task import Consume, Task

TASK = Task("images one by one in order", at_least=2, rounds=4)

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
