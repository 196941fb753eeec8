"""Cells of a measurement: some of its events, with the outlines of their masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import DCReadError
from .figure import INK, WIDTH, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from numpy.typing import NDArray

HEIGHT = 5.2
"""Height of the part of a picture with the cells, in inches."""
MOST = 24
"""Events that are shown."""
MARGIN = 10
ASPECT = 1.45
"""Least width by height of the place that a cell has."""
OUTLINE = "#ff7f0e"


class Drawn(Protocol):
    """What of a measurement is drawn; `dcread.HDF5Data` has it."""

    def __len__(self) -> int:
        """Return the number of events."""

    def __contains__(self, item: object) -> bool:
        """Tell whether there is a feature of that name."""

    def __getitem__(self, feat: str) -> Any:
        """Return a feature."""

    def keys(self) -> list[str]:
        """Return the names of the features."""

    def basin_status(self) -> Any:
        """Return a record for each basin."""

    @property
    def meta(self) -> dict[str, Any]:
        """The metadata."""

    @property
    def logs(self) -> dict[str, list[str]]:
        """The logs."""

    @property
    def tables(self) -> Any:
        """The tables."""

    @property
    def pixel_size(self) -> float:
        """Pixel size in µm."""

    @property
    def features_scalar_frame(self) -> list[str]:
        """Scalar features that apply to all events in a frame."""


@dataclass
class Reader:
    """Reads features of a measurement of which parts may be damaged.

    Attributes
    ----------
    hd : HDF5Data
        The measurement.
    problems : list of str
        What could not be read, each once.
    """

    hd: Drawn
    problems: list[str] = field(default_factory=list)
    _bad: set[str] = field(default_factory=set)

    def item(self, feature: str, index: int) -> NDArray[Any] | None:
        """Return one image or mask; None if it cannot be read."""
        try:
            return np.asarray(self.hd[feature][index])
        except DCReadError as error:
            self._note(error)
            return None

    def scalar(self, feature: str) -> NDArray[Any] | None:
        """Return a scalar feature; None if it is missing or cannot be read."""
        if feature not in self.hd or feature in self._bad:
            return None
        try:
            values = np.asarray(self.hd[feature])
        except DCReadError as error:
            self._bad.add(feature)
            self._note(error)
            return None
        return values if values.ndim == 1 else None

    def _note(self, error: DCReadError) -> None:
        text = " ".join(str(error).split())
        if text not in self.problems:
            self.problems.append(text)


def drawn_feature(hd: Drawn) -> str | None:
    """Return the feature to draw: images, masks where there are none, or None."""
    names = [name for name in ("image", "mask") if len(hd) and name in hd]
    return names[0] if names else None


def draw_cells(figure: SubFigure, reader: Reader, feature: str) -> int:
    """Draw some events and return how many."""
    hd = reader.hd
    area = reader.scalar("area_um")
    chosen = _pick(len(hd), area)
    images = [reader.item(feature, index) for index in chosen.tolist()]
    masks: list[NDArray[Any] | None] = [None] * len(chosen)
    if feature == "mask":
        masks = images
    elif "mask" in hd:
        masks = [reader.item("mask", index) for index in chosen.tolist()]
    figure.suptitle(
        f"{len(chosen):,} of {len(hd):,} shown: "
        f"{'images' if feature == 'image' else 'masks'} in order of "
        f"{'time' if area is None else 'area'}"
        f"{', masks outlined' if feature == 'image' and 'mask' in hd else ''}",
        fontsize=10,
        color=INK,
    )
    size = hd[feature].shape[1:]
    boxes = [_box(mask, size) for mask in masks]
    height, width = _window(boxes, size)
    axes = figure.subplots(*_grid(len(chosen), width / height), squeeze=False)
    for place, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if place >= len(chosen):
            continue
        index = int(chosen[place])
        ax.set_title(_caption(reader, index), fontsize=7, color=INK, pad=2)
        top, bottom, left, right = boxes[place]
        y = int(np.clip((top + bottom - height) // 2, 0, size[0] - height))
        x = int(np.clip((left + right - width) // 2, 0, size[1] - width))
        window = np.s_[y : y + height, x : x + width]
        _draw_cell(ax, feature, images[place], masks[place], window)
        if place == 0 and hd.pixel_size:
            _draw_scale(ax, height, 10.0 / hd.pixel_size)
    return len(chosen)


def _draw_cell(
    ax: Axes,
    feature: str,
    image: NDArray[Any] | None,
    mask: NDArray[Any] | None,
    window: Any,
) -> None:
    if image is None:
        shape = tuple(part.stop - part.start for part in window)
        ax.imshow(np.full(shape, 0.92), cmap="gray", vmin=0, vmax=1)
        ax.text(
            0.5,
            0.5,
            "cannot be read",
            transform=ax.transAxes,
            ha="center",
            va="center",
            fontsize=7,
            color=INK,
        )
        return
    image = np.asarray(image, dtype=float)
    low, high = 0.0, 1.0
    finite = image[np.isfinite(image)]
    if feature == "image" and finite.size:
        low, high = np.percentile(finite, [0.5, 99.8])
    ax.imshow(image[window], cmap="gray", vmin=low, vmax=high)
    if feature == "image" and mask is not None and np.any(mask[window]):
        inside = mask[window].astype(float)
        ax.contour(inside, levels=[0.5], colors=OUTLINE, linewidths=0.9)


def _pick(length: int, area: NDArray[Any] | None) -> NDArray[np.int64]:
    """Choose events evenly over the order of their areas, else over time."""
    places = np.arange(min(length, MOST))
    if length > MOST:
        steps = np.linspace(0.02, 0.98, MOST)
        places = (steps * (length - 1)).round().astype(np.int64)
    if area is None:
        return places
    return np.argsort(area, kind="stable")[places]


def _grid(number: int, aspect: float) -> tuple[int, int]:
    """Return the rows and columns in which as many places become largest."""

    def width(columns: int) -> float:
        height = HEIGHT / -(-number // columns) - 0.2  # less the caption
        return min(WIDTH / columns, height * aspect)

    columns = max(range(1, number + 1), key=width)
    return -(-number // columns), columns


def _box(mask: NDArray[Any] | None, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return first and last row and column of a mask (all of it if empty)."""
    if mask is None or not np.any(mask):
        return 0, size[0] - 1, 0, size[1] - 1
    rows = np.flatnonzero(np.any(mask, axis=1))
    columns = np.flatnonzero(np.any(mask, axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def _window(
    boxes: list[tuple[int, int, int, int]], size: tuple[int, int]
) -> tuple[int, int]:
    """Return height and width of the part of each image that is drawn."""
    height = max(bottom - top for top, bottom, _, _ in boxes) + 2 * MARGIN
    width = max(right - left for _, _, left, right in boxes) + 2 * MARGIN
    height = min(max(height, round(width / ASPECT)), size[0])
    width = min(max(width, round(height * ASPECT)), size[1])
    return height, width


def _caption(reader: Reader, index: int) -> str:
    text = f"#{index}"
    area, deform = reader.scalar("area_um"), reader.scalar("deform")
    if area is not None:
        text += f"  {area[index]:.0f} µm²"
    if deform is not None:
        text += f"  D {deform[index]:.2f}"
    return drawable(text)


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
