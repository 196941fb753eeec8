"""A preview: some cells of a measurement, or what else there is to see of it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from .cells import Drawn, Reader, draw_cells, drawn_feature
from .figure import INK, draw_scatter, drawable, new_figure, plural, tidy, write_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

PANELS = 6
"""Plots of a page without images."""
PLOTTED_FIRST = (
    "area_um",
    "deform",
    "bright_avg",
    "bright_bc_avg",
    "inert_ratio_cvx",
    "aspect",
    "fl1_max",
    "fl2_max",
    "fl3_max",
    "pos_x",
    "time",
)
"""Scalar features that tell most, in this order."""
METADATA = (
    "experiment:sample",
    "experiment:date",
    "experiment:time",
    "setup:identifier",
    "setup:medium",
    "setup:chip region",
    "setup:channel width",
    "setup:flow rate",
    "imaging:pixel size",
    "imaging:frame rate",
)


def figure_of(reader: Reader, title: str) -> tuple[Figure, int]:
    """Return a figure of a measurement, and how many events are in it.

    Without images and masks there are plots of scalar features and the metadata.

    Parameters
    ----------
    reader : Reader
        Notes what cannot be read; the rest is drawn.
    title : str
        What the figure is called.
    """
    hd = reader.hd
    feature = drawn_feature(hd)
    title = f"{title}: {plural(len(hd), 'event')}"
    if feature is None:
        figure = new_figure(f"{title}, no images", 5.7)
        _draw_page(figure, reader)
        return figure, 0
    figure = new_figure(title, 5.7)
    below = figure.add_subfigure(figure.add_gridspec(1, 1)[0])
    return figure, draw_cells(below, reader, feature)


def _draw_page(figure: Figure, reader: Reader) -> None:
    """Draw scalar features beside the facts of a measurement without images."""
    plots = _plots(reader)
    grid = figure.add_gridspec(1, 2, width_ratios=[2.2, 1])
    right = figure.add_subfigure(grid[1]).subplots(1, 1)
    right.set_axis_off()
    right.text(
        0.0,
        1.0,
        _facts(reader.hd),
        transform=right.transAxes,
        va="top",
        fontsize=8,
        color=INK,
        parse_math=False,
    )
    left = figure.add_subfigure(grid[0])
    if not plots:
        missing = "scalar features" if len(reader.hd) else "events"
        write_in(left.subplots(1, 1), f"no {missing} to draw")
        return
    columns = min(3, len(plots))
    axes = left.subplots(-(-len(plots) // columns), columns, squeeze=False)
    for ax, plot in zip(axes.flat, [*plots, *[None] * axes.size], strict=False):
        if plot is None:
            ax.set_axis_off()
        elif plot == ("area_um", "deform"):
            draw_scatter(ax, reader.scalar("area_um"), reader.scalar("deform"))
        else:
            _draw_histogram(ax, plot[0], reader.scalar(plot[0]))


def _plots(reader: Reader) -> list[tuple[str, ...]]:
    """Return the features to plot, two for a scatter plot."""
    hd = reader.hd
    if not len(hd):
        return []
    own = [name for name in hd.features_scalar_frame if "basinmap" not in name]
    names = [name for name in PLOTTED_FIRST if name in hd]
    names += [name for name in [*own, *hd.keys()] if name not in names]
    plots: list[tuple[str, ...]] = []
    if {"area_um", "deform"} <= set(names):
        plots.append(("area_um", "deform"))
        names = [name for name in names if name not in plots[0]]
    for name in names:
        if len(plots) == PANELS:
            break
        if "basinmap" in name or name in ("trace", "contour"):
            continue
        values = reader.scalar(name)
        if values is not None and values.dtype.kind in "biuf":
            plots.append((name,))
    return [
        plot for plot in plots if all(reader.scalar(name) is not None for name in plot)
    ]


def _draw_histogram(ax: Axes, name: str, values: NDArray[Any] | None) -> None:
    assert values is not None
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    ax.set_title(drawable(name), fontsize=10, color=INK, parse_math=False)
    if not finite.size:
        write_in(ax, "no finite values")
        return
    ax.hist(finite, bins=min(50, max(5, round(finite.size**0.5))), color="C0")
    ax.set_ylabel("events", fontsize=8)
    tidy(ax)


def _facts(hd: Drawn) -> str:
    """Return what else is known, as lines."""
    lines = [f"{plural(len(hd.keys()), 'feature')}, {plural(len(hd.logs), 'log')}, "]
    lines[0] += plural(len(hd.tables), "table")
    lines += [f"{key}: {hd.meta[key]}" for key in METADATA if key in hd.meta]
    for basin in hd.basin_status():
        state = "available" if basin.available is not False else "not available"
        lines.append(f"basin '{basin.name}': {state}")
        if basin.available is False:
            lines.append(f"   {basin.reason}")
    wrapped = (
        textwrap.wrap(drawable(line), 52, subsequent_indent="   ") for line in lines
    )
    return "\n".join("\n".join(part) for part in wrapped)
