"""``dcread flicker``: tell whether the light flickers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import options
from .many import Request, View, run
from .screen import Screen
from .table import Column, count

if TYPE_CHECKING:
    from ..survey import Record


@click.command(
    "flicker",
    short_help="Tell whether the light of measurements flickers, and "
    "whether it drifts.",
)
@click.option(
    "--max-frames",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    metavar="N",
    help="Look at the images of the first N events, 0 for all.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(min=0, min_open=True),
    callback=options.no_nan,
    default=2.5,
    show_default=True,
    metavar="GREY",
    help="Grey values by which an image must be brighter or darker than the median to "
    "count as flickering.",
)
@options.many_files
def command(
    as_json: bool, quiet: bool, max_frames: int, threshold: float, **request: Any
) -> int:
    """Tell whether the light of measurements flickers, and whether it drifts.

    FILE is a file, a folder (with all .rtdc files below it), a pattern or a URL. Fast
    changes of brightness count as flicker, slow ones as drift. Flicker
    does not change the exit status.
    """
    asked = {"max_frames": max_frames, "threshold": threshold}
    return run(Screen(as_json=as_json, quiet=quiet), VIEW, asked, Request(**request))


def values(record: Record) -> list[str]:
    """Return the columns of the table."""
    return [
        count(record["frames"]),
        count(len(record["flickering_frames_without_drift"])),
        f"{record['drift_range']:.1f}",
    ]


def page(screen: Screen, record: Record) -> None:
    """Show the numbers of one measurement."""
    for line in record["summary"].split("\n"):
        text = line.lstrip()
        indent = " " * (len(line) - len(text))
        screen.wrap(text, indent + "  ", indent)


VIEW = View(
    "flicker",
    [Column("IMAGES", 7, spare=True), Column("OFF", 6), Column("DRIFT", 6)],
    values,
    page,
)
