"""``dcread flicker``: tell whether the light flickers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import output

if TYPE_CHECKING:
    import argparse

    from ..flicker.report import FlickerReport

NAME = "flicker"
HELP = "Tell whether the light of a measurement flickers, and whether it drifts."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command."""
    parser.add_argument("file", metavar="FILE", help="the measurement")
    parser.add_argument(
        "--max-frames",
        type=int,
        default=1000,
        metavar="N",
        help="look at the first N frames, 0 for all (default: 1000)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=2.5,
        metavar="GREY",
        help="offset in grey values that counts as flickering (default: 2.5)",
    )
    output.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the numbers of the flicker check."""
    from ..flicker.report import flicker_report
    from ..measurement.data import HDF5Data

    with HDF5Data(args.file) as hd:
        report = flicker_report(
            hd,
            brightness_threshold=args.threshold,
            max_frames=args.max_frames or len(hd),
        )
        path = hd.path
    if args.json:
        output.print_json({"path": path, **collect(report)})
    else:
        print(report)
    return 0


def collect(report: FlickerReport) -> dict[str, Any]:
    """Return the numbers of a report, without the series."""
    names = (
        "frames",
        "flickering",
        "flickering_frames",
        "flickering_without_drift",
        "flickering_frames_without_drift",
        "drifting",
        "drift_range",
        "roi_height",
        "brightness_threshold",
        "count_threshold",
        "drift_window",
    )
    return {name: getattr(report, name) for name in names}
