"""What the tasks cost in numbers that do not depend on the machine.

Reads and bytes that the system is asked for, chunks and bytes decoded, the most
bytes held, and calls of functions of dcread on the first and on the second access.
They are held against `counts.json`: a number that grows by more than 5 % is an
error, until the file is written anew (``--update``) and committed with the reason.

usage: python -m benchmarks.counts [--update] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import dcread
from dcread.engine import buffer_pool, decode

from . import hops
from .data import Data, open_data
from .report import all_tasks
from .task import Task

BASELINE = pathlib.Path(__file__).with_name("counts.json")
FRAMES = 640
THREADS = 2
RUNS = 3
GROWTH = 1.05
SLACK = {"reads": 4, "bytes read": 4096, "bytes held": 1 << 20, "calls": 4}
"""What a number may grow by in any case: files that Python itself looks at."""

Counts = dict[str, int]


def _system_reads() -> tuple[int, int]:
    """Return the reads and bytes that this process asked the system for."""
    found = {}
    for line in pathlib.Path("/proc/self/io").read_text().splitlines():
        name, _, value = line.partition(": ")
        found[name] = int(value)
    return found["syscr"], found["rchar"]


@contextlib.contextmanager
def _decoded(counts: Counts) -> Iterator[None]:
    """Count the chunks that are handed to the decoders."""
    genuine = decode.check_sizes
    counts["chunks decoded"] = counts["bytes decoded"] = 0

    def check(job: Any) -> None:
        counts["chunks decoded"] += len(job.plan.tasks)
        counts["bytes decoded"] += job.plan.raw_bytes
        genuine(job)

    decode.check_sizes = check
    try:
        yield
    finally:
        decode.check_sizes = genuine


def _ignore(_: Any) -> None:
    """Take what is read, and let it go."""


def _reading(task: Task, data: Data) -> Counts:
    counts: Counts = {}
    with task.competitors["dcread"](data) as action, _decoded(counts):
        before = _system_reads()
        action(_ignore)
        reads, nbytes = _system_reads()
    counts["reads"], counts["bytes read"] = reads - before[0], nbytes - before[1]
    return counts


def _holding(task: Task, data: Data) -> Counts:
    with task.competitors["dcread"](data) as action:
        buffer_pool._store.clear()  # memory that was used before counts as well
        tracemalloc.start()
        try:
            action(_ignore)
            return {"bytes held": tracemalloc.get_traced_memory()[1]}
        finally:
            tracemalloc.stop()


def _calling(task: Task, data: Data) -> Counts:
    with task.competitors["dcread"](data) as action:
        first = hops.count(lambda: action(_ignore)).calls
        again = hops.count(lambda: action(_ignore)).calls
    return {"calls, first": first, "calls, again": again}


def count(task: Task, data: Data) -> Counts:
    """Return what a task costs: the least of several runs for each number.

    Threads that read ahead make some numbers larger in one run than in another,
    never smaller than needed.
    """
    _reading(task, data)  # imports, and what is made once a process
    found: Counts = {}
    for measure in (_reading, _holding, _calling):
        # With one thread, who decodes which chunk is the same in each run.
        dcread.set_num_threads(1 if measure is _calling else THREADS)
        for _ in range(RUNS):
            for name, number in measure(task, data).items():
                found[name] = min(number, found.get(name, number))
    return found


def grown(before: dict[str, Counts], now: dict[str, Counts]) -> list[str]:
    """Return a line for each number that grew, or has no match."""
    lines = [f"{task}: no longer measured" for task in before.keys() - now.keys()]
    for task, counts in now.items():
        for name, number in counts.items():
            old = before.get(task, {}).get(name)
            slack = SLACK.get(name.partition(",")[0], 0)
            if old is None:
                lines.append(f"{task}: {name} {number:,}, nothing stored")
            elif number > old * GROWTH + slack:
                lines.append(
                    f"{task}: {name} {number:,}, stored {old:,} "
                    f"({number / max(old, 1) - 1:+.0%})"
                )
    return sorted(lines)


def table(found: dict[str, Counts]) -> str:
    """Return the numbers as a Markdown table."""
    names = list(next(iter(found.values())))
    rows = [["task", *names], ["---"] * (len(names) + 1)]
    rows += [
        [task, *(f"{counts[name]:,}" for name in names)]
        for task, counts in found.items()
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main(exit_: Callable[[str], object] = sys.exit) -> None:
    """Count, print, and compare with what is stored."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write counts.json anew")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the table, too")
    arguments = parser.parse_args()
    data = open_data(frames=FRAMES)
    found = {task.title: count(task, data) for task in all_tasks()}
    print(table(found))
    if arguments.markdown:
        arguments.markdown.write_text(table(found) + "\n", encoding="utf-8")
    if arguments.update:
        BASELINE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    lines = grown(json.loads(BASELINE.read_text(encoding="utf-8")), found)
    if lines:
        exit_(
            "these numbers grew; make them small again, or run "
            "`python -m benchmarks.counts --update` and commit the file with the "
            "reason:\n" + "\n".join(lines)
        )


if __name__ == "__main__":
    main()
