"""Any NumPy index expression, answered from a reader of rows.

An expression falls into the part for the first axis, which tells the rows to
read, and the parts for the other axes, whose bounding box tells the window of
each row. What was read is then indexed by NumPy itself, with the expression
shifted to it: NumPy stays the judge, and only what is needed is read.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import operator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..engine import RowReader
from .index_items import AskNumpyError, as_items, normal_slice, trailing, wrap

__all__ = ["select"]

BLOCK_BYTES = 16 << 20
"""Bigger detours than this (bytes beside the result) are taken in blocks."""

_IntArray: TypeAlias = NDArray[np.intp]


def select(reader: RowReader, expr: Any) -> Any:
    """Return what ``array[expr]`` would be for the array that `reader` reads.

    Parameters
    ----------
    reader : RowReader
        Source of rows.
    expr : object
        Whatever NumPy takes between brackets.

    Returns
    -------
    ndarray or scalar
        As NumPy would return it; always new memory that the caller may change.

    Raises
    ------
    IndexError, TypeError, ValueError
        Where NumPy raises them.
    """
    row = _as_row(expr)
    if row is not None:
        length = reader.shape[0]
        if not -length <= row < length:
            raise IndexError(
                f"index {row} is out of bounds for axis 0 with size {length}: "
                f"'{reader.name}' in {reader.filename}"
            )
        row %= length
        return reader.read(slice(row, row + 1))[0]
    if type(expr) is slice:
        found = None
        with contextlib.suppress(TypeError, ValueError):  # in NumPy's words, below
            found = normal_slice(expr, reader.shape[0])
        if found is not None:
            rows, turned = found
            data = reader.read(rows)
            return data[::-1] if turned else data
    try:
        plan = _Plan.of(reader.shape, expr)
    except (AskNumpyError, IndexError, TypeError, ValueError):
        # a wrong expression is wrong in NumPy's words, and an odd one may be fine
        return _ask_numpy(reader, expr)
    return plan.run(reader)


def _as_row(expr: Any) -> int | None:
    if not isinstance(expr, numbers.Integral) or isinstance(expr, bool):
        return None
    try:
        return operator.index(expr)
    except TypeError:  # numpy.timedelta64
        return None


def _blank(shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array of any shape that takes no memory."""
    return np.broadcast_to(np.zeros((), "V0"), shape)


def _ask_numpy(reader: RowReader, expr: Any) -> Any:
    fields = expr if isinstance(expr, list) else [expr]
    if reader.dtype.names and fields and all(isinstance(f, str) for f in fields):
        return np.copy(reader.read(slice(0, reader.shape[0], 1))[expr])
    try:
        shape = _blank(reader.shape)[expr].shape
    except IndexError as exc:
        raise IndexError(f"{exc}: '{reader.name}' in {reader.filename}") from None
    if 0 in shape:
        return np.empty(shape, reader.dtype)
    return reader.read(slice(0, reader.shape[0], 1))[expr]


