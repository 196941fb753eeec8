"""``dcread concat``: several measurements as one virtual file."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import click

from ..survey import find_inputs
from . import options
from .ends_in_order import ends_in_order
from .screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from .progress import ProgressBar


@click.command(
    "concat",
    short_help="Join measurements in a small file that refers to them.",
)
@click.argument("output", type=options.PATH)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@options.features("Features to take [default: those that the first file stores]")
@options.overwrite
@options.as_json
@options.quiet
@ends_in_order()
def command(
    *,
    output: pathlib.Path,
    files: tuple[str, ...],
    features: list[str] | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Join measurements in a small file OUTPUT that refers to them.

    FILE is a file, a folder (with all .rtdc files below it) or a pattern.
    """
    from ..concat.concatenate import concatenated_hdf5_data

    screen = Screen(as_json=as_json, quiet=quiet)
    _refuse_features(output, features)
    # (a file that is named twice is joined twice)
    inputs = [item for file in files for item in find_inputs([file])]
    for item in inputs:
        if item.reason:
            raise FileNotFoundError(f"{item.path}: {item.reason}")
    paths = [item.path for item in inputs]
    with (
        screen.progress("joining", 100) as bar,
        concatenated_hdf5_data(
            paths,
            path_out=output,
            features=features,
            overwrite=overwrite,
            progress=_in_percent(bar),
        ) as hd,
    ):
        facts: dict[str, Any] = {
            "path": hd.path,
            "events": len(hd),
            "files": paths,
            "features": list(hd.keys()),
        }
    if as_json:
        screen.json(facts)
    elif not quiet:
        number = "1 file" if len(paths) == 1 else f"{len(paths)} files"
        screen.wrap(f"{output}: {facts['events']:,} events of {number}")
    return 0


def _refuse_features(output: pathlib.Path, features: list[str] | None) -> None:
    """Refuse a second feature that landed in the place of OUTPUT."""
    if features and not output.suffix and output.parent == pathlib.Path():
        raise click.UsageError(
            f"OUTPUT is '{output}', which looks like a feature: --features takes names "
            f"with commas (--features {','.join([*features, output.name])}); for a "
            f"file of this name say ./{output}"
        )


def _in_percent(bar: ProgressBar) -> Callable[[float], None]:
    def progress(part: float) -> None:
        bar.set(round(100 * part))

    return progress
