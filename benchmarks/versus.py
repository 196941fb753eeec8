"""Hold this dcread against that of another environment, an older build say.

Each task is done by one process of either build in turn, many times. What counts is the
ratio within a pair (of the fastest of three times each), of which the median and its
95 % interval are printed. Above 1 this build is faster. Checksums of the answers of
both are compared. Peak memory is that of new processes that do nothing else.

usage: python -m benchmarks.versus OTHER_PYTHON [--python PYTHON] [--pairs N]
       [--only TEXT]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Iterator

from .data import open_data
from .machine import describe_machine
from .quiet import wait_for_quiet
from .versus_worker import TASKS

WORKER = pathlib.Path(__file__).with_name("versus_worker.py")


class Build:
    """A process that does tasks with the dcread of one interpreter."""

    def __init__(self, python: str, folder: pathlib.Path) -> None:
        self._process = subprocess.Popen(
            [python, "-P", str(WORKER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, task: str) -> tuple[float, float, int, float]:
        """Return seconds, processor seconds, the checksum of the answer, and MiB."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(task + "\n")
        self._process.stdin.flush()
        wall, processor, checksum, peak = json.loads(self._process.stdout.readline())
        return wall, processor, checksum, peak

    def end(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


@contextlib.contextmanager
def builds(
    pythons: tuple[str, str], folder: pathlib.Path
) -> Iterator[tuple[Build, Build]]:
    """Start this build and the other one."""
    both = Build(pythons[0], folder), Build(pythons[1], folder)
    try:
        yield both
    finally:
        for build in both:
            build.end()


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return the median and its 95 % interval, by ranks.

    Examples
    --------
    >>> interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    (4.0, 1.0, 7.0)
    """
    ordered, count = sorted(values), len(values)
    below = 0.0
    rank = 0
    while rank < count // 2:
        below += math.comb(count, rank) / 2**count
        if below > 0.025:
            break
        rank += 1
    rank = max(rank - 1, 0)
    return statistics.median(ordered), ordered[rank], ordered[count - 1 - rank]


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", help="the Python of the other environment")
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="the Python of this build, where it is installed as the other one is",
    )
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--only", default="", help="only tasks with this in the title")
    args = parser.parse_args()
    if args.pairs < 6:
        parser.error("an interval needs 6 pairs at least")
    made = open_data()
    for path in (made.zstd, made.gzip, made.contiguous, made.long):
        assert path.exists()
    print(describe_machine())
    print("| task | median | 95 % interval | processor time, median | peak MiB |")
    print("| --- | --- | --- | --- | --- |")
    pythons = args.python, args.other
    with builds(pythons, made.folder) as (ours, other):
        for task in TASKS:
            if args.only in task:
                times = _times(task, ours, other, args.pairs)
                peaks = _peaks(task, pythons, made.folder)
                print(f"| {task} | {times} | {peaks} |", flush=True)
    return 0


def _peaks(task: str, pythons: tuple[str, str], folder: pathlib.Path) -> str:
    with builds(pythons, folder) as both:
        mine, its = (build.do(task)[3] for build in both)
    return f"{mine:.0f} of {its:.0f}"


def _times(task: str, ours: Build, other: Build, pairs: int) -> str:
    wall, processor = [], []
    wait_for_quiet()
    for number in range(pairs):
        order = (ours, other) if number % 2 else (other, ours)
        first, second = (build.do(task) for build in order)
        mine, its = (first, second) if number % 2 else (second, first)
        if mine[2] != its[2]:
            raise SystemExit(f"{task}: the two builds read different values")
        wall.append(its[0] / mine[0])
        processor.append(its[1] / mine[1])
    median, low, high = interval(wall)
    processors = statistics.median(processor)
    return f"{median:.2f} | {low:.2f} to {high:.2f} | {processors:.2f}"


if __name__ == "__main__":
    sys.exit(main())
