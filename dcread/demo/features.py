"""Scalar features of cells, computed from their masks and images.

Definitions are those of deformability cytometry: outlines run through the
centers of a mask's border pixels, and area, deformation and position are those
of the outline's convex hull.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Point = tuple[int, int]


def shape_features(
    masks: NDArray[np.bool_],
    top: NDArray[np.int64],
    left: NDArray[np.int64],
    pixel_size: float,
) -> dict[str, NDArray[np.float64]]:
    """Return features of the shapes of single cells.

    Parameters
    ----------
    masks : ndarray of bool, shape (N, h, w)
        Windows with one connected object each; every row of an object is one
        run of pixels.
    top, left : ndarray of int, shape (N,)
        Where the windows lie in the frame.
    pixel_size : float
        Length of a pixel in um.

    Returns
    -------
    features : dict of ndarray of float64, shape (N,)
        ``area_msd`` in px^2, ``area_um`` in um^2, ``pos_x, pos_y, size_x,
        size_y`` in um, and the ratios ``area_ratio, aspect, deform,
        inert_ratio_cvx``.
    """
    border = masks & ~_core(masks)
    pixels = np.count_nonzero(masks, axis=(1, 2))
    # Pick's theorem for the polygon through the centers of the border pixels
    raw_area = pixels - np.count_nonzero(border, axis=(1, 2)) / 2 - 1.0
    names = ("area", "perimeter", "x", "y", "width", "height", "inertia")
    table = np.array([_hull_numbers(mask) for mask in masks]).reshape(-1, len(names))
    hull = dict(zip(names, table.T, strict=True))
    return {
        "area_msd": raw_area,
        "area_ratio": hull["area"] / raw_area,
        "area_um": hull["area"] * pixel_size**2,
        "aspect": hull["width"] / hull["height"],
        "deform": 1.0 - 2.0 * np.sqrt(np.pi * hull["area"]) / hull["perimeter"],
        "inert_ratio_cvx": hull["inertia"],
        "pos_x": (hull["x"] + left) * pixel_size,
        "pos_y": (hull["y"] + top) * pixel_size,
        "size_x": hull["width"] * pixel_size,
        "size_y": hull["height"] * pixel_size,
    }


def brightness_features(
    images: NDArray[np.uint8],
    backgrounds: NDArray[np.uint8],
    masks: NDArray[np.bool_],
    offset: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Return features of the gray levels inside the masks.

    Parameters
    ----------
    images, backgrounds : ndarray of uint8, shape (N, h, w)
        The windows of the cells in frame and background image.
    masks : ndarray of bool, shape (N, h, w)
        Which pixels belong to the cells.
    offset : ndarray of float64, shape (N,)
        How much brighter than its background the frame is (`bg_off`).

    Returns
    -------
    features : dict of ndarray of float64, shape (N,)
        ``bright_avg, bright_sd`` of the image, ``bright_bc_avg, bright_bc_sd``
        of the image minus background (and offset), in gray levels.
    """
    weight = masks.astype(np.float64)
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    result = {}
    corrected = images.astype(np.float64) - backgrounds
    for name, values in (("bright", images), ("bright_bc", corrected)):
        mean = np.einsum("nhw,nhw->n", weight, values)
        away = values - mean[:, None, None]
        result[f"{name}_avg"] = mean
        result[f"{name}_sd"] = np.sqrt(np.einsum("nhw,nhw->n", weight, away**2))
    result["bright_bc_avg"] -= offset
    return result


def trace_features(
    traces: NDArray[np.int16], sample_rate: float, channel: int
) -> dict[str, NDArray[np.float32]]:
    """Return height, area, position and width of the peaks of (N, S) traces.

    Positions and widths (full width at half maximum) are in us, heights and
    areas in arbitrary units.
    """
    step = 1e6 / sample_rate
    peak = traces.max(axis=1)
    above = traces * 2 >= peak[:, None]
    prefix = f"fl{channel}"
    return {
        f"{prefix}_max": peak.astype(np.float32),
        f"{prefix}_area": (traces.clip(0).sum(axis=1) * step).astype(np.float32),
        f"{prefix}_pos": (traces.argmax(axis=1) * step).astype(np.float32),
        f"{prefix}_width": (above.sum(axis=1) * step).astype(np.float32),
    }


def _core(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    core = masks.copy()
    for shift, axis in ((1, 1), (-1, 1), (1, 2), (-1, 2)):
        core &= np.roll(masks, shift, axis)
    return core


def _hull_numbers(mask: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return area, perimeter, centroid, bounding box and inertia of the hull."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    ys = rows.tolist()
    # the left ends from top to bottom, then the right ends back up again
    hull = _chain(list(zip(first.tolist(), ys, strict=True)))
    hull += _chain(list(zip(last.tolist(), ys, strict=True))[::-1])
    x, y = np.array(hull, dtype=np.float64).T
    width = float(last.max() - first.min() + 1)
    height = float(ys[-1] - ys[0] + 1)
    x0, y0 = x[0], y[0]  # near the origin, moments keep their digits
    x, y = x - x0, y - y0
    xn, yn = np.roll(x, -1), np.roll(y, -1)
    cross = x * yn - xn * y
    area = cross.sum() / 2
    perimeter = np.hypot(xn - x, yn - y).sum()
    cx = ((x + xn) * cross).sum() / (6 * area)
    cy = ((y + yn) * cross).sum() / (6 * area)
    ixx = ((x * x + x * xn + xn * xn) * cross).sum() / 12 - area * cx**2
    iyy = ((y * y + y * yn + yn * yn) * cross).sum() / 12 - area * cy**2
    inertia = math.sqrt(ixx / iyy)
    return abs(area), perimeter, cx + x0, cy + y0, width, height, inertia


def _chain(points: list[Point]) -> list[Point]:
    """Return the convex part of a chain of points, left or right of the object.

    The chain is walked so that the object lies to its left in image coordinates
    (y grows downwards).
    """
    kept: list[Point] = []
    for x, y in points:
        while len(kept) >= 2:
            (ax, ay), (bx, by) = kept[-2], kept[-1]
            if (bx - ax) * (y - ay) - (by - ay) * (x - ax) < 0:
                break
            kept.pop()
        kept.append((x, y))
    return kept
