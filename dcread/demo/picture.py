"""One picture of a measurement: cells with outlines, and the light over time."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FeatureNotFoundError
from ..measurement.data import HDF5Data

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import NDArray

    from .job import JobReport

WIDTH, CELLS_HEIGHT = 11.0, 5.2
"""Width of the picture and height of the part with the cells, in inches."""
MOST_CELLS = 24
MARGIN = 10
ASPECT = 1.45
"""Least width by height of the place that a cell has."""
INK = "#333333"
OUTLINE = "#ff7f0e"
ALARM = "#d62728"
FEW = 300
"""Events below which dots are drawn larger."""


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
    title = f"{report.path.name}: {_events(report.events)}"
    with HDF5Data(report.path) as hd:
        feature = _drawable(hd)
        if feature is None:
            figure = _new_figure(f"{title}, no images", 3.2)
            below = figure.add_subfigure(figure.add_gridspec(1, 1)[0])
        else:
            figure = _new_figure(title, 8.2)
            halves = figure.add_gridspec(2, 1, height_ratios=[2.1, 1])
            above, below = (figure.add_subfigure(halves[row]) for row in range(2))
            _draw_cells(above, hd, feature)
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
        If the measurement cannot be read or has neither images nor masks.
    """
    target = pathlib.Path(target)
    with HDF5Data(path) as hd:
        feature = _drawable(hd)
        if feature is None:
            found = f"{_events(len(hd))} with the features {', '.join(hd) or '(none)'}"
            raise FeatureNotFoundError(
                f"{hd.path}: expected events with 'image' or 'mask' to draw, found "
                f"{found}"
            )
        figure = _new_figure(f"{pathlib.Path(path).name}: {_events(len(hd))}", 5.7)
        halves = figure.add_gridspec(1, 1)
        _draw_cells(figure.add_subfigure(halves[0]), hd, feature)
    figure.savefig(target, metadata={"Software": "dcread"})
    return target


def _events(number: int) -> str:
    return f"{number:,} event{'' if number == 1 else 's'}"


def _new_figure(title: str, height: float) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=(WIDTH, height), dpi=100, layout=layout)
    figure.suptitle(title, fontsize=13, color=INK)
    return figure


def _drawable(hd: HDF5Data) -> str | None:
    """Return the feature to draw: images, masks where there are none, or None."""
    names = [name for name in ("image", "mask") if len(hd) and name in hd]
    return names[0] if names else None


def _pick(hd: HDF5Data, number: int) -> NDArray[np.int64]:
    """Choose events evenly over the order of their areas, else over time."""
    order = np.arange(len(hd))
    if "area_um" in hd:
        order = np.argsort(hd["area_um"], kind="stable")
    steps = np.linspace(0.02, 0.98, min(number, len(hd)))
    return order[(steps * (len(hd) - 1)).round().astype(np.int64)]


def _grid(number: int, aspect: float) -> tuple[int, int]:
    """Return the rows and columns in which as many places become largest."""

    def width(columns: int) -> float:
        height = CELLS_HEIGHT / -(-number // columns) - 0.2  # less the caption
        return min(WIDTH / columns, height * aspect)

    columns = max(range(1, number + 1), key=width)
    return -(-number // columns), columns


def _draw_cells(figure: SubFigure, hd: HDF5Data, feature: str) -> None:
    pixel_size = hd.pixel_size or 0.0
    chosen = _pick(hd, MOST_CELLS)
    image_size = hd[feature].shape[1:]
    masks = hd.get("mask")
    boxes = [_box(masks[i] if masks is not None else None) for i in chosen.tolist()]
    height = max(b[1] - b[0] for b in boxes) + 2 * MARGIN
    width = max(b[3] - b[2] for b in boxes) + 2 * MARGIN
    height = min(max(height, round(width / ASPECT)), image_size[0])
    width = min(max(width, round(height * ASPECT)), image_size[1])
    figure.suptitle(
        f"{'images' if feature == 'image' else 'masks'} in order of "
        f"{'area' if 'area_um' in hd else 'time'}"
        f"{', masks outlined' if feature == 'image' and masks is not None else ''}",
        fontsize=10,
        color=INK,
    )
    axes = figure.subplots(*_grid(len(chosen), width / height), squeeze=False)
    for place, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if place >= len(chosen):
            continue
        index = int(chosen[place])
        top, bottom, left, right = boxes[place]
        y = int(np.clip((top + bottom - height) // 2, 0, image_size[0] - height))
        x = int(np.clip((left + right - width) // 2, 0, image_size[1] - width))
        window = np.s_[y : y + height, x : x + width]
        image = np.asarray(hd[feature][index], dtype=float)
        low, high = np.percentile(image, [0.5, 99.8]) if feature == "image" else (0, 1)
        ax.imshow(image[window], cmap="gray", vmin=low, vmax=high)
        if feature == "image" and masks is not None and np.any(masks[index][window]):
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
    from matplotlib.patheffects import withStroke

    edge = [withStroke(linewidth=3, foreground=INK)]  # on bright and dark images
    y = height * 0.93
    ax.plot([3, 3 + length], [y] * 2, color="white", linewidth=1.5, path_effects=edge)
    ax.text(
        3,
        y - height * 0.04,
        "10 µm",
        color="white",
        fontsize=7,
        va="bottom",
        path_effects=edge,
    )


def _empty(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", color=INK)
    ax.set_axis_off()


def _draw_light(ax: Axes, report: JobReport) -> None:
    flicker = report.flicker
    ax.set_title("brightness of the light", fontsize=10, color=INK)
    if flicker is None or not flicker.frames:
        _empty(ax, "no images")
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
    _tidy(ax)
    ax.legend(fontsize=8, frameon=False, loc="best")


def _draw_scatter(ax: Axes, report: JobReport) -> None:
    ax.set_title("area and deformation", fontsize=10, color=INK)
    if not report.events or not {"area_um", "deform"} <= set(report.scalars):
        _empty(ax, "not measured")
        return
    ax.plot(
        report.scalars["area_um"],
        report.scalars["deform"],
        ".",
        ms=6 if report.events < FEW else 2,
        alpha=0.8 if report.events < FEW else 0.4,
        color="#1f77b4",
    )
    ax.set_xlabel("area [µm²]")
    ax.set_ylabel("deformation")
    _tidy(ax)


def _tidy(ax: Axes) -> None:
    ax.tick_params(labelsize=8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
