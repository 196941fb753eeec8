"""``dcread demo``: make a measurement (or take one) and read it in every way."""

from __future__ import annotations

import pathlib
import time
from typing import TYPE_CHECKING

from . import basins, output

if TYPE_CHECKING:
    import argparse

    from ..demo.job import JobReport, Pass

NAME = "demo"
HELP = "Make a realistic measurement (or take FILE), read it, and draw a picture."
ENOUGH = 20_000_000
"""Bytes of images below which times say nothing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="read this instead of a made-up one"
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("demo-output"),
        metavar="FOLDER",
        help="where files and picture go (default: demo-output)",
    )
    parser.add_argument(
        "--frames",
        type=int,
        default=3000,
        metavar="N",
        help="camera frames to make (default: 3000)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the random numbers"
    )
    parser.add_argument(
        "--steady", action="store_true", help="a light source that does not flicker"
    )
    parser.add_argument(
        "--only-make", action="store_true", help="make the measurement, read nothing"
    )


def run(args: argparse.Namespace) -> int:
    """Make or take a measurement, read it, print a summary, draw a picture."""
    from ..demo.generate import make_measurement
    from ..demo.job import run_job
    from ..demo.picture import draw_report
    from ..demo.progress import ProgressBar

    join: list[pathlib.Path] | None = None
    if args.file is None:
        with ProgressBar("making images", args.frames + args.frames // 3) as bar:
            made = make_measurement(
                args.output,
                frames=args.frames,
                seed=args.seed,
                flicker=not args.steady,
                progress=bar,
            )
        join = [made.recording, made.continuation]
        path = made.events
        for written in (made.events, made.recording, made.continuation):
            size = written.stat().st_size / 1e6
            print(f"made {written} ({size:.1f} MB)", flush=True)
    else:
        path = pathlib.Path(args.file)
    if args.only_make:
        return 0
    start = time.perf_counter()
    report = run_job(path, join, watch=ProgressBar)
    seconds = time.perf_counter() - start
    show(report)
    print(f"\nall of it took {seconds:.1f} s")
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        target = (args.output / f"{report.path.stem}.png").absolute()
        print(f"picture: {draw_report(report, target)}")
    except ImportError:
        print("no picture: matplotlib is missing (pip install 'dcread[plot]')")
    return 0


def show(report: JobReport) -> None:
    """Print the summary of the main job."""
    print(f"\n{report.path}")
    print(f"  {report.events:,} events, {len(report.features)} features")
    for record in report.basins:
        basins.show(record, indent="  ")
    for problem in report.problems:
        if problem.kind != "basin":  # told above
            output.say(f"  problem: {problem}")
    head = f"  {'images':<12}{'dcread':>13}{'plain h5py':>32}"
    if report.images:
        print(f"\n{head}")
    for feature, mine in report.images.items():
        print(f"  {feature:<12}{_compare(mine, report.h5py.get(feature))}")
    print(
        f"  scalars and traces: {len(report.scalars)} features, "
        f"{report.traces:,} traces in {report.other_seconds:.2f} s"
    )
    if report.flicker is not None:
        print(f"\n{report.flicker}")
    if report.joined:
        parts = " + ".join(part.name for part in report.joined)
        print(f"\nconcatenated: {parts}: {report.joined_events:,} events")
    if report.joined_pass is not None:
        print(f"  {'images':<12}{_compare(report.joined_pass, report.joined_h5py)}")
        fits = "fit" if report.seam_fits else "DO NOT FIT"
        print(f"  the images on both sides of the seam {fits}")


def _compare(mine: Pass, peer: Pass | None) -> str:
    seconds = max(mine.seconds, 1e-9)
    mine_rate = mine.size / 1e6 / seconds
    text = f"{mine_rate:8,.0f} MB/s {mine.images / seconds:10,.0f} images/s"
    if not mine.images:
        return "     no images"
    if peer is None:
        return f"{text}  (not compared)"
    if peer.checksum != mine.checksum:
        return f"{text}  DIFFERS from plain h5py"
    if mine.size < ENOUGH:
        return f"{text}  equal (too few images to compare times)"
    rate = peer.size / 1e6 / max(peer.seconds, 1e-9)
    return f"{text} {rate:8,.0f} MB/s   {mine_rate / rate:.2f}x, equal"
