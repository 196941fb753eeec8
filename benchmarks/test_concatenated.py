"""Scan 50 files as one."""

from __future__ import annotations

import importlib

import pytest

from .limits import decode_all, read_and_decode, stored_chunks, zstd_decoder
from .task import Consume, Task

TASK = Task(
    "scan of 50 concatenated files",
    at_least=2,
    of_limit=0.85,
    rounds=4,
    limit=lambda data: decode_all(*stored_chunks(data.parts, "image"), zstd_decoder()),
    limit_name="libzstd, all cores",
    floor=lambda data: read_and_decode(data.parts, "image", zstd_decoder()),
    floor_name="with pread, into the output's memory",
)

for _package in ("dcread", "dcnum.read"):

    @TASK.competitor(_package)
    def scan(data, package=_package):
        out = data.folder / f"concatenated-{package}.rtdc"
        out.unlink(missing_ok=True)
        concatenated = importlib.import_module(package).concatenated_hdf5_data
        with concatenated(data.parts, path_out=out) as hd:

            def read(consume: Consume) -> None:
                images = hd.image
                for chunk in images.iter_chunks():
                    consume(images.get_chunk(chunk))

            yield read
        out.unlink()


@pytest.mark.parametrize("name", TASK.competitors)
def test_concatenated(name, compete):
    compete(TASK, name)
