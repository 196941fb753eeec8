"""``dcread info``: what measurements hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..survey.rows import problem_text
from . import options
from .many import Request, View, run
from .screen import Screen
from .table import Column, count, size

if TYPE_CHECKING:
    from ..survey import Record


@click.command(
    "info",
    short_help="Show what measurements hold: features, metadata, logs, "
    "tables, problems.",
)
@options.many_files
def command(as_json: bool, quiet: bool, **request: Any) -> int:
    """Show what measurements hold: features, metadata, logs, tables, problems.

    FILE is a file, a folder (with all .rtdc files below it), a pattern or a URL. One
    file gets a page, several get a line each.
    """
    return run(Screen(as_json=as_json, quiet=quiet), VIEW, {}, Request(**request))


def values(record: Record) -> list[str]:
    """Return the columns of the table."""
    from ..survey.rows import fingerprint

    own, other = len(record["features"]), len(record["features_from_basins"])
    return [
        count(record["events"]),
        f"{own}+{other}" if other else str(own),
        size(fingerprint(record["path"])[0]),
    ]


def page(screen: Screen, record: Record) -> None:
    """Show one measurement."""
    screen.wrap(f"{record['path']}: {record['events']:,} events")
    screen.names("features stored here", record["features"])
    screen.names("features from basins", record["features_from_basins"])
    logs = [f"{name} ({number} lines)" for name, number in record["logs"].items()]
    screen.names("logs", logs)
    screen.names("tables", record["tables"])
    if record["metadata"]:
        screen.say("\nmetadata")
        width = max(map(len, record["metadata"]))
        width = min(width, screen.width // 2) if screen.is_terminal else width
        for key, value in record["metadata"].items():
            lead = f"  {key:<{width}}  "
            indent = " " * (width + 4)
            screen.wrap(" ".join(str(value).split(" ")) or "-", indent, lead)
    if record["problems"]:
        screen.say("\nproblems")
        for problem in record["problems"]:
            screen.wrap(problem_text(problem), "    ", "  ")


VIEW = View(
    "info",
    [Column("EVENTS", 9), Column("FEATURES", 8), Column("SIZE", 7, spare=True)],
    values,
    page,
)
