"""Which chunks a read needs, and where their rows go: arithmetic on tables.

Only the index of chunks is asked where they lie. A plan is what
``dcread_ext.decode`` works through; its tables are described in ``decode.pyi``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .chunk_index import MISSING
from .columns import Table, plan_columns, whole_lines
from .layout import CONTIGUOUS_BAND, Layout

Rows: TypeAlias = "slice | NDArray[np.integer]"
Window: TypeAlias = "tuple[slice, ...] | None"

ADDRESS, STORED, MASK, RAW, SOURCE_ROW, OUT_ROW, ROWS, LINE_FIRST, LINE_LAST = range(9)

_NO_TABLE: Table = np.empty((0, 2), np.int64)
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


def count_rows(rows: Rows) -> int:
    """Return how many rows are asked for."""
    if isinstance(rows, slice):
        return len(range(rows.start, rows.stop, rows.step or 1))
    return len(rows)


def out_shape(shape: tuple[int, ...], rows: Rows, window: Window) -> tuple[int, ...]:
    """Return the shape of what `rows` and `window` select of `shape`."""
    if window is None:
        return (count_rows(rows), *shape[1:])
    return (count_rows(rows), *(part.stop - part.start for part in window))


def simplify(rows: Rows) -> Rows:
    """Return a slice of step 1 where the rows are one, else an index array."""
    if isinstance(rows, slice):
        if (rows.step or 1) == 1:
            return slice(rows.start, rows.stop, 1)
        rows = np.arange(rows.start, rows.stop, rows.step)
    if len(rows) == 0:
        return slice(0, 0, 1)
    first, last = int(rows[0]), int(rows[-1])
    if last - first == len(rows) - 1 and (rows[1:] > rows[:-1]).all():
        return slice(first, last + 1, 1)
    return rows


def make_plan(layout: Layout, rows: Rows, window: Window = None) -> Plan:
    """Plan a read.

    Parameters
    ----------
    layout : Layout
        Of the dataset.
    rows : slice or ndarray of int
        As of `simplify`, not empty, within the dataset.
    window : tuple of slice, optional
        Part of each row, not empty.

    Raises
    ------
    LeftToH5py
        If a chunk that is needed turns out to be h5py's.
    """
    if window is None:
        if isinstance(rows, slice) and layout.index is not None and layout.whole_rows:
            return plan_whole(layout, rows)
        window = tuple(slice(0, length) for length in layout.shape[1:])
    if layout.contiguous:
        layout = _cut(layout, rows)
    if isinstance(rows, slice):
        bands, table = _plan_slice(layout, rows.start, rows.stop), _NO_TABLE
    else:
        bands, table = _plan_index(layout, rows)
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


def plan_whole(layout: Layout, rows: slice) -> Plan:
    """Plan whole rows that follow each other, of chunks that hold whole rows.

    What is mostly asked for: quicker than the general way, since a single image, or
    the parts of many joined files, are in a hurry.
    """
    if layout.index is None:
        raise ValueError("contiguous data have no chunks")
    height, itemsize = layout.chunk[0], layout.dtype.itemsize
    low, high = rows.start // height, -(-rows.stop // height)
    cells = np.arange(low, high)
    lines, row_bytes = whole_lines(layout.chunk[1:], layout.shape[1:], itemsize)
    tasks = np.zeros((high - low, 9), np.int64)
    tasks[:, ADDRESS : MASK + 1], blob = layout.index.locate(cells)
    tasks[:, RAW] = height * row_bytes
    tasks[:, OUT_ROW] = cells * height - rows.start
    tasks[:, ROWS] = height
    tasks[:, LINE_LAST] = len(lines)
    before = rows.start - low * height
    tasks[0, SOURCE_ROW] = before
    tasks[0, OUT_ROW] = 0
    tasks[0, ROWS] -= before
    tasks[-1, ROWS] -= high * height - rows.stop
    size = math.prod(layout.shape[1:]) * itemsize
    plan = Plan(tasks, lines, _NO_TABLE, cells, row_bytes, size, blob=blob)
    return _present(plan)


def _present(plan: Plan) -> Plan:
    """Return a plan without the chunks that are not stored."""
    present = plan.tasks[:, ADDRESS] != MISSING
    if present.all():
        return plan
    tasks = np.ascontiguousarray(plan.tasks[present])
    missing = int(plan.cells[present.argmin()])
    return replace(plan, tasks=tasks, cells=plan.cells[present], missing=missing)


def _cut(layout: Layout, rows: Rows) -> Layout:
    """Cut contiguous data into bands: many rows for a slice, few for single rows.

    The grid keeps one band for each `chunk` rows *from the first wanted row on*, so
    that each but the last goes straight into the output.
    """
    row_bytes = max(layout.row_bytes, 1)
    step = CONTIGUOUS_BAND if isinstance(rows, slice) else _GATHER_BAND
    first = rows.start if isinstance(rows, slice) else 0
    length = (rows.stop if isinstance(rows, slice) else layout.shape[0]) - first
    chunk = min(max(1, step // row_bytes), length)
    return replace(
        layout,
        shape=(length, *layout.shape[1:]),
        chunk=(chunk, *layout.shape[1:]),
        grid=(-(-length // chunk), *layout.grid[1:]),
        address=layout.address + first * row_bytes,
    )


def _address_bands(layout: Layout, cells: Table, tasks: Table) -> None:
    """Address bands of contiguous data; the last one may be short."""
    rows = np.minimum(layout.chunk[0], layout.shape[0] - cells * layout.chunk[0])
    tasks[:, ADDRESS] = layout.address + cells * layout.chunk_bytes
    tasks[:, RAW] = tasks[:, STORED] = rows * layout.row_bytes
    tasks[:, MASK] = 0


def _plan_slice(layout: Layout, start: int, stop: int) -> Table:
    """Return for each band of chunks: band, source row, output row, rows."""
    height = layout.chunk[0]
    if layout.contiguous:
        start, stop = 0, stop - start
    low, high = start // height, -(-stop // height)
    bands = np.arange(low, high, dtype=np.int64)
    first = np.maximum(bands * height, start)
    last = np.minimum((bands + 1) * height, stop)
    plan = np.empty((len(bands), 4), np.int64)
    plan[:, 0] = bands
    plan[:, 1] = first - bands * height
    plan[:, 2] = first - start
    plan[:, 3] = last - first
    return plan


def _plan_index(layout: Layout, rows: NDArray[np.integer]) -> tuple[Table, Table]:
    """Return bands as `_plan_slice` does, and the table of single rows.

    A stable sort of the narrowest type brings the rows of a chunk together (two
    bytes are sorted by radix, far quicker than eight); ascending rows need none.
    """
    height = layout.chunk[0]
    bands = np.asarray(rows) // height
    table = np.empty((len(rows), 2), np.int64)
    if (bands[1:] >= bands[:-1]).all():
        table[:, 1] = np.arange(len(rows))
    else:
        narrow = np.min_scalar_type(int(bands.max()))
        table[:, 1] = np.argsort(bands.astype(narrow), kind="stable")
        rows, bands = rows[table[:, 1]], bands[table[:, 1]]
    bands = bands.astype(np.int64)
    table[:, 0] = rows - bands * height
    first = np.concatenate([[0], np.flatnonzero(bands[1:] != bands[:-1]) + 1])
    count = np.diff(first, append=len(rows))
    return np.stack([bands[first], first, np.zeros_like(first), count], 1), table
