"""Which rows are read, in which order: settled once, when a read begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Table: TypeAlias = "NDArray[np.int64]"
RowsLike: TypeAlias = "Rows | slice | range | NDArray[np.integer]"
Window: TypeAlias = "tuple[slice, ...] | None"
"""``slice(start, stop)`` for each axis after the first; None: whole rows."""

NO_TABLE: Table = np.empty((0, 2), np.int64)


class Rows:
    """Rows of a dataset, in any order and with repeats.

    Parameters
    ----------
    index : range or ndarray of int64
        A range has a step of at least 1. The caller has checked the bounds.

    Attributes
    ----------
    index : range or ndarray of int64
        As given; a range wherever rows with one step follow each other.
    straight : bool
        Whether each row is followed by the next one of the dataset.
    """

    __slots__ = ("index", "straight")

    def __init__(self, index: range | Table) -> None:
        self.index = index
        self.straight = isinstance(index, range) and (index.step == 1 or len(index) < 2)

    @classmethod
    def of(cls, rows: RowsLike) -> Rows:
        """Return rows that are given as a slice, a range or an array of integers."""
        if isinstance(rows, slice):
            return cls(range(rows.start, rows.stop, rows.step or 1))
        if isinstance(rows, Rows):
            return rows
        if isinstance(rows, range):
            return cls(rows)
        index = np.asarray(rows).astype(np.int64, copy=False)
        count = len(index)
        if count == 0:
            return cls(range(0))
        first, last = int(index[0]), int(index[-1])
        step = (last - first) // (count - 1) if count > 1 else 1
        if step >= 1 and last - first == step * (count - 1):
            steps = index[1:] - index[:-1]
            if bool((steps == step).all()):
                return cls(range(first, last + 1, step))
        return cls(index)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest row and the highest one; there must be any."""
        index = self.index
        if isinstance(index, range):
            return index[0], index[-1]
        return int(index.min()), int(index.max())

    @property
    def numbers(self) -> Table:
        """The rows one by one."""
        index = self.index
        if isinstance(index, range):
            return np.arange(index.start, index.stop, index.step)
        return index

    @property
    def plain(self) -> slice | Table:
        """The same as what indexes an array: a slice, or numbers."""
        index = self.index
        if isinstance(index, range):
            return slice(index.start, max(index.start, index.stop), index.step)
        return index

    def shape(self, shape: tuple[int, ...], window: Window = None) -> tuple[int, ...]:
        """Return the shape of these rows of a dataset of this shape."""
        if window is None:
            return (len(self.index), *shape[1:])
        return (len(self.index), *[part.stop - part.start for part in window])

    def part(self, start: int, stop: int) -> Rows:
        """Return some of these rows, by their places."""
        return Rows(self.index[start:stop])

    def split(self, size: int) -> Iterator[tuple[int, int, Rows]]:
        """Yield parts of at the most `size` rows, each after its places."""
        count = len(self.index)
        for start in range(0, count, size):
            stop = min(start + size, count)
            yield start, stop, self.part(start, stop)

    def in_order(self) -> tuple[Table, Table]:
        """Return the places of the rows in ascending order, and the rows so."""
        index = self.index
        if isinstance(index, range):
            return np.arange(len(index)), self.numbers
        order = np.argsort(index, kind="stable")
        return order, index[order]

    def by_chunk(self, height: int) -> tuple[Table, Table]:
        """Return which chunks of `height` rows hold these, and what of each.

        Returns
        -------
        bands : ndarray of int64, shape (N, 4)
            Chunk; its first row that is wanted, or its first entry of `table`; first
            row of the result, or 0; number of rows, or of entries.
        table : ndarray of int64, shape (M, 2)
            Row in the chunk, row in the result: for each row, if they do not follow
            each other. Else it is empty.
        """
        if self.straight:
            return self._bands(height), NO_TABLE
        rows = self.numbers
        bands = rows // height
        table = np.empty((len(rows), 2), np.int64)
        if (bands[1:] >= bands[:-1]).all():
            table[:, 1] = np.arange(len(rows))
        else:
            # Two bytes are sorted by radix, far quicker than eight.
            narrow = np.min_scalar_type(int(bands.max()))
            table[:, 1] = np.argsort(bands.astype(narrow), kind="stable")
            rows, bands = rows[table[:, 1]], bands[table[:, 1]]
        table[:, 0] = rows - bands * height
        first = np.concatenate([[0], np.flatnonzero(bands[1:] != bands[:-1]) + 1])
        count = np.diff(first, append=len(rows))
        return np.stack([bands[first], first, np.zeros_like(first), count], 1), table

    def _bands(self, height: int) -> Table:
        start, last = self.bounds
        stop = last + 1
        low, high = start // height, -(-stop // height)
        bands = np.arange(low, high, dtype=np.int64)
        first = np.maximum(bands * height, start)
        plan = np.empty((len(bands), 4), np.int64)
        plan[:, 0] = bands
        plan[:, 1] = first - bands * height
        plan[:, 2] = first - start
        plan[:, 3] = np.minimum((bands + 1) * height, stop) - first
        return plan
