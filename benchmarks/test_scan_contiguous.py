"""Scan all images of a measurement stored in one piece."""

from __future__ import annotations

import h5py
import pytest

from .limits import copy_all, read_all
from .readers import ROWS, add_scanners
from .task import Task


def copy(data):
    with h5py.File(data.contiguous) as h5:
        return copy_all(h5["events/image"][:], ROWS)


def read(data):
    with h5py.File(data.contiguous) as h5:
        images = h5["events/image"]
        return read_all(data.contiguous, images.id.get_offset(), images.nbytes)


TASK = Task(
    "scan, contiguous",
    at_least=1.5,
    of_limit=0.8,
    limit=copy,
    limit_name="memory copy, all cores",
    floor=read,
    floor_name="pread alone, all cores",
)
add_scanners(TASK, lambda data: data.contiguous, ("h5py", "pyfive"))


@pytest.mark.parametrize("name", TASK.competitors)
def test_scan_contiguous(name, compete):
    compete(TASK, name)
