"""What is on its way from a server takes little memory beside what is read."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from .fault_server import FaultServer

MIB = 2**20
MORE = 32 * MIB

SCAN = """
import pathlib, sys
import dcread
import dcread.engine.open_remote

def status(name):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024

way, warm_up, target = sys.argv[1:]
with dcread.HDF5Data(warm_up) as hd:
    hd.image[0]
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
before = status("VmRSS")
with dcread.HDF5Data(target) as hd:
    if way == "by chunks":
        for number in hd.image.iter_chunks():
            hd.image.get_chunk(number)
    elif way == "by slices":
        for start in range(0, len(hd), 1000):
            hd.image[start : start + 1000]
    else:
        for number in range(len(hd)):
            hd.image[number]
print(status("VmHWM") - before)
"""


def write(path: pathlib.Path, count: int, libver: tuple[str, str]) -> None:
    """Write images that do not become smaller: 24 MiB for 1000 of them."""
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 96, 262), np.uint8)
    with h5py.File(path, "w", libver=libver) as h5:
        h5.attrs["experiment:event count"] = count
        h5["events/deform"] = rng.normal(size=count)
        h5.create_dataset(
            "events/image",
            data=images,
            chunks=(32, 96, 262),
            fletcher32=True,
            **hdf5plugin.Zstd(),
        )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks are asked of Linux")
@pytest.mark.parametrize("way", ["by chunks", "by slices", "one by one"])
def test_a_remote_scan_takes_little_more_memory_than_a_local_one(
    tmp_path: pathlib.Path, way: str, run_python: Callable[..., Any]
) -> None:
    path, warm_up = tmp_path / "scan.rtdc", tmp_path / "warm_up.rtdc"
    write(path, 4000, ("v110", "v114"))
    write(warm_up, 40, ("v110", "v114"))

    def peak(target: str) -> int:
        return int(run_python(SCAN, way, warm_up, target).stdout)

    with FaultServer(path.read_bytes(), latency=0.002) as server:
        local, remote = peak(str(path)), peak(server.url)
        for _ in range(2):  # on a busy machine more is on its way at once
            if remote > local + MORE:
                remote = min(remote, peak(server.url))
    assert remote <= local + MORE, (local / MIB, remote / MIB)
    assert remote > MIB, "nothing was measured"
