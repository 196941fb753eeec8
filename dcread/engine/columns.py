"""What is copied of the rows of a chunk: arithmetic on the axes after the first."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Table: TypeAlias = "NDArray[np.int64]"
Bounds: TypeAlias = tuple[tuple[int, int], ...]


@functools.lru_cache(maxsize=128)
def whole_lines(
    inner: tuple[int, ...], shape: tuple[int, ...], itemsize: int
) -> tuple[Table, int]:
    """Return the lines of whole rows in one column of chunks, and bytes of a row."""
    bounds = tuple((0, length) for length in shape)
    lines, _ = plan_columns(inner, (1,) * len(inner), bounds, itemsize)
    return lines, math.prod(inner) * itemsize


@functools.lru_cache(maxsize=128)
def plan_columns(
    inner: tuple[int, ...], grid: tuple[int, ...], window: Bounds, itemsize: int
) -> tuple[Table, Table]:
    """Return the lines to copy, and for each column of chunks its lines.

    Parameters
    ----------
    inner, grid : tuple of int
        Shape of a chunk and number of chunks, the first axis left out.
    window : tuple of (int, int)
        Start and stop along each of these axes.
    itemsize : int
        Bytes of an element.

    Returns
    -------
    lines : ndarray
        See ``decode.pyi``.
    columns : ndarray, shape (N, 3)
        Position within a band, first and one past the last of the lines.
    """
    ranges = [
        range(start // size, -(-stop // size))
        for (start, stop), size in zip(window, inner, strict=True)
    ]
    parts, columns, total = [], [], 0
    for cell in product(*ranges):
        flat = int(np.ravel_multi_index(cell, grid)) if cell else 0
        part = _lines_of(cell, inner, window, itemsize)
        parts.append(part)
        columns.append((flat, total, total + len(part)))
        total += len(part)
    lines, table = np.concatenate(parts), np.array(columns, np.int64)
    lines.flags.writeable = table.flags.writeable = False
    return lines, table


def _lines_of(
    cell: Iterable[int],
    inner: tuple[int, ...],
    window: Bounds,
    itemsize: int,
) -> Table:
    """Return the lines of one column of chunks."""
    source = dest = np.zeros(1, np.int64)
    source_step = dest_step = size = itemsize
    whole = True  # all faster axes are complete on both sides: one line
    axes = list(zip(cell, inner, window, strict=True))
    for index, length, (start, stop) in reversed(axes):
        low = max(index * length, start)
        high = min((index + 1) * length, stop)
        count, wanted = high - low, stop - start
        if whole:
            size = count * source_step
            repeat = np.zeros(1, np.int64)
        else:
            repeat = np.arange(count, dtype=np.int64)
        from_chunk = (low - index * length + repeat) * source_step
        to_window = (low - start + repeat) * dest_step
        source = (from_chunk[:, None] + source).ravel()
        dest = (to_window[:, None] + dest).ravel()
        whole = whole and count == length == wanted
        source_step *= length
        dest_step *= wanted
    return np.stack([source, dest, np.full_like(source, size)], 1)
