"""Print the tables of ratios and limits; keep them, and write docs and README.

usage: python -m benchmarks.report [--help]
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import sys
from typing import Any, NamedTuple

from .data import EVENT_COUNTS, HEIGHT, WIDTH, Data, describe, open_data
from .machine import describe_machine, processor
from .measured import add_run, compare, into_readme
from .memory import measure
from .plot import draw
from .scaling import predict
from .task import Task, answer_of, race
from .test_opening import seconds_to_open

FILES = (
    "scan_chunks",
    "scan_gzip",
    "scan_contiguous",
    "scan_image_corr",
    "random_images",
    "one_by_one",
    "mapping",
    "flicker",
    "opening",
    "concatenated",
)
ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
MIB = 1 << 20


class Line(NamedTuple):
    """A task's best times in seconds."""

    task: Task
    best: dict[str, float]
    times: dict[str, list[Any]]

    @property
    def ratio(self) -> float:
        """How many times faster than dcnum.read."""
        return self.best["dcnum.read"] / self.best["dcread"]

    @property
    def of_limit(self) -> float | None:
        """Which part of what the machine can do."""
        if "limit" not in self.best:
            return None
        return self.best["limit"] / self.best["dcread"]

    @property
    def missed(self) -> list[str]:
        """Which goals are not reached."""
        found = []
        if self.ratio < self.task.at_least:
            found.append(f"{self.ratio:.2f}x of {self.task.at_least:g}x")
        if self.task.of_limit and (self.of_limit or 0) < self.task.of_limit:
            found.append(f"{self.of_limit:.2f} of {self.task.of_limit:.2f}")
        return found


def all_tasks() -> list[Task]:
    """Return the tasks of all benchmark files, in the table's order."""
    tasks: list[Task] = []
    for name in FILES:
        module = importlib.import_module(f"benchmarks.test_{name}")
        tasks += getattr(module, "TASKS", None) or [module.TASK]
    return tasks


def run(task: Task, data: Data, rounds: int | None, attempts: int = 1) -> Line:
    """Check that dcread and its peer answer the same, then let all race."""
    expected = answer_of(task.competitors["dcnum.read"], data)
    found = answer_of(task.competitors["dcread"], data)
    if found != expected:
        raise AssertionError(f"{task.title}: {found} instead of {expected}")
    times = race(task, data, rounds, attempts)
    best = {name: min(wall for wall, _ in runs) for name, runs in times.items()}
    return Line(task, best, times)


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def _markdown(rows: list[list[str]]) -> str:
    """Return a table as Markdown, its first row the heads."""
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def table(lines: list[Line]) -> str:
    """Return dcread against what it replaces, as Markdown."""
    rows = [["task", "dcread", "dcnum.read", "ratio", "goal"]]
    for line in lines:
        best, task = line.best, line.task
        row = [task.title, _ms(best["dcread"]), _ms(best["dcnum.read"])]
        rows.append([*row, f"**{line.ratio:.2f}x**", f"{task.at_least:g}x"])
    return _markdown(rows)


def peers_table(lines: list[Line]) -> str:
    """Return the other readers, at the tasks that they have, as Markdown."""
    others = ("h5py", "dclab", "pyfive", "virtualizarr")
    rows = [["task", *others]]
    for line in lines:
        row = [_ms(line.best.get(name)) for name in others]
        if any(row):
            rows.append([line.task.title, *row])
    return _markdown(rows)


def limits_table(lines: list[Line]) -> str:
    """Return how near dcread comes to what the machine can do, as Markdown."""
    rows = [["task", "part of the limit", "goal", "limit"]]
    for line in lines:
        best, task, part = line.best, line.task, line.of_limit
        if part is None:
            continue
        goal = "" if task.of_limit is None else f"{task.of_limit:.2f}"
        limit = f"{_ms(best['limit'])}, {task.limit_name}"
        if task.floor:
            limit += f" ({task.floor_name}: {_ms(best['floor'])})"
        rows.append([task.title, f"{part:.2f}", goal, limit])
    return _markdown(rows)


def faster_peers(lines: list[Line]) -> str:
    """Return, as a sentence, who was faster than dcread at what."""
    found = []
    for line in lines:
        for name, seconds in line.best.items():
            if (
                name not in ("dcread", "limit", "floor")
                and seconds < line.best["dcread"]
            ):
                times = line.best["dcread"] / seconds
                found.append(f"{name} at *{line.task.title}* ({times:.2f}x)")
    if not found:
        return "No peer was faster than dcread at any of these tasks."
    return f"Faster than dcread: {'; '.join(found)}."


