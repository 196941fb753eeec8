"""``dcread salvage``: the readable part of a damaged measurement."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

import click

from . import options
from .ends_in_order import ends_in_order
from .screen import Screen

if TYPE_CHECKING:
    from ..tools.finds import Salvage


@click.command(
    "salvage",
    short_help="Write what can be read of a damaged measurement to a new file.",
)
@click.argument("file")
@click.argument("output", type=options.PATH)
@options.features(
    "Features to keep [default: all that FILE stores]; with fewer features, more "
    "events may be kept"
)
@options.overwrite
@options.as_json
@options.quiet
@ends_in_order()
def command(
    *,
    file: str,
    output: pathlib.Path,
    features: list[str] | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write what can be read of a damaged measurement to a new file.

    OUTPUT gets the events for which every feature can be read, and the metadata, logs,
    tables and basins that can be read. What is lost is printed, and written as JSON to
    the log 'dcread-salvage' of OUTPUT. FILE is not changed; it may be cut short.
    """
    from ..tools.salvage import salvage

    screen = Screen(as_json=as_json, quiet=quiet)
    size = os.path.getsize(file) if os.path.isfile(file) else 0
    with screen.progress("reading", size, "B") as bar:
        total = 0

        def tick(number: int) -> None:
            nonlocal total
            total += number
            bar.set(total, max(size, total))

        found = salvage(file, output, features, overwrite=overwrite, progress=tick)
    if as_json:
        screen.json(found)
    elif not quiet:
        _show(screen, output, found)
    return 0


def _show(screen: Screen, output: pathlib.Path, found: Salvage) -> None:
    if found.torn:
        screen.wrap(found.torn, "  ", "")
    for name, cost in found.costs.items():
        text = f"feature '{name}': {cost['events']:,} events cannot be read: "
        screen.wrap(text + str(cost["reason"]), "  ", "")
    for name, reason in found.lost.items():
        screen.wrap(f"left out: {name}: {reason}", "  ", "")
    lost = found.events - found.kept
    screen.wrap(
        f"{output}: {found.kept:,} of {found.events:,} events kept, {lost:,} lost",
        "  ",
        "",
    )
