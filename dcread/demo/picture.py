"""One picture of a measurement: cells with outlines, and the light over time."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..hdf5_data import HDF5Data

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import NDArray

    from .job import JobReport

ROWS, COLUMNS = 4, 6
MARGIN = 10
ASPECT = 1.45
"""Width by height of the place that a cell has."""
INK = "#333333"
OUTLINE = "#ff7f0e"
ALARM = "#d62728"


def draw_report(report: JobReport, target: str | pathlib.Path) -> pathlib.Path:
    """Draw a picture of a measurement that `run_job` has read.

    Parameters
    ----------
    report : JobReport
        What the job found.
    target : str or pathlib.Path
        Where the PNG goes; replaced if it is there.

    Returns
    -------
    path : pathlib.Path
        Where the picture lies.

    Raises
    ------
    ImportError
        If matplotlib is not installed (``pip install "dcread[plot]"``).
    """
    target = pathlib.Path(target)
    figure = _new_figure(f"{report.path.name}: {report.events:,} events", 8.2)
    halves = figure.add_gridspec(2, 1, height_ratios=[2.1, 1])
    above, below = (figure.add_subfigure(halves[row]) for row in range(2))
    with HDF5Data(report.path) as hd:
        _draw_cells(above, hd)
    left, right = below.subplots(1, 2, width_ratios=[2.2, 1])
    _draw_light(left, report)
    _draw_scatter(right, report)
    figure.savefig(target, metadata={"Software": "dcread"})
    return target


def draw_preview(path: str | pathlib.Path, target: str | pathlib.Path) -> pathlib.Path:
    """Draw some cells of a measurement; reads no more than their images.

    Parameters
    ----------
    path : str or pathlib.Path
        The measurement.
    target : str or pathlib.Path
        Where the PNG goes; replaced if it is there.

    Returns
    -------
    path : pathlib.Path
        Where the picture lies.

    Raises
    ------
    ImportError
        If matplotlib is not installed (``pip install "dcread[plot]"``).
    DCReadError
        If the measurement cannot be read.
    """
    target = pathlib.Path(target)
    with HDF5Data(path) as hd:
        figure = _new_figure(f"{pathlib.Path(path).name}: {len(hd):,} events", 5.7)
        halves = figure.add_gridspec(1, 1)
        _draw_cells(figure.add_subfigure(halves[0]), hd)
    figure.savefig(target, metadata={"Software": "dcread"})
    return target


def _new_figure(title: str, height: float) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=(11, height), dpi=100, layout=layout)
    figure.suptitle(title, fontsize=13, color=INK)
    return figure


def _pick(hd: HDF5Data, number: int) -> NDArray[np.int64]:
    """Choose events evenly over the order of their areas, else over time."""
    order = np.arange(len(hd))
    if "area_um" in hd:
        order = np.argsort(hd["area_um"], kind="stable")
    steps = np.linspace(0.02, 0.98, min(number, len(hd)))
    return order[(steps * (len(hd) - 1)).round().astype(np.int64)]


def _draw_cells(figure: SubFigure, hd: HDF5Data) -> None:
    if "image" not in hd or not len(hd):
        figure.text(0.5, 0.5, "no images in this measurement", ha="center")
        return
    pixel_size = hd.pixel_size or 0.0
    chosen = _pick(hd, ROWS * COLUMNS)
    image_size = hd["image"].shape[1:]
    masks = hd.get("mask")
    boxes = [_box(masks[i] if masks is not None else None) for i in chosen.tolist()]
    height = max(b[1] - b[0] for b in boxes) + 2 * MARGIN
    width = max(b[3] - b[2] for b in boxes) + 2 * MARGIN
    height = min(max(height, round(width / ASPECT)), image_size[0])
    width = min(max(width, round(height * ASPECT)), image_size[1])
    figure.suptitle(
        "cells in order of area, mask outlined"
        if masks is not None and "area_um" in hd
        else "images in order of time",
        fontsize=10,
        color=INK,
    )
    axes = figure.subplots(ROWS, COLUMNS, squeeze=False)
    for place, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if place >= len(chosen):
            continue
        index = int(chosen[place])
        top, bottom, left, right = boxes[place]
        y = int(np.clip((top + bottom - height) // 2, 0, image_size[0] - height))
        x = int(np.clip((left + right - width) // 2, 0, image_size[1] - width))
        window = np.s_[y : y + height, x : x + width]
        image = np.asarray(hd["image"][index])
        low, high = np.percentile(image, [0.5, 99.8])
        ax.imshow(image[window], cmap="gray", vmin=low, vmax=high)
        if masks is not None:
            inside = np.asarray(masks[index])[window].astype(float)
            ax.contour(inside, levels=[0.5], colors=OUTLINE, linewidths=0.9)
        ax.set_title(_caption(hd, index), fontsize=7, color=INK, pad=2)
        if place == 0 and pixel_size:
            _draw_scale(ax, height, 10.0 / pixel_size)


def _box(mask: NDArray[Any] | None) -> tuple[int, int, int, int]:
    """Return first and last row and column of a mask (all of it if empty)."""
    if mask is None or not np.any(mask):
        return 0, 10**6, 0, 10**6
    rows = np.flatnonzero(np.any(mask, axis=1))
    columns = np.flatnonzero(np.any(mask, axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def _caption(hd: HDF5Data, index: int) -> str:
    text = f"#{index}"
    if "area_um" in hd:
        text += f"  {hd['area_um'][index]:.0f} µm²"
    if "deform" in hd:
        text += f"  D {hd['deform'][index]:.2f}"
    return text


def _draw_scale(ax: Axes, height: int, length: float) -> None:
    ax.plot([3, 3 + length], [height - 5] * 2, color="white", linewidth=2)
    ax.text(3, height - 8, "10 µm", color="white", fontsize=7, va="bottom")


def _draw_light(ax: Axes, report: JobReport) -> None:
    flicker = report.flicker
    ax.set_title("brightness of the light", fontsize=10, color=INK)
    if flicker is None or not flicker.frames:
        ax.text(0.5, 0.5, "no images", transform=ax.transAxes, ha="center")
        return
    time, label = np.arange(flicker.frames), "event"
    if "time" in report.scalars:
        time, label = report.scalars["time"], "time [s]"
    bad = np.zeros(flicker.frames, dtype=bool)
    bad[flicker.flickering_frames_without_drift] = True
    level = float(np.median(flicker.medians))
    ax.plot(time[~bad], flicker.medians[~bad], ".", ms=3, color="#7f7f7f")
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
        ms=5,
        color=ALARM,
        label=f"flickering, {bad.sum():,} of {len(bad):,} events",
    )
    # A steady light shall look steady.
    low, high = ax.get_ylim()
    room = max(4 * flicker.brightness_threshold - (high - low), 0.0) / 2
    ax.set_ylim(low - room, high + room)
    ax.set_xlabel(label)
    ax.set_ylabel(f"median of the top {flicker.roi_height} rows")
    _tidy(ax)
    ax.legend(fontsize=8, frameon=False, loc="best")


def _draw_scatter(ax: Axes, report: JobReport) -> None:
    ax.set_title("area and deformation", fontsize=10, color=INK)
    if not {"area_um", "deform"} <= set(report.scalars):
        ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center")
        ax.set_axis_off()
        return
    ax.plot(
        report.scalars["area_um"],
        report.scalars["deform"],
        ".",
        ms=2,
        alpha=0.4,
        color="#1f77b4",
    )
    ax.set_xlabel("area [µm²]")
    ax.set_ylabel("deformation")
    _tidy(ax)


def _tidy(ax: Axes) -> None:
    ax.tick_params(labelsize=8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
