"""Scan all image chunks of a measurement (zstd and fletcher32)."""

from __future__ import annotations

import pytest

from .limits import decode_all, read_and_decode, stored_chunks, zstd_decoder
from .readers import add_scanners
from .task import Task

TASK = Task(
    "scan all chunks",
    at_least=1.9,
    of_limit=0.9,
    limit=lambda data: decode_all(*stored_chunks([data.zstd], "image"), zstd_decoder()),
    limit_name="libzstd, all cores",
    floor=lambda data: read_and_decode([data.zstd], "image", zstd_decoder()),
    floor_name="with pread, into the output's memory",
)
add_scanners(TASK, lambda data: data.zstd, ("h5py", "virtualizarr"))


@pytest.mark.parametrize("name", TASK.competitors)
def test_scan_chunks(name, compete):
    compete(TASK, name)
