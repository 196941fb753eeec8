"""``dcread concat``: several measurements as one virtual file."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from . import output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

NAME = "concat"
HELP = "Join measurements in a small file that refers to them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command."""
    parser.add_argument(
        "output", type=pathlib.Path, metavar="OUTPUT", help="the file to write"
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="what to join")
    parser.add_argument(
        "--features",
        nargs="+",
        metavar="NAME",
        help="features to take (default: those that the first file stores)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace OUTPUT if it is there"
    )
    output.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file and tell its length."""
    from ..concat.concatenate import concatenated_hdf5_data

    with (
        output.bar("joining", 100, "%") as tick,
        concatenated_hdf5_data(
            args.files,
            path_out=args.output,
            features=args.features,
            overwrite=args.overwrite,
            progress=_in_percent(tick),
        ) as hd,
    ):
        path, events, features = hd.path, len(hd), list(hd.keys())
    if args.json:
        facts = {"path": path, "events": events, "files": args.files}
        output.print_json({**facts, "features": features})
    else:
        print(f"{args.output}: {events:,} events of {len(args.files)} files")
    return 0


def _in_percent(tick: Callable[[int], None]) -> Callable[[float], None]:
    done = 0

    def progress(part: float) -> None:
        nonlocal done
        tick(round(100 * part) - done)
        done = round(100 * part)

    return progress
