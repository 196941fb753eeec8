"""Which chunks a read needs, and where their rows go: arithmetic on tables.

Only the index of chunks is asked where they lie. A plan is what
``dcread_ext.decode`` works through; its tables are described in ``decode.pyi``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np

from .chunk_index import MISSING
from .layout import CONTIGUOUS_BAND, Layout
from .rows import NO_TABLE, Rows, Table, Window

ADDRESS, STORED, MASK, RAW, SOURCE_ROW, OUT_ROW, ROWS, LINE_FIRST, LINE_LAST = range(9)

Bounds: TypeAlias = tuple[tuple[int, int], ...]

_GATHER_BAND = 2**16
"""Bytes of contiguous data that one row costs at the most when rows are picked."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Chunks to decode and rows to copy.

    Attributes
    ----------
    tasks, lines, table : ndarray of int64
        See ``decode.pyi``.
    cells : ndarray of int64
        Grid position of each task (for messages).
    row_bytes, out_row_bytes : int
        Bytes of a row of a chunk and of the output.
    missing : int or None
        Grid position of a chunk that is not stored: its rows have the fill value.
    blob : bytes or None
        What the addresses of `tasks` count in; None: in the file.
    """

    tasks: Table
    lines: Table
    table: Table
    cells: Table
    row_bytes: int
    out_row_bytes: int
    missing: int | None = None
    blob: bytes | None = None

    @property
    def raw_bytes(self) -> int:
        """Bytes that are decoded."""
        return int(self.tasks[:, RAW].sum())

    def sorted_by_address(self) -> Plan:
        """Return the same plan with chunks in the order of the file."""
        addresses = self.tasks[:, ADDRESS]
        if len(addresses) < 2 or (addresses[1:] >= addresses[:-1]).all():
            return self
        order = np.argsort(addresses, kind="stable")
        return replace(self, tasks=self.tasks[order], cells=self.cells[order])

    def placed(self, dest: slice | Table) -> Plan:
        """Return the same plan for these rows of a larger output.

        Rows by number need a plan that was made from rows by number.
        """
        if isinstance(dest, slice):
            if dest.start == 0:
                return self
            if len(self.table):
                table = self.table + np.array([0, dest.start], np.int64)
                return replace(self, table=table)
            self.tasks[:, OUT_ROW] += dest.start
            return self
        table = self.table.copy()
        table[:, 1] = dest[table[:, 1]]
        return replace(self, table=table)


def make_plan(layout: Layout, rows: Rows, window: Window = None) -> Plan:
    """Plan a read.

    Parameters
    ----------
    layout : Layout
        Of the dataset.
    rows : Rows
        Not empty, within the dataset.
    window : tuple of slice, optional
        Part of each row, not empty.

    Raises
    ------
    LeftToH5py
        If a chunk that is needed turns out to be h5py's.
    """
    if window is None:
        if rows.straight and layout.whole_rows:
            return plan_whole(layout, *rows.bounds)
        window = tuple(slice(0, length) for length in layout.shape[1:])
    if layout.contiguous:
        layout, rows = _cut(layout, rows)
    bands, table = rows.by_chunk(layout.chunk[0])
    bounds = tuple((part.start, part.stop) for part in window)
    lines, columns = plan_columns(
        layout.chunk[1:], layout.grid[1:], bounds, layout.dtype.itemsize
    )
    per_band = math.prod(layout.grid[1:])
    cells = (bands[:, :1] * per_band + columns[:, 0]).ravel()
    both = np.empty((len(bands), len(columns), 9), np.int64)
    both[:, :, SOURCE_ROW : ROWS + 1] = bands[:, None, 1:]
    both[:, :, LINE_FIRST:] = columns[None, :, 1:]
    tasks: Table = both.reshape(-1, 9)
    tasks[:, RAW] = layout.chunk_bytes
    blob = None
    if layout.index is None:
        _address_bands(layout, cells, tasks)
    else:
        tasks[:, ADDRESS : MASK + 1], blob = layout.index.locate(cells)
    wanted = math.prod(part.stop - part.start for part in window)
    size = wanted * layout.dtype.itemsize
    row_bytes = layout.row_bytes
    return _present(Plan(tasks, lines, table, cells, row_bytes, size, blob=blob))


def plan_whole(layout: Layout, first: int, last: int) -> Plan:
    """Plan whole rows that follow each other, of chunks that hold whole rows.

    What is mostly asked for: quicker than the general way, since a single image, a
    scalar feature, or the parts of many joined files, are in a hurry. Contiguous data
    are cut into bands from the first wanted row on.
    """
    inner, index = layout.chunk[1:], layout.index
    lines, row_bytes = whole_lines(inner, layout.shape[1:], layout.dtype.itemsize)
    height, origin = layout.chunk[0], 0
    if index is None:
        height, origin = layout.band_rows, first
    low, high = (first - origin) // height, (last - origin) // height + 1
    cells = np.arange(low, high)
    tasks = np.zeros((high - low, 9), np.int64)
    tasks[:, OUT_ROW] = cells * height - (first - origin)
    tasks[:, ROWS] = height
    tasks[:, LINE_LAST] = len(lines)
    before = first - origin - low * height
    tasks[0, SOURCE_ROW] = before
    tasks[0, OUT_ROW] = 0
    tasks[0, ROWS] -= before
    tasks[-1, ROWS] -= high * height - (last - origin) - 1
    blob = None
    if index is None:
        tasks[:, ADDRESS] = layout.address + (first + tasks[:, OUT_ROW]) * row_bytes
        tasks[:, RAW] = tasks[:, STORED] = tasks[:, ROWS] * row_bytes
    else:
        tasks[:, ADDRESS : MASK + 1], blob = index.locate(cells)
        tasks[:, RAW] = height * row_bytes
    plan = Plan(
        tasks,
        lines,
        NO_TABLE,
        cells,
        row_bytes,
        math.prod(layout.shape[1:]) * layout.dtype.itemsize,
        blob=blob,
    )
    return plan if index is None else _present(plan)


def _present(plan: Plan) -> Plan:
    """Return a plan without the chunks that are not stored."""
    present = plan.tasks[:, ADDRESS] != MISSING
    if present.all():
        return plan
    tasks = np.ascontiguousarray(plan.tasks[present])
    missing = int(plan.cells[present.argmin()])
    return replace(plan, tasks=tasks, cells=plan.cells[present], missing=missing)


def _cut(layout: Layout, rows: Rows) -> tuple[Layout, Rows]:
    """Cut contiguous data into bands: many rows for a window of a slice, few for rows.

    The grid keeps one band for each `chunk` rows *from the first wanted row on*, so
    that each but the last goes straight into the output.
    """
    row_bytes = max(layout.row_bytes, 1)
    first, length = 0, layout.shape[0]
    step = _GATHER_BAND
    if rows.straight:
        first, length = rows.bounds[0], len(rows)
        step, rows = CONTIGUOUS_BAND, Rows(range(length))
    chunk = min(max(1, step // row_bytes), length)
    cut = replace(
        layout,
        shape=(length, *layout.shape[1:]),
        chunk=(chunk, *layout.shape[1:]),
        grid=(-(-length // chunk), *layout.grid[1:]),
        address=layout.address + first * row_bytes,
    )
    return cut, rows


def _address_bands(layout: Layout, cells: Table, tasks: Table) -> None:
    """Address bands of contiguous data; the last one may be short."""
    rows = np.minimum(layout.chunk[0], layout.shape[0] - cells * layout.chunk[0])
    tasks[:, ADDRESS] = layout.address + cells * layout.chunk_bytes
    tasks[:, RAW] = tasks[:, STORED] = rows * layout.row_bytes
    tasks[:, MASK] = 0


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
