"""``dcread preview``: a picture of some cells."""

from __future__ import annotations

import pathlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

NAME = "preview"
HELP = "Draw some cells of a measurement, with the outlines of their masks."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command."""
    parser.add_argument(
        "file", type=pathlib.Path, metavar="FILE", help="the measurement"
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        metavar="PNG",
        help="where the picture goes (default: FILE's name, .png, in this folder)",
    )


def run(args: argparse.Namespace) -> int:
    """Draw the picture and print its path."""
    from ..demo.picture import draw_preview

    target = args.output or pathlib.Path(f"{args.file.stem}.png")
    try:
        print(draw_preview(args.file, target.absolute()))
    except ImportError:
        print(
            "dcread: a preview needs matplotlib (pip install 'dcread[plot]')",
            file=sys.stderr,
        )
        return 1
    return 0
