"""Reading from a slow folder, held against dcnum.read: ``python -m benchmarks.shares``.

The folder (see `slow_folder`) takes 2 and 10 ms for a read; it is mounted anew for each
run, so that nothing is in memory. Runs alternate, the best of each side counts; answers
have to be equal. *Bytes alone* is how long the reads of dcread take by themselves: in
opening as they wait for each other, then all others at once. *A local read besides*:
while the same task is done with the local file, from memory, by the same processors.
Behind each is how many times as fast as dcnum.read that would be: the most possible.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import dcread

from .data import open_data
from .machine import describe_machine
from .plot import draw
from .replay import Request, rounds_of

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


def reads_of(path: pathlib.Path, delay: float, task: str) -> list[Request]:
    """Return the reads of dcread in a task, of the quickest of some runs.

    Those after opening are noted as if they had come as soon as the file was open.
    """
    found: list[tuple[float, list[Request]]] = []
    for _ in range(ROUNDS):
        with tempfile.NamedTemporaryFile("r") as log:
            done = run("dcread", path, delay, task, log.name)
            lines = [line.split() for line in log]
        reads = [
            Request(0, int(start), int(stop), float(arrived), float(answered))
            for start, stop, arrived, answered in lines
        ]
        reads = [one._replace(arrived=min(one.arrived, done.opened)) for one in reads]
        found.append((done.seconds, reads))
    return min(found)[1]


def replay_reads(path: pathlib.Path, reads: list[Request]) -> float:
    """Return the seconds that reads take which one thread makes again.

    Each of them is asked for as soon as those have come that had come when it was asked
    for first; the system reads ahead.

    Parameters
    ----------
    path : path
        The file, of which nothing is in memory.
    reads : list of Request
        What was asked for, as the folder has noted it.
    """
    waiting = sorted(reads, key=lambda one: -one.arrived)
    left = sorted(reads, key=lambda one: -one.answered)
    asked: collections.deque[Request] = collections.deque()
    came: set[Request] = set()
    buffer = memoryview(bytearray(2**20))
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)  # no more than is asked for
    begin = time.perf_counter()
    while left:
        while waiting and waiting[-1].arrived <= left[-1].answered:
            one = waiting.pop()
            size = one.stop - one.start
            os.posix_fadvise(fd, one.start, size, os.POSIX_FADV_WILLNEED)
            asked.append(one)
        one = asked.popleft()
        os.preadv(fd, [buffer[: one.stop - one.start]], one.start)
        came.add(one)
        while left and left[-1] in came:
            left.pop()
    seconds = time.perf_counter() - begin
    os.close(fd)
    return seconds


def read_only(
    path: pathlib.Path, delay: float, reads: list[Request], task: str = ""
) -> float:
    """Return the seconds that reads take; a task is done locally meanwhile."""
    taken = []
    with mounted(path.parent, delay) as mount:
        again = threading.Thread(
            target=lambda: taken.append(replay_reads(mount / path.name, reads))
        )
        again.start()
        if task:
            taken.append(do(dcread, path, task).seconds)
        again.join()
    return max(taken)


class Done(NamedTuple):
    """What came out of a task.

    Attributes
    ----------
    seconds : float
        How long it took.
    opened : float
        When the file was open, by the clock.
    answer : Any
        What is compared.
    """

    seconds: float
    opened: float
    answer: Any


def do(module: Any, path: pathlib.Path, task: str) -> Done:
    begin = time.perf_counter()
    with module.HDF5Data(path) as hd:
        opened = time.perf_counter()
        answer = TASKS[task](hd)
        return Done(time.perf_counter() - begin, opened, answer)


def run(
    package: str, path: pathlib.Path, delay: float, task: str, log: str = os.devnull
) -> Done:
    module = importlib.import_module(package)
    with mounted(path.parent, delay, log) as mount:
        return do(module, mount / path.name, task)


def main(delays: list[float]) -> None:
    path = pathlib.Path(open_data().zstd).resolve()
    print(describe_machine())
    columns = "delay | task | dcread | dcnum.read | ratio | goal"
    print(f"\n| {columns} | reads | rounds | bytes alone | a local read besides |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    ratios = []
    for delay in delays:
        goals = GOALS.get(delay, ("",) * len(TASKS))
        for task, goal in zip(TASKS, goals, strict=True):
            ours, theirs = [], []
            for _ in range(ROUNDS):
                theirs.append(run("dcnum.read", path, delay / 1000, task))
                ours.append(run("dcread", path, delay / 1000, task))
            assert all(one.answer == theirs[0].answer for one in ours + theirs), task
            mine = min(one.seconds for one in ours)
            peer = min(one.seconds for one in theirs)
            reads = reads_of(path, delay / 1000, task)
            alone, beside = (
                min(read_only(path, delay / 1000, reads, local) for _ in range(ROUNDS))
                for local in ("", task)
            )
            ratios.append((f"{task}, {delay:g} ms", peer / mine))
            print(
                f"| {delay:g} ms | {task} | {mine:.3f} s | {peer:.3f} s "
                f"| **{peer / mine:.1f}** | {goal} | {len(reads)} | {rounds_of(reads)} "
                f"| {alone:.3f} s: {peer / alone:.1f} | {beside:.3f} s: "
                f"{peer / beside:.1f} |",
                flush=True,
            )
    print(f"\npicture: {draw(ratios, path.parent, 'shares')}")


if __name__ == "__main__":
    main([float(text) for text in sys.argv[1:]] or [2, 10])
