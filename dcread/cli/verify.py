"""``dcread verify``: read everything and tell what cannot be read."""

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
    "verify",
    short_help="Read every chunk of measurements and of their basins; tell "
    "what is damaged.",
)
@click.option(
    "--no-basins", is_flag=True, help="Leave out the basins: look at FILE alone."
)
@options.many_files
def command(as_json: bool, quiet: bool, no_basins: bool, **request: Any) -> int:
    """Read every chunk of measurements and of their basins; tell what is damaged.

    FILE is a file, a folder (with all .rtdc files below it), a pattern or a URL. The
    exit status is 1 if anything is damaged or missing.
    """
    asked = {"basins": not no_basins}
    return run(Screen(as_json=as_json, quiet=quiet), VIEW, asked, Request(**request))


def values(record: Record) -> list[str]:
    """Return the columns of the table."""
    return [count(record["events"]), size(record["bytes"])]


def page(screen: Screen, record: Record) -> None:
    """Show the findings in one measurement."""
    for problem in record["problems"]:
        screen.wrap(problem_text(problem), "  ", "")
    if screen.quiet:
        return
    wrong = len(record["problems"])
    problems = {0: "no problems", 1: "1 problem"}.get(wrong, f"{wrong} problems")
    screen.wrap(
        f"{record['path']}: {problems} in {len(record['features'])} features of "
        f"{record['events']:,} events ({record['bytes'] / 1e6:,.1f} MB), metadata "
        f"({record['metadata']}), logs ({record['logs']}), tables ({record['tables']})",
        "  ",
        "",
    )
    bare = len(record["without_checksum"])
    if bare:
        screen.wrap(
            f"datasets without a checksum: {bare} of {record['datasets']} (they can be "
            "read, but what they hold may have changed unnoticed)",
            "  ",
            "",
        )


VIEW = View(
    "verify", [Column("EVENTS", 9), Column("READ", 7, spare=True)], values, page
)