def memory_table(data: Data) -> str:
    """Return the table of peak memory as Markdown."""
    rows = ["| memory | dcread | dcnum.read | goal |", "| --- | --- | --- | --- |"]
    output = min(800, data.long_frames) * HEIGHT * WIDTH / MIB
    files = {"scan": data.zstd, "shuffled": data.long}
    goals = {"scan": "at most the peer's", "shuffled": f"{output:.0f} + 64 MiB"}
    names = {"scan": "peak of a scan", "shuffled": "800 events in random order"}
    for work, goal in goals.items():
        ours = measure("dcread", work, files[work], data.parts[0])
        peer = measure("dcnum.read", work, files[work], data.parts[0])
        rows.append(
            f"| {names[work]} | +{ours.more / MIB:.0f} MiB"
            f" (process {ours.most / MIB:.0f}) | +{peer.more / MIB:.0f} MiB"
            f" (process {peer.most / MIB:.0f}) | {goal} |"
        )
    return "\n".join(rows)


def flatness_table(data: Data) -> str:
    """Return the time to open files of ever more events as Markdown."""
    rows = ["| events | dcread | dcnum.read |", "| --- | --- | --- |"]
    for events in EVENT_COUNTS:
        ours = seconds_to_open(data, events, "dcread")
        peer = seconds_to_open(data, events, "dcnum.read")
        rows.append(f"| {events:,} | {_ms(ours)} | {_ms(peer)} |")
    return "\n".join(rows)


def scaling_table(lines: list[Line], data: Data) -> str:
    """Return what the scans predict for more cores, as Markdown."""
    cores = (2, 4, 8, 16)
    head = "| task | serial part | processor time | " + " | ".join(
        f"{count} cores" for count in cores
    )
    rows = [head + " |", "| --- | --- | --- |" + " --- |" * len(cores)]
    for line in lines:
        if not line.task.title.startswith(("scan all", "scan, gzip", "scan `image")):
            continue
        found = predict(line.task, data, line.times)
        row = f"| {line.task.title} | {_ms(found.serial)} | {_ms(found.processor)} |"
        for count in cores:
            row += f" {found.peer / found.on(count):.1f}x |"
        rows.append(row)
    return "\n".join(rows)


def write(lines: list[Line], text: str) -> None:
    """Keep a run, and write all that shows it."""
    ratios = {line.task.title: line.ratio for line in lines}
    add_run(processor(), ratios)
    pages = DOCS / "explanation"
    (pages / "benchmarks-details.md").write_text(text, encoding="utf-8")
    write_table({line.task.title: line.task.at_least for line in lines})
    draw(list(ratios.items()), DOCS / "_static")
    readme = ROOT / "README.md"
    shown = into_readme(list(ratios.values()), readme.read_text(encoding="utf-8"))
    readme.write_text(shown, encoding="utf-8")


def write_table(goals: dict[str, float]) -> None:
    """Write the table of all processors."""
    path = DOCS / "explanation" / "benchmarks-table.md"
    path.write_text(compare(goals), encoding="utf-8")


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description="Measure dcread against its peers.")
    parser.add_argument("--rounds", type=int, help="rounds a task (default: its own)")
    parser.add_argument("--only", default="", help="only tasks with this in the title")
    parser.add_argument(
        "--attempts",
        type=int,
        default=3,
        help="how often a run is made again while other processes are busy",
    )
    parser.add_argument("--no-write", action="store_true", help="keep nothing")
    args = parser.parse_args()
    data = open_data()
    lines = []
    for task in all_tasks():
        if args.only in task.title:
            lines.append(run(task, data, args.rounds, args.attempts))
            missed = ", ".join(lines[-1].missed)
            print(f"{task.title}: {lines[-1].ratio:.2f}x  {missed}", file=sys.stderr)
    shrink = ", ".join(f"{name} {ratio:.2f}" for name, ratio in describe(data).items())
    parts = [
        f"{describe_machine()} {data.frames:,} images of 80x400 pixels "
        f"({data.long_frames:,} where some are selected); "
        f"sizes shrink by (times): {shrink}.",
        table(lines),
        "The other readers:",
        peers_table(lines),
        faster_peers(lines),
        "How near that is to what the machine can do:",
        limits_table(lines),
    ]
    if not args.only:
        parts += [
            "Peak of resident memory above what the process had before:",
            memory_table(data),
            "Open, length, features and one value, by the number of events:",
            flatness_table(data),
            "What the scans predict for more cores (ratio to `dcnum.read`):",
            scaling_table(lines, data),
        ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if not args.no_write and not args.only:
        write(lines, text)
    missed = [line.task.title for line in lines if line.missed]
    print(f"goals missed: {', '.join(missed) or 'none'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
