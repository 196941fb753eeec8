"""Reading from a slow folder, held against dcnum.read: ``python -m benchmarks.shares``.

The folder (see `slow_folder`) takes 2 and 10 ms for a read; it is mounted anew for each
run, so that nothing is in memory. Runs alternate, the best of each side counts; answers
have to be equal. *Bytes alone* is how long it takes to read what dcread reads by plain
threads that need not wait for each other and decode nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .data import open_data
from .machine import describe_machine
from .plot import draw
from .side_by_side import seconds_of

ROUNDS = 3


def total(images: Any) -> int:
    """Return a sum that takes next to no time: eight pixels are one number."""
    words = np.ascontiguousarray(images).reshape(-1).view(np.uint64)
    return int(words.sum())


def rows(hd: Any) -> list[int]:
    return np.random.default_rng(40).integers(0, len(hd), 40).tolist()


def chunks(hd: Any, count: int) -> int:
    return sum(total(hd.image.get_chunk(number)) for number in range(count))


def mapped_object_of(hd: Any) -> Callable[..., Any]:
    """Return `get_mapped_object` of the package that a measurement is opened with."""
    package = type(hd).__module__.partition(".")[0]
    module = importlib.import_module({"dcnum": "dcnum.read"}.get(package, package))
    found: Callable[..., Any] = module.get_mapped_object
    return found


TASKS: dict[str, Callable[[Any], Any]] = {
    "open, names, one scalar": lambda hd: (
        len(list(hd.keys())) > 5,
        float(np.asarray(hd["deform"][:]).sum()),
    ),
    "40 random images, one by one": lambda hd: [
        total(hd.image[row]) for row in rows(hd)
    ],
    "40 images in one selection": lambda hd: total(
        mapped_object_of(hd)(hd.h5["events/image"], np.array(rows(hd)))[:]
    ),
    "first 1000 images": lambda hd: chunks(hd, 1),
    "scan of 4,000 by chunks": lambda hd: chunks(hd, 4),
    "images one by one, 1000": lambda hd: [total(hd.image[row]) for row in range(1000)],
}


GOALS: dict[float, tuple[float, ...]] = {
    2: (5, 12, 14, 5, 4, 2.5),
    10: (5, 12, 25, 8, 5, 4),
}
"""Times as fast as dcnum.read, by the milliseconds of a read, in the order of tasks."""

THREADS = 16


@contextlib.contextmanager
def mounted(
    folder: pathlib.Path, delay: float, log: str = os.devnull
) -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory() as mount:
        command = [sys.executable, "-m", "benchmarks.slow_folder", str(folder), mount]
        process = subprocess.Popen(
            [*command, str(delay), log],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not pathlib.Path(mount).is_mount():
                assert process.poll() is None, "no slow folder: see slow_folder.py"
                time.sleep(0.02)
            yield pathlib.Path(mount)
        finally:
            subprocess.run(["umount", "-l", mount], check=False)
            process.kill()
            process.wait(10)


def read_only(path: pathlib.Path, delay: float, task: str) -> float:
    """Return the seconds that the reads of a task take, which nobody waits for."""
    with tempfile.NamedTemporaryFile("r") as log:
        run("dcread", path, delay, task, log.name)
        reads = [tuple(map(int, line.split())) for line in log]

    with mounted(path.parent, delay) as mount, open(mount / path.name, "rb") as file:

        def work(left: Iterator[tuple[int, ...]]) -> None:
            for offset, size in left:
                os.pread(file.fileno(), size, offset)

        return seconds_of(work, reads, THREADS)


def run(
    package: str, path: pathlib.Path, delay: float, task: str, log: str = os.devnull
) -> tuple[float, Any]:
    module = importlib.import_module(package)
    with mounted(path.parent, delay, log) as mount:
        begin = time.perf_counter()
        with module.HDF5Data(mount / path.name) as hd:
            found = TASKS[task](hd)
            taken = time.perf_counter() - begin
    return taken, found


def main(delays: list[float]) -> None:
    path = pathlib.Path(open_data().zstd).resolve()
    print(describe_machine())
    print("\n| delay | task | dcread | dcnum.read | ratio | goal | bytes alone |")
    print("|---|---|---|---|---|---|---|")
    ratios = []
    for delay in delays:
        goals = GOALS.get(delay, ("",) * len(TASKS))
        for task, goal in zip(TASKS, goals, strict=True):
            ours, theirs = [], []
            for _ in range(ROUNDS):
                theirs.append(run("dcnum.read", path, delay / 1000, task))
                ours.append(run("dcread", path, delay / 1000, task))
            assert all(one[1] == theirs[0][1] for one in ours + theirs), task
            mine = min(one[0] for one in ours)
            peer = min(one[0] for one in theirs)
            floor = min(read_only(path, delay / 1000, task) for _ in range(ROUNDS))
            ratios.append((f"{task}, {delay:g} ms", peer / mine))
            print(
                f"| {delay:g} ms | {task} | {mine:.3f} s | {peer:.3f} s "
                f"| **{peer / mine:.1f}** | {goal} | {floor:.3f} s |",
                flush=True,
            )
    print(f"\npicture: {draw(ratios, path.parent, 'shares')}")


if __name__ == "__main__":
    main([float(text) for text in sys.argv[1:]] or [2, 10])
