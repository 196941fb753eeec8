"""The parts of an index expression: which axis each is for, and what it selects."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

__all__ = ["AskNumpyError", "as_items", "normal_slice", "trailing", "wrap"]


class AskNumpyError(Exception):
    """The expression is nothing that we understand; NumPy may say why."""


def normal_slice(part: slice, length: int) -> tuple[slice, bool]:
    """Return the rows of a slice in rising order, and whether to turn them round.

    Examples
    --------
    >>> normal_slice(slice(None, 2, -2), 10)
    (slice(3, 10, 2), True)
    """
    rows = range(*part.indices(length))
    if not rows:
        return slice(0, 0, 1), False
    if rows.step > 0:
        return slice(rows[0], rows[-1] + 1, rows.step), False
    return slice(rows[-1], rows[0] + 1, -rows.step), True


def _as_item(item: Any) -> Any:
    """Return int, slice, None, Ellipsis, bool, or an array of bool or intp."""
    if item is None or item is Ellipsis or isinstance(item, (slice, bool)):
        return item
    if isinstance(item, np.bool_):
        return bool(item)
    if isinstance(item, np.ndarray):
        array = item
    else:
        try:
            return operator.index(item)
        except TypeError:
            pass
        array = np.asarray(item)
        if array.size == 0 and array.ndim:
            array = array.astype(np.intp)
    if array.dtype == bool:
        return array if array.ndim else bool(array)
    if array.dtype.kind not in "iu":
        raise AskNumpyError
    # NumPy casts large unsigned integers like this, too
    array = array.astype(np.intp, casting="same_kind", copy=False)
    return array if array.ndim else int(array)


def as_items(expr: Any, shape: tuple[int, ...]) -> tuple[list[Any], list[int]]:
    """Return the parts of an expression and the axis that each consumes (or -1)."""
    raw = list(expr) if isinstance(expr, tuple) else [expr]
    items = [_as_item(item) for item in raw]
    used = sum(
        item.ndim
        if isinstance(item, np.ndarray) and item.dtype == bool
        else isinstance(item, (slice, np.ndarray))
        or (isinstance(item, int) and not isinstance(item, bool))
        for item in items
    )
    if used > len(shape) or sum(item is Ellipsis for item in items) > 1:
        raise AskNumpyError
    out: list[Any] = []
    axes: list[int] = []
    axis = 0
    for item in items:
        if item is Ellipsis:
            axis += len(shape) - used
        if item is None or item is Ellipsis or isinstance(item, bool):
            out.append(item)
            axes.append(-1)
        elif isinstance(item, np.ndarray) and item.dtype == bool:
            if item.shape != shape[axis : axis + item.ndim]:
                raise AskNumpyError
            # a mask is the same as the arrays of the places where it is true
            for part in item.nonzero():
                out.append(part)
                axes.append(axis)
                axis += 1
        else:
            out.append(item)
            axes.append(axis)
            axis += 1
    return out, axes


def wrap(item: Any, length: int, axis: int) -> Any:
    """Return an integer or integer array with negative items made positive."""
    if isinstance(item, np.ndarray):
        if item.size == 0:
            return item
        low, high = int(item.min()), int(item.max())
    else:
        low = high = item
    if low < -length or high >= length:
        wrong = low if low < -length else high
        raise IndexError(
            f"index {wrong} is out of bounds for axis {axis} with size {length}"
        )
    if low >= 0:
        return item
    if isinstance(item, np.ndarray):
        return np.where(item < 0, item + length, item)
    return item + length


def trailing(item: Any, length: int, axis: int) -> tuple[slice, Any]:
    """Return the window of an axis, and the part that is left within it."""
    if isinstance(item, slice):
        if item == slice(None):
            return slice(0, length), item
        rows, turned = normal_slice(item, length)
        left = slice(None, None, -rows.step if turned else rows.step)
        return slice(rows.start, rows.stop), slice(None) if left.step == 1 else left
    item = wrap(item, length, axis)
    if not isinstance(item, np.ndarray):
        return slice(item, item + 1), 0
    if item.size == 0:
        return slice(0, 0), item
    low = int(item.min())
    return slice(low, int(item.max()) + 1), item - low
