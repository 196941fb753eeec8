"""How much memory a process needs while it reads.

Runs in a process of its own::

    python -m benchmarks.memory PACKAGE WORK PATH WARM_UP_PATH

and prints the resident memory before, and the most while it worked, in bytes.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent


class Memory(NamedTuple):
    """Resident memory in bytes."""

    before: int
    most: int

    @property
    def more(self) -> int:
        """What the work itself took."""
        return self.most - self.before


def measure(
    package: str, work: str, path: pathlib.Path, warm_up: pathlib.Path
) -> Memory:
    """Return the memory that `package` takes for `work` on a file.

    Parameters
    ----------
    work : {"scan", "shuffled"}
        All image chunks, or 800 images in random order into one array.
    warm_up : path
        A file to open first, so that what is loaded once is not counted.
    """
    command = [sys.executable, "-m", "benchmarks.memory"]
    command += [package, work, str(path), str(warm_up)]
    done = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=600
    )
    return Memory(*json.loads(done.stdout))


def _status(key: str) -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def _scan(read: Any, path: str) -> None:
    with read.HDF5Data(path) as hd:
        for chunk in hd.image.iter_chunks():
            hd.image.get_chunk(chunk)


def _shuffled(read: Any, path: str) -> None:
    with read.HDF5Data(path) as hd:
        count = len(hd)
        order = np.random.default_rng(800).permutation(count)[:800]
        mapped = read.get_mapped_object(hd.h5["events/image"], order)
        assert mapped[:].shape[0] == min(800, count)


def main() -> None:
    package, work, path, warm_up = sys.argv[1:]
    read = importlib.import_module(package)
    with read.HDF5Data(warm_up) as hd:
        hd.image[0]
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    {"scan": _scan, "shuffled": _shuffled}[work](read, path)
    sys.stdout.write(json.dumps([before, _status("VmHWM")]))


if __name__ == "__main__":
    main()
