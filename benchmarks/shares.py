"""Reading from a slow folder, held against dcnum.read: ``python -m benchmarks.shares``.

The folder (see `slow_folder`) takes 2 and 10 ms for a read; it is mounted anew for each
run, so that nothing is in memory. Runs alternate, the best of each side counts; answers
have to be equal.
"""

from __future__ import annotations

import contextlib
import importlib
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


@contextlib.contextmanager
def mounted(folder: pathlib.Path, delay: float) -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory() as mount:
        command = [sys.executable, "-m", "benchmarks.slow_folder", str(folder), mount]
        process = subprocess.Popen(
            [*command, str(delay)],
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


def run(package: str, path: pathlib.Path, delay: float, task: str) -> tuple[float, Any]:
    module = importlib.import_module(package)
    with mounted(path.parent, delay) as mount:
        begin = time.perf_counter()
        with module.HDF5Data(mount / path.name) as hd:
            found = TASKS[task](hd)
            taken = time.perf_counter() - begin
    return taken, found


def main(delays: list[float]) -> None:
    path = pathlib.Path(open_data().zstd).resolve()
    print(describe_machine())
    print("\n| delay | task | dcread | dcnum.read | ratio |")
    print("|---|---|---|---|---|")
    ratios = []
    for delay in delays:
        for task in TASKS:
            ours, theirs = [], []
            for _ in range(ROUNDS):
                theirs.append(run("dcnum.read", path, delay / 1000, task))
                ours.append(run("dcread", path, delay / 1000, task))
            assert all(one[1] == theirs[0][1] for one in ours + theirs), task
            mine = min(one[0] for one in ours)
            peer = min(one[0] for one in theirs)
            ratios.append((f"{task}, {delay:g} ms", peer / mine))
            print(
                f"| {delay:g} ms | {task} | {mine:.3f} s | {peer:.3f} s | "
                f"{peer / mine:.1f} |",
                flush=True,
            )
    print(f"\npicture: {draw(ratios, path.parent, 'shares')}")


if __name__ == "__main__":
    main([float(text) for text in sys.argv[1:]] or [2, 10])
