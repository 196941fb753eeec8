"""Scan all image chunks of a measurement stored with gzip."""

from __future__ import annotations

import pytest

from .limits import decode_all, gzip_decoder, stored_chunks
from .readers import add_scanners
from .task import Task

TASK = Task(
    "scan, gzip",
    at_least=4,
    of_limit=0.85,
    rounds=4,
    limit=lambda data: decode_all(*stored_chunks([data.gzip], "image"), gzip_decoder()),
    limit_name="libdeflate, all cores",
)
add_scanners(TASK, lambda data: data.gzip, ("h5py", "pyfive", "virtualizarr"))


@pytest.mark.parametrize("name", TASK.competitors)
def test_scan_gzip(name, compete):
    compete(TASK, name)
