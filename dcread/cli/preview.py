"""``dcread preview``: a picture of some cells."""

from __future__ import annotations

import pathlib

import click

from . import options
from .screen import Screen


@click.command(
    "preview",
    short_help="Draw some cells of a measurement, with the outlines of their masks.",
)
@click.argument("file")
@click.option(
    "--output",
    type=options.PATH,
    metavar="PICTURE",
    help="Where the picture goes [default: FILE's name, .png, in this folder].",
)
@options.overwrite
@options.quiet
def command(
    file: str, output: pathlib.Path | None, overwrite: bool, quiet: bool
) -> int:
    """Draw some cells of a measurement, with the outlines of their masks."""
    from ..demo.picture import draw_preview

    screen = Screen(quiet=quiet)
    target = (output or pathlib.Path(f"{pathlib.Path(file).stem}.png")).absolute()
    try:
        draw_preview(file, target)
    except ImportError as error:
        raise ImportError(
            "a preview needs matplotlib (pip install 'dcread[plot]')"
        ) from error
    if not quiet:
        screen.say(str(target))
    return 0
