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

_STATES = {True: "available", False: "not available", None: "not asked yet"}


@click.command(
    "basins",
    short_help="Show the basins of measurements and whether each is available.",
)
@options.many_files
def command(as_json: bool, quiet: bool, **request: Any) -> int:
    """Show the basins of measurements and whether each is available.

    FILE is a file, a folder (with all .rtdc files below it), a pattern or a URL. A
    basin is another place from which a measurement takes features. That one is
    missing is no error; 'dcread verify' says so by its exit status.
    """
    return run(Screen(as_json=as_json, quiet=quiet), VIEW, {}, Request(**request))


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


def show(screen: Screen, basin: Mapping[str, Any], indent: str = "") -> None:
    """Print what is known of one basin."""
    more = indent + "  "
    screen.wrap(f"basin '{basin['name']}': {_STATES[basin['available']]}", more, indent)
    place = f", {basin['location']}" if basin["location"] else ""
    screen.wrap(f"{basin['type']} ({basin['format']}){place}", more + "  ", more)
    if basin["features"]:
        screen.wrap(f"features: {' '.join(basin['features'])}", more + "  ", more)
    if basin["reason"]:
        screen.wrap(basin["reason"], more + "  ", more)


VIEW = View(
    "basins",
    [Column("BASINS", 6), Column("AVAILABLE", 9), Column("UNKNOWN", 7, spare=True)],
    values,
    page,
)
