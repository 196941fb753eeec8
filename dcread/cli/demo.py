"""``dcread demo``: make a measurement (or take one) and read it in every way."""

from __future__ import annotations

import pathlib
import time
from typing import TYPE_CHECKING

import click

from ..errors import NotAFileError
from ..survey import is_url, shown
from . import basins, options
from .ends_in_order import ends_in_order
from .screen import Screen

if TYPE_CHECKING:
    import contextlib

    from ..demo.job import JobReport, Pass, Tick

ENOUGH = 20_000_000
"""Bytes of images below which times say nothing."""
LEAST_FRAMES = 40


@click.command(
    "demo",
    short_help="Make a realistic measurement (or take FILE), read it, and "
    "draw a picture.",
)
@click.argument("file", required=False)
@click.option(
    "--output",
    type=options.PATH,
    default=pathlib.Path("demo-output"),
    show_default=True,
    metavar="FOLDER",
    help="Where files and picture go.",
)
@click.option(
    "--frames",
    type=click.IntRange(min=LEAST_FRAMES),
    default=3000,
    show_default=True,
    metavar="N",
    help="Number of camera frames to make.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Seed of the random numbers: the same seed makes the same files.",
)
@click.option(
    "--steady", is_flag=True, help="Make a light source that does not flicker."
)
@click.option("--only-make", is_flag=True, help="Make the measurement, read nothing.")
@options.quiet
@ends_in_order()
def command(
    *,
    file: str | None,
    output: pathlib.Path,
    frames: int,
    seed: int,
    steady: bool,
    only_make: bool,
    quiet: bool,
) -> int:
    """Make a realistic measurement (or take FILE), read it, and draw a picture.

    The files of an earlier demo in FOLDER are used again if they were made with the
    same options, and replaced otherwise.
    """
    from ..demo.job import run_job

    screen = Screen(quiet=quiet)
    join: list[pathlib.Path] | None = None
    if file is None:
        path, join = _make(screen, output, frames, seed, flicker=not steady)
    else:
        if is_url(file):
            raise NotAFileError(
                f"{shown(file)}: the demo joins and reads files on this machine; "
                "download the measurement first, or look at it with 'dcread preview'"
            )
        path = pathlib.Path(file)
    if only_make:
        return 0
    start = time.perf_counter()
    report = run_job(path, join, watch=_Watch(screen))
    seconds = time.perf_counter() - start
    show(screen, report)
    screen.say(f"\nall of it took {seconds:.1f} s")
    _draw(screen, report, output)
    return 0


class _Watch:
    """Gives progress bars to the job."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def __call__(
        self, label: str, total: int
    ) -> contextlib.AbstractContextManager[Tick]:
        return self._screen.progress(label, total, "images", keep=True, log=True)


def _make(
    screen: Screen, output: pathlib.Path, frames: int, seed: int, *, flicker: bool
) -> tuple[pathlib.Path, list[pathlib.Path]]:
    from ..demo.generate import make_measurement

    number = frames + frames // 3
    with screen.progress("making images", number, "images", keep=True, log=True) as bar:
        made = make_measurement(
            output,
            frames=frames,
            seed=seed,
            flicker=flicker,
            progress=bar,
            reuse=True,
        )
        bar.set(number)
    for written in (made.events, made.recording, made.continuation):
        size = written.stat().st_size / 1e6
        screen.wrap(f"made {written} ({size:.1f} MB)", "  ", "")
    return made.events, [made.recording, made.continuation]


def _draw(screen: Screen, report: JobReport, output: pathlib.Path) -> None:
    from ..demo.picture import draw_report

    try:
        output.mkdir(parents=True, exist_ok=True)
        target = (output / f"{report.path.stem}.png").absolute()
        screen.wrap(f"picture: {draw_report(report, target)}", "  ", "")
    except ImportError:
        screen.wrap("no picture: matplotlib is missing (pip install matplotlib)")


def show(screen: Screen, report: JobReport) -> None:
    """Print the summary of the main job."""
    from ..survey.plain import plain

    screen.say()
    screen.wrap(str(report.path), "  ", "")
    screen.say(f"  {report.events:,} events, {len(report.features)} features")
    for record in report.basins:
        basins.show(screen, plain(record), indent="  ")
    for problem in report.problems:
        if problem.kind != "basin":  # told above
            screen.wrap(f"problem: {problem}", "    ", "  ")
    if report.images:
        screen.say(f"\n  {'images':<12}{'dcread':>13}{'plain h5py':>32}")
    for feature, mine in report.images.items():
        _compare(screen, feature, mine, report.h5py.get(feature))
    screen.wrap(
        f"scalars and traces: {len(report.scalars)} features, "
        f"{report.traces:,} traces in {report.other_seconds:.2f} s",
        "    ",
        "  ",
    )
    if report.flicker is not None:
        screen.say()
        for line in str(report.flicker).split("\n"):
            screen.wrap(line.strip(), "    ", line[: len(line) - len(line.lstrip())])
    if report.joined:
        parts = " + ".join(part.name for part in report.joined)
        screen.say()
        screen.wrap(f"concatenated: {parts}: {report.joined_events:,} events", "  ", "")
    if report.joined_pass is not None:
        _compare(screen, "images", report.joined_pass, report.joined_h5py)
        fits = "fit" if report.seam_fits else "DO NOT FIT"
        screen.say(f"  the images on both sides of the seam {fits}")


def _compare(screen: Screen, name: str, mine: Pass, peer: Pass | None) -> None:
    """Print how fast images were read, on two lines where one is too long."""
    first, second = _rates(mine, peer)
    lead = f"  {name:<12}"
    if screen.is_terminal and screen.width <= len(lead) + len(first) + len(second):
        screen.say(lead + first.rstrip())
        if second:
            screen.say(" " * len(lead) + second.strip())
    else:
        screen.say(lead + first + second)


def _rates(mine: Pass, peer: Pass | None) -> tuple[str, str]:
    if not mine.images:
        return "     no images", ""
    seconds = max(mine.seconds, 1e-9)
    mine_rate = mine.size / 1e6 / seconds
    first = f"{mine_rate:8,.0f} MB/s {mine.images / seconds:10,.0f} images/s"
    if peer is None:
        return first, "  (not compared)"
    if peer.checksum != mine.checksum:
        return first, "  DIFFERS from plain h5py"
    if mine.size < ENOUGH:
        return first, "  equal (too few images to compare times)"
    rate = peer.size / 1e6 / max(peer.seconds, 1e-9)
    return first, f" {rate:8,.0f} MB/s   {mine_rate / rate:.2f}x, equal"
