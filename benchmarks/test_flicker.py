"""Check whether 1000 images flicker, from an array and from the file."""

from __future__ import annotations

import importlib

import h5py
import numpy as np
import pytest

from .limits import copy_all
from .readers import hdf5data
from .task import Consume, Task

FRAMES, ROI_HEIGHT = 1000, 10


def frames_of(data) -> np.ndarray:
    with h5py.File(data.contiguous) as h5:
        return h5["events/image"][:FRAMES]


def copy(data):
    roi = np.ascontiguousarray(frames_of(data)[:, :ROI_HEIGHT])
    return copy_all(roi, len(roi))


ARRAY = Task(
    "flicker check of 1000 images, array",
    at_least=7,
    of_limit=0.5,
    rounds=20,
    limit=copy,
    limit_name="memory copy of the region, all cores",
)
FILE = Task("flicker check from the file", at_least=1.9, rounds=10)
TASKS = [ARRAY, FILE]

for _package in ("dcread", "dcnum.read"):

    @ARRAY.competitor(_package)
    def array(data, package=_package):
        frames = frames_of(data)
        detect = importlib.import_module(package).detect_flickering
        yield lambda consume: consume(np.array([detect(frames)], dtype=bool))

    @FILE.competitor(_package)
    def file(data, package=_package):
        detect = importlib.import_module(package).detect_flickering
        with hdf5data(package, data.zstd) as hd:

            def check(consume: Consume) -> None:
                # dcnum.read takes the image stack, not the measurement
                source = hd if package == "dcread" else hd.image
                consume(np.array([detect(source)], dtype=bool))

            yield check


@pytest.mark.parametrize("name", ARRAY.competitors)
def test_flicker_array(name, compete):
    compete(ARRAY, name)


@pytest.mark.parametrize("name", FILE.competitors)
def test_flicker_file(name, compete):
    compete(FILE, name)
