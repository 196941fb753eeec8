"""``dcread info``: what a measurement holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import output

if TYPE_CHECKING:
    import argparse

    from ..measurement.data import HDF5Data

NAME = "info"
HELP = "Show what a measurement holds: features, metadata, logs, tables, problems."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command."""
    parser.add_argument("file", metavar="FILE", help="the measurement")
    output.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print what the measurement holds."""
    from ..measurement.data import HDF5Data

    with HDF5Data(args.file) as hd:
        facts = collect(hd)
    if args.json:
        output.print_json(facts)
    else:
        show(facts)
    return 0


def collect(hd: HDF5Data) -> dict[str, Any]:
    """Return the facts about a measurement, ready for JSON."""
    from ..demo.job import own_group

    own = set(own_group(hd))
    features = list(hd.keys())
    return {
        "path": str(hd.path),
        "events": len(hd),
        "features": [name for name in features if name in own],
        "features_from_basins": [name for name in features if name not in own],
        "metadata": dict(sorted(hd.meta.items())),
        "logs": {name: len(lines) for name, lines in sorted(hd.logs.items())},
        "tables": sorted(hd.tables),
        "problems": list(hd.problems),
    }


def show(facts: dict[str, Any]) -> None:
    """Print the facts for people."""
    output.say(f"{facts['path']}: {facts['events']:,} events")
    _show_list("features stored here", facts["features"])
    _show_list("features from basins", facts["features_from_basins"])
    _show_list("logs", [f"{name} ({n} lines)" for name, n in facts["logs"].items()])
    _show_list("tables", facts["tables"])
    if facts["metadata"]:
        output.say("\nmetadata")
        width = max(map(len, facts["metadata"]))
        for key, value in facts["metadata"].items():
            output.say(f"  {key:<{width}}  {value}")
    if facts["problems"]:
        output.say("\nproblems")
        for problem in facts["problems"]:
            output.say(f"  {problem}")


def _show_list(title: str, names: list[str]) -> None:
    if not names:
        return
    output.say(f"\n{title}")
    line = " "
    for name in names:
        if len(line) + len(name) + 1 > 79:
            output.say(line)
            line = " "
        line += f" {name}"
    output.say(line)
