"""Runs of the benchmarks, kept by processor, and the table that compares processors.

`make bench` adds a run to the file of its processor in ``benchmarks/measured/``.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import re
import subprocess
from typing import Any, NamedTuple

HOME = pathlib.Path(__file__).parent / "measured"


class Run(NamedTuple):
    """The ratios to ``dcnum.read`` of one run of the benchmarks.

    Attributes
    ----------
    date : str
        Day of the run, YYYY-MM-DD.
    code : str
        Commit of dcread that was measured; "-dirty" if it was changed.
    ratios : dict of str to float
        Title of the task, ratio; a run may have some of the tasks only.
    """

    date: str
    code: str
    ratios: dict[str, float]


def short_name(processor: str) -> str:
    """Return the name of a processor without what does not tell it from others.

    >>> short_name("Intel(R) Xeon(R) Processor @ 2.80GHz")
    'Intel Xeon 2.80GHz'
    """
    plain = re.sub(r"\((R|TM)\)|@|\b(CPU|Processor|\d+-Core)\b", " ", processor)
    return " ".join(plain.split())


def _path(name: str, home: pathlib.Path) -> pathlib.Path:
    return home / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json")


def this_code() -> str:
    """Return the commit of the working tree."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(
        command, cwd=HOME.parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def add_run(
    processor: str, ratios: dict[str, float], home: pathlib.Path = HOME
) -> pathlib.Path:
    """Add a run of today to the file of a processor; return the file."""
    name = short_name(processor)
    path = _path(name, home)
    kept: dict[str, Any] = {"processor": name, "runs": []}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
    rounded = {title: round(ratio, 2) for title, ratio in ratios.items()}
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    kept["runs"].append(Run(today, this_code(), rounded)._asdict())
    home.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return path


def all_runs(home: pathlib.Path = HOME) -> dict[str, list[Run]]:
    """Return the runs by processor, those of the latest run first."""
    found = {}
    for path in sorted(home.glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        runs = [Run(**run) for run in kept["runs"]]
        found[kept["processor"]] = sorted(runs, key=lambda run: run.date)
    newest = sorted(found, key=lambda name: found[name][-1].date, reverse=True)
    return {name: found[name] for name in newest}


def _number(ratio: float) -> str:
    return f"{ratio:.{2 if ratio < 10 else 1}f}"


def compare(goals: dict[str, float], home: pathlib.Path = HOME) -> str:
    """Return the table of tasks and processors, and what the runs are, as Markdown."""
    found = all_runs(home)
    rows = [
        "| task | goal | " + " | ".join(found) + " |",
        "|---" * (2 + len(found)) + "|",
    ]
    for title, goal in goals.items():
        row = f"| {title} | {goal:g} |"
        for runs in found.values():
            ratios = [run.ratios[title] for run in runs if title in run.ratios]
            if not ratios:
                row += " |"
                continue
            row += f" **{_number(ratios[-1])}**"
            low, high = _number(min(ratios)), _number(max(ratios))
            row += f" ({low} to {high}) |" if low != high else " |"
        rows.append(row)
    rows += ["", "| processor | day | code | tasks |", "|---|---|---|---|"]
    for name, runs in found.items():
        rows += [
            f"| {name} | {run.date} | `{run.code}` | {len(run.ratios)} |"
            for run in reversed(runs)
        ]
    return "\n".join(rows) + "\n"


def into_readme(ratios: list[float], text: str) -> str:
    """Return the README with the ratios of its table replaced, in their order.

    Raises
    ------
    ValueError
        If the table has another number of tasks.
    """
    head, mark, rest = text.partition("| task | ratio | task | ratio |\n")
    table, blank, tail = rest.partition("\n\n")
    lines = table.split("\n")
    half = len(lines) - 1
    if not mark or 2 * half != len(ratios):
        raise ValueError(f"expected a table of {len(ratios)} ratios, two in a row")
    for row, line in enumerate(lines[1:]):
        cells = line.split("|")
        for column, ratio in ((2, ratios[row]), (4, ratios[half + row])):
            digits = 2 if ratio < 1.1 else 1 if ratio < 10 else 0
            cells[column] = f" {ratio:.{digits}f} "
        lines[row + 1] = "|".join(cells)
    return head + mark + "\n".join(lines) + blank + tail