@dataclass
class _Plan:
    """Which rows and window to read, and how to index what was read.

    Attributes
    ----------
    shape : tuple of int
        Shape of what is read.
    rows : slice or ndarray
        Rows to read.
    window : tuple of slice or None
        Window of each row.
    post : list
        Expression to apply to what was read.
    place : int
        Where the part of the first axis stands in `post`; -1 if it has none.
    turned : bool
        Whether the rows come in falling order.
    dims : tuple of int or None
        Shape of the index array for the first axis, if it is the only array.
    together : bool
        Whether all rows must be there at once: an integer, or an index array
        that belongs to index arrays for other axes.
    """

    shape: tuple[int, ...]
    rows: slice | _IntArray
    window: tuple[slice, ...] | None
    post: list[Any]
    place: int = -1
    turned: bool = False
    dims: tuple[int, ...] | None = None
    together: bool = False

    @classmethod
    def of(cls, shape: tuple[int, ...], expr: Any) -> _Plan:
        items, axes = as_items(expr, shape)
        arrays = [item.shape for item in items if isinstance(item, np.ndarray)]
        try:
            np.broadcast_shapes(*arrays)
        except ValueError:
            raise AskNumpyError from None
        lonely = len(arrays) == 1 and not any(isinstance(i, bool) for i in items)
        window = [slice(0, size) for size in shape[1:]]
        plan = cls(shape, slice(0, shape[0], 1), None, items)
        for place, (item, axis) in enumerate(zip(items, axes, strict=True)):
            if axis == 0:
                plan._take_rows(place, item, lonely)
            elif axis > 0:
                window[axis - 1], items[place] = trailing(item, shape[axis], axis)
        sizes = tuple(part.stop - part.start for part in window)
        if sizes != shape[1:]:
            plan.window = tuple(window)
        rows = plan.rows
        count = (
            len(range(rows.start, rows.stop, rows.step))
            if isinstance(rows, slice)
            else len(rows)
        )
        plan.shape = (count, *sizes)
        return plan

    def _take_rows(self, place: int, item: Any, lonely: bool) -> None:
        self.place = place
        length = self.shape[0]
        if isinstance(item, slice):
            self.rows, self.turned = normal_slice(item, length)
            self.post[place] = slice(None)
            return
        item = wrap(item, length, 0)
        if not isinstance(item, np.ndarray):
            self.rows, self.post[place] = slice(item, item + 1, 1), 0
            self.together = True
        elif lonely:
            self.rows, self.dims = item.reshape(-1), item.shape
        else:
            self.rows, inverse = np.unique(item, return_inverse=True)
            self.post[place] = inverse.reshape(item.shape)
            self.together = True

    def run(self, reader: RowReader) -> Any:
        if self.together:
            return reader.read(self.rows, window=self.window)[tuple(self.post)]
        rest = [item for place, item in enumerate(self.post) if place != self.place]
        plain = all(item is Ellipsis or item == slice(None) for item in _simple(rest))
        if plain and self.place <= 0:
            data = reader.read(self.rows, window=self.window)
            if self.dims is not None:
                return data.reshape(self.dims + self.shape[1:])
            return data[::-1] if self.turned else data
        axis, shape = self._result()
        detour = math.prod(self.shape) - math.prod(shape)
        if detour * reader.dtype.itemsize <= BLOCK_BYTES:
            data = reader.read(self.rows, window=self.window)
            result = data[self._post(self.shape[0])]
            result = np.flip(result, axis) if self.turned else result
        else:
            result = np.empty(shape, reader.dtype)
            self._run_blocks(reader, np.moveaxis(result, axis, 0), axis)
        if self.dims is not None:
            result = result.reshape(*shape[:axis], *self.dims, *shape[axis + 1 :])
        return result

    def _post(self, count: int) -> tuple[Any, ...]:
        """Return the expression for that many rows."""
        post = list(self.post)
        if self.dims is not None:
            post[self.place] = np.arange(count)
        return tuple(post)

    def _result(self) -> tuple[int, tuple[int, ...]]:
        """Return the axis of the result that counts the rows, and its shape."""
        one, two = (_blank((n, *self.shape[1:]))[self._post(n)].shape for n in (1, 2))
        axis = next(k for k, (a, b) in enumerate(zip(one, two, strict=True)) if a != b)
        return axis, (*one[:axis], self.shape[0], *one[axis + 1 :])

    def _run_blocks(self, reader: RowReader, target: NDArray[Any], axis: int) -> None:
        if self.turned:
            target = target[::-1]
        row_bytes = math.prod(self.shape[1:]) * reader.dtype.itemsize
        step = max(BLOCK_BYTES // row_bytes, 1)
        step = max(step // reader.block_rows, 1) * reader.block_rows
        rows = self.rows
        if isinstance(rows, slice):
            order = None
        else:
            order = np.argsort(rows, kind="stable")
            rows = rows[order]
        for start in range(0, self.shape[0], step):
            stop = min(start + step, self.shape[0])
            if isinstance(rows, slice):
                first = rows.start + start * rows.step
                last = rows.start + (stop - 1) * rows.step
                part: Any = slice(first, last + 1, rows.step)
            else:
                part = rows[start:stop]
            data = reader.read(part, window=self.window)[self._post(stop - start)]
            where = slice(start, stop) if order is None else order[start:stop]
            target[where] = np.moveaxis(data, axis, 0)


def _simple(items: list[Any]) -> list[Any]:
    """Return the items with arrays made comparable."""
    return [0 if isinstance(item, np.ndarray) else item for item in items]
