"""``dcread concat``: several measurements as one virtual file."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

NAME = "concat"
HELP = "Join measurements in a small file that refers to them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command."""
    parser.add_argument("output", type=pathlib.Path, metavar="OUTPUT")
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


def run(args: argparse.Namespace) -> int:
    """Write the file and tell its length."""
    from ..hdf5_concat import concatenated_hdf5_data

    with concatenated_hdf5_data(
        args.files,
        path_out=args.output,
        features=args.features,
        overwrite=args.overwrite,
    ) as hd:
        print(f"{args.output}: {len(hd):,} events of {len(args.files)} files")
    return 0
