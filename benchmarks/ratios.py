"""Ratios to the peers out of pytest-benchmark's JSON, as a Markdown table.

usage: python -m benchmarks.ratios BENCHMARK.json [--markdown FILE]
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
from typing import Any

PEER = "dcnum.read"
_OTHERS = ("h5py", "dclab", "pyfive", "virtualizarr")


def by_task(report: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the least seconds of each competitor, by task."""
    found: dict[str, dict[str, float]] = collections.defaultdict(dict)
    for bench in report["benchmarks"]:
        name = (bench["params"] or {}).get("name")
        if bench["group"] and name:
            found[bench["group"]][name] = bench["stats"]["min"]
    return {task: best for task, best in found.items() if {"dcread", PEER} <= set(best)}


def table(found: dict[str, dict[str, float]]) -> str:
    """Return how many times as fast as each peer dcread is."""
    head = ["task", "dcread [ms]", *(f"{name} / dcread" for name in (PEER, *_OTHERS))]
    rows = [head, ["---"] * len(head)]
    for task, best in found.items():
        ours = best["dcread"]
        rows.append(
            [task, f"{ours * 1e3:.3g}"]
            + [
                f"{best[name] / ours:.2f}" if name in best else ""
                for name in (PEER, *_OTHERS)
            ]
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--markdown", type=pathlib.Path, help="append the table there")
    arguments = parser.parse_args()
    text = table(by_task(json.loads(arguments.report.read_text(encoding="utf-8"))))
    print(text)
    if arguments.markdown:
        with arguments.markdown.open("a", encoding="utf-8") as target:
            target.write("\n" + text + "\n")


if __name__ == "__main__":
    main()
