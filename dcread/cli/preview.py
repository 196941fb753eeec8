"""``dcread preview``: a picture of some cells."""

from __future__ import annotations

import pathlib

import click

from ..survey import is_url, shown
from . import options
from .ends_in_order import ends_in_order
from .screen import Screen

FORMATS = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


def _picture(
    ctx: click.Context, param: click.Parameter, value: pathlib.Path | None
) -> pathlib.Path | None:
    if value is not None and value.suffix.lower() not in FORMATS:
        raise click.BadParameter(
            f"'{value}' does not end in one of the formats {', '.join(FORMATS)}"
        )
    return value


@click.command(
    "preview",
    short_help="Draw some cells of a measurement, with the outlines of their masks.",
)
@click.argument("file")
@click.option(
    "--output",
    type=options.PATH,
    metavar="PICTURE",
    callback=_picture,
    help="Where the picture goes: .png, .svg, .pdf, .jpg, .tif or .webp "
    "[default: the name of FILE with .png, in the current folder].",
)
@options.overwrite
@options.quiet
@ends_in_order()
def command(
    file: str, output: pathlib.Path | None, overwrite: bool, quiet: bool
) -> int:
    """Draw some cells of a measurement, with the outlines of their masks.

    Without images, other features are plotted and the metadata are shown. The exit
    status is 1 if something cannot be read; the rest is drawn.
    """
    from ..demo.preview import draw_preview

    screen = Screen(quiet=quiet)
    name = shown(file).partition("?")[0] if is_url(file) else file
    target = output or pathlib.Path(f"{pathlib.PurePath(name).stem}.png")
    try:
        drawn = draw_preview(file, target, overwrite=overwrite)
    except ImportError as error:
        raise ImportError(
            "a preview needs matplotlib (pip install matplotlib)"
        ) from error
    for problem in drawn.problems:
        screen.fail(problem)
    if not quiet:
        screen.say(str(drawn.path))
    return 1 if drawn.problems else 0
