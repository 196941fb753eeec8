"""The rows of a reader as blocks: those of an HDF5 chunk belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays.mapped_dataset import MappedReader
from ..engine import Reader
from ..engine.buffer_pool import empty

__all__ = ["BlockSource"]


class BlockSource:
    """Which rows make a block, and how to read them.

    Parameters
    ----------
    reader : Reader
        Where the rows come from. Behind an index mapping, blocks are those of the
        dataset that is mapped.

    Attributes
    ----------
    length : int
        Rows that can be asked for.
    height : int
        Rows of a block.
    row_bytes, block_bytes : int
        Bytes of a row and of a block.
    """

    def __init__(self, reader: Reader) -> None:
        self._indices: NDArray[Any] | None = None
        if isinstance(reader, MappedReader):
            self._indices = reader.indices
            reader = reader.base
        self._reader = reader
        self._count = len(reader.shape) and reader.shape[0]
        self.length = self._count if self._indices is None else len(self._indices)
        self.height = max(1, reader.block_rows)
        row = int(np.prod(reader.shape[1:], dtype=object)) * reader.dtype.itemsize
        self.row_bytes = max(1, row)
        self.block_bytes = self.height * self.row_bytes

    @property
    def stops_early(self) -> bool:
        """Whether the first rows of a block cost less than the whole block."""
        return bool(getattr(self._reader, "stops_early", False))

    def base_row(self, index: int) -> int:
        """Return the row of the dataset that is mapped."""
        return index if self._indices is None else int(self._indices[index])

    def places(
        self, start: int, stop: int, low: int, high: int
    ) -> slice | NDArray[Any]:
        """Return where rows lie among rows ``low:high`` of what is mapped.

        Of rows ``start:stop``, those up to the first one that lies elsewhere.
        """
        if self._indices is None:
            return slice(start - low, min(stop, high) - low)
        rows = self._indices[start:stop]
        elsewhere = np.flatnonzero((rows < low) | (rows >= high))
        near = rows[: elsewhere[0]] if len(elsewhere) else rows
        return near - low

    def run_from(self, index: int, limit: int) -> tuple[list[int], int]:
        """Return up to `limit` blocks for rows in order, and the row after those."""
        if self._indices is None:
            first = index // self.height
            stop = min(first + limit, -(-self._count // self.height))
            return list(range(first, stop)), min(stop * self.height, self.length)
        blocks = self._indices[index : index + limit * self.height] // self.height
        chosen = list(dict.fromkeys(blocks.tolist()))[:limit]
        beyond = np.flatnonzero(~np.isin(blocks, chosen))
        count = int(beyond[0]) if len(beyond) else len(blocks)
        return sorted(chosen), index + count

    def read(self, blocks: list[int]) -> NDArray[Any]:
        """Return the rows of blocks (ascending)."""
        first, last = blocks[0], blocks[-1]
        stop = min((last + 1) * self.height, self._count)
        if last - first == len(blocks) - 1:
            rows: Any = slice(first * self.height, stop, 1)
            count = stop - rows.start
        else:
            starts = np.array(blocks)[:, np.newaxis] * self.height
            rows = (starts + np.arange(self.height)).ravel()
            rows = rows[rows < stop]
            count = len(rows)
        shape = (count, *self._reader.shape[1:])
        return self._reader.read(rows, empty(shape, self._reader.dtype))

    def read_row(self, base_row: int) -> NDArray[Any]:
        """Return one row of the dataset that is mapped; the first axis has length 1."""
        return self._reader.read(slice(base_row, base_row + 1, 1))
