"""``dcread basins``: where measurements take features from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import options
from .many import Request, View, run
from .screen import Screen
from .table import Column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..survey import Record

_STATES = {
    True: ("available", "green"),
    False: ("not available", "red"),
    None: ("not asked yet", "yellow"),
}


@click.command(
    "basins",
    short_help="Show the basins of measurements and whether each is available.",
)
@click.option(
    "--explain",
    metavar="FEATURE",
    help="Also show where FEATURE comes from, how it is stored and what reading it "
    "costs. Servers are asked only if no local basin has it.",
)
@options.many_files
def command(as_json: bool, quiet: bool, explain: str | None, **request: Any) -> int:
    """Show the basins of measurements and whether each is available.

    FILE is a file, a folder (with all .rtdc files below it), a pattern or a URL. A
    basin is another place from which a measurement takes features; basins of a basin
    are shown below it. A missing basin is not an error here; 'dcread verify' reports
    it by its exit status.
    """
    asked = {} if explain is None else {"explain": explain}
    return run(Screen(as_json=as_json, quiet=quiet), VIEW, asked, Request(**request))


def values(record: Record) -> list[str]:
    """Return the columns of the table."""
    known = [basin["available"] for basin in record["basins"]]
    return [str(len(known)), str(known.count(True)), str(known.count(None))]


def page(screen: Screen, record: Record) -> None:
    """Show the basins of one measurement."""
    if not record["basins"]:
        screen.wrap(f"{record['path']} has no basins")
    for basin in record["basins"]:
        show(screen, basin)
    if "explained" in record:
        screen.say()
        for line in record["explained"]["text"].split("\n"):
            start = line[: len(line) - len(line.lstrip())]
            screen.wrap(line.lstrip(), f"{start}    ", start)


def show(screen: Screen, basin: Mapping[str, Any], indent: str = "") -> None:
    """Print what is known of one basin, and of its own basins below it."""
    more = indent + "  "
    state = _STATES[basin["available"]]
    screen.wrap(f"basin '{basin['name']}': ", more, indent, end=state)
    mapped = f", mapped by {basin['mapping']}" if basin["mapping"] else ""
    place = f", {basin['location']}" if basin["location"] else ""
    kind = f"{basin['type'] or 'no type'} ({basin['format'] or 'no format'})"
    screen.wrap(f"{kind}{mapped}{place}", more + "  ", more)
    if basin["features"]:
        screen.wrap(f"features: {' '.join(basin['features'])}", more + "  ", more)
    if basin["reason"]:
        screen.wrap(basin["reason"], more + "  ", more)
    for inner in basin["basins"]:
        show(screen, inner, more + "  ")


VIEW = View(
    "basins",
    [Column("BASINS", 6), Column("AVAILABLE", 9), Column("UNKNOWN", 7, spare=True)],
    values,
    page,
)
