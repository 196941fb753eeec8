"""``dcread export``: features as a table, images as TIFF or PNG."""

from __future__ import annotations

import importlib.util
import pathlib
from typing import TYPE_CHECKING, Any

import click

from . import options
from .ends_in_order import ends_in_order
from .screen import Screen

if TYPE_CHECKING:
    from ..tools.selection import Selection

TABLES = (".csv", ".tsv", ".parquet")
IMAGES = (".tif", ".tiff")


def _events(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    from ..tools.selection import parse_events

    try:
        return parse_events(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _where(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    from ..tools.where import parse_condition

    try:
        return parse_condition(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    "export",
    short_help="Write features as CSV or Parquet, images as TIFF or PNG.",
)
@click.argument("file")
@click.argument("output", type=options.PATH)
@options.features(
    "Features to write [default: all scalar features; for images, 'image']"
)
@click.option(
    "--events",
    metavar="EVENTS",
    callback=_events,
    help="Events to take, e.g. 0:1000:10 or 5,7,-1.",
)
@click.option(
    "--where",
    metavar="CONDITION",
    callback=_where,
    help="Take events for which this holds, e.g. 'area_um<100 & deform>0.1'.",
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
    events: Any,
    where: Any,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write features as CSV or Parquet, images as TIFF or PNG.

    The name of OUTPUT tells what is written: a table of scalar features (.csv, .tsv,
    .parquet), images as the pages of one file (.tif), or, for a name without an ending,
    a new folder with one PNG file for each event.
    """
    from ..tools.selection import Selection

    screen = Screen(as_json=as_json, quiet=quiet)
    selection = Selection(events or (slice(None),), where)
    number, unit = _write(
        screen, file, output, features, selection, overwrite=overwrite
    )
    if as_json:
        screen.json({"path": str(output.absolute()), "events": number})
    elif not quiet:
        screen.wrap(f"{output}: {number:,} {unit}", "  ", "")
    return 0


def _write(
    screen: Screen,
    file: str,
    output: pathlib.Path,
    features: list[str] | None,
    selection: Selection,
    *,
    overwrite: bool,
) -> tuple[int, str]:
    suffix = output.suffix.lower()
    if suffix in TABLES:
        _require("pyarrow", wanted=suffix == ".parquet")
        from ..tools.export_table import export_table

        with screen.progress("exporting", _length(file, selection), "events") as bar:
            number = export_table(
                file, output, features, selection, overwrite=overwrite, progress=bar
            )
        return number, "events"
    if suffix not in IMAGES and suffix:
        raise click.UsageError(
            f"OUTPUT is '{output}': expected a name that ends in one of "
            f"{', '.join((*TABLES, *IMAGES))}, or in none for a folder of PNG files"
        )
    if features is not None and len(features) > 1:
        raise click.UsageError(
            f"--features: one feature is written as images, not {len(features)}"
        )
    feature = features[0] if features else "image"
    from ..tools.export_images import export_png, export_tiff

    with screen.progress("exporting", _length(file, selection), "images") as bar:
        if suffix:
            _require("tifffile")
            number = export_tiff(
                file, output, feature, selection, overwrite=overwrite, progress=bar
            )
        else:
            _require("PIL")
            number = export_png(file, output, feature, selection, progress=bar)
    return number, "images"


def _length(file: str, selection: Selection) -> int:
    """Return how many events will be read."""
    from ..measurement.data import HDF5Data

    with HDF5Data(file) as hd:
        return sum(map(len, selection.numbers(len(hd))))


def _require(module: str, *, wanted: bool = True) -> None:
    if wanted and importlib.util.find_spec(module) is None:
        name = {"PIL": "pillow"}.get(module, module)
        raise ImportError(f"this needs {name} (pip install {name})")
