"""Slow drift of a series: its running median, right up to both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VALUES_AT_ONCE = 1 << 20
_SLOPE_VALUES = 301
_LEAST_VALUES = 5


def running_median(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the median around each value; the window is cut off at both ends.

    Values that are not finite are left out, like the places beyond the ends.
    """
    half = window // 2
    padded = np.full(len(values) + 2 * half, np.nan)
    padded[half : half + len(values)] = values
    padded[~np.isfinite(padded)] = np.nan
    out = np.full(len(values), np.nan)
    if not len(values):
        return out
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)
    step = max(1, _VALUES_AT_ONCE // window)
    for start in range(0, len(values), step):
        part = slice(start, start + step)
        # NaN sorts last: the middle of the others lies at half their number.
        ranked = np.sort(windows[part], axis=1)
        known = window - np.isnan(ranked).sum(axis=1)
        rows = np.flatnonzero(known)
        low, high = (known[rows] - 1) // 2, known[rows] // 2
        out[part][rows] = (ranked[rows, low] + ranked[rows, high]) / 2
    return out


def slow_drift(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the running median, without its lag at both ends.

    There the window is cut off, and its median belongs to its middle, which is
    not the place that is asked for: the way from there is made along the slope
    that the values at that end have.
    """
    drift = running_median(values, window)
    count, half = len(values), window // 2
    rows = np.arange(count)
    middle = (np.maximum(rows - half, 0) + np.minimum(rows + half, count - 1)) / 2
    first, last = _slope(values[: half + 1]), _slope(values[max(0, count - half - 1) :])
    drift += (rows - middle) * np.where(rows < count / 2, first, last)
    return drift


def _slope(values: NDArray[np.float64]) -> float:
    """Return the repeated median of the slopes between values; 0 for too few."""
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) > _SLOPE_VALUES:
        rows = rows[np.linspace(0, len(rows) - 1, _SLOPE_VALUES).astype(np.intp)]
    count = len(rows)
    if count < _LEAST_VALUES:
        return 0.0
    others = ~np.eye(count, dtype=bool)
    rise = np.subtract.outer(values[rows], values[rows])[others]
    way = np.subtract.outer(rows, rows)[others]
    slopes = np.median((rise / way).reshape(count, count - 1), axis=1)
    return float(np.median(slopes))
