"""One picture of a measurement: cells with outlines, and the light over time."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import numpy as np

from ..measurement.data import HDF5Data
from ..pictures.cells import Reader, draw_cells, drawn_feature
from ..pictures.figure import (
    FEW,
    INK,
    all_fonts,
    draw_scatter,
    new_figure,
    plural,
    tidy,
    title_of,
    write_in,
)
from .picture_file import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .job import JobReport

ALARM = "#d62728"


def draw_report(report: JobReport, target: str | pathlib.Path) -> pathlib.Path:
    """Draw a picture of a measurement that `run_job` has read.

    Parameters
    ----------
    report : JobReport
        What the job found.
    target : str or pathlib.Path
        Where the picture goes; replaced if it is there.

    Returns
    -------
    path : pathlib.Path
        Where the picture lies.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    target = pathlib.Path(target)
    with all_fonts(), HDF5Data(report.path) as hd:
        title = f"{title_of(report.path.name)}: {plural(report.events, 'event')}"
        feature = drawn_feature(hd)
        if feature is None:
            figure = new_figure(f"{title}, no images", 3.2)
            below = figure.add_subfigure(figure.add_gridspec(1, 1)[0])
        else:
            figure = new_figure(title, 8.2)
            halves = figure.add_gridspec(2, 1, height_ratios=[2.1, 1])
            above, below = (figure.add_subfigure(halves[row]) for row in range(2))
            draw_cells(above, Reader(hd), feature)
        left, right = below.subplots(1, 2, width_ratios=[2.2, 1])
        _draw_light(left, report)
        if report.events and {"area_um", "deform"} <= set(report.scalars):
            draw_scatter(right, report.scalars["area_um"], report.scalars["deform"])
        else:
            write_in(right, "area and deformation: not measured")
        save_figure(figure, target, overwrite=True)
    return target


def _draw_light(ax: Axes, report: JobReport) -> None:
    flicker = report.flicker
    ax.set_title("brightness of the light", fontsize=10, color=INK)
    if flicker is None or not flicker.frames:
        write_in(ax, "no images")
        return
    time, label = np.arange(flicker.frames), "event"
    if "time" in report.scalars:
        time, label = report.scalars["time"], "time [s]"
    bad = np.zeros(flicker.frames, dtype=bool)
    bad[flicker.flickering_frames_without_drift] = True
    level = float(np.median(flicker.medians))
    few = flicker.frames < FEW
    ax.plot(time[~bad], flicker.medians[~bad], ".", ms=6 if few else 3, color="#7f7f7f")
    ax.plot(
        time,
        level + flicker.drift,
        color="#1f77b4",
        linewidth=1.4,
        label=f"drift, {flicker.drift_range:.1f} grey values",
    )
    ax.plot(
        time[bad],
        flicker.medians[bad],
        ".",
        ms=7 if few else 5,
        color=ALARM,
        label=f"flickering, {bad.sum():,} of {len(bad):,} events",
    )
    # A steady light shall look steady.
    low, high = ax.get_ylim()
    room = max(4 * flicker.brightness_threshold - (high - low), 0.0) / 2
    ax.set_ylim(low - room, high + room)
    ax.set_xlabel(label)
    ax.set_ylabel(f"median of the top {flicker.roi_height} rows")
    tidy(ax)
    ax.legend(fontsize=8, frameon=False, loc="best")
