"""The addresses of a dataset's chunks: all of them at once, or the first few singly."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ClosedError
from .lock import h5_lock

Table: TypeAlias = "NDArray[np.int64]"

MANY = 512
"""Chunks from which on a dataset is not indexed for the sake of a few of them."""

SINGLY = 64
"""Chunks that are looked up singly before all are indexed.

HDF5 walks through the index for each, but a hundred times as fast as it lists it.
"""


class LeftToH5py(Exception):  # noqa: N818 - a reason, not an error
    """A dataset that only the HDF5 library can read with certainty."""


class ChunkIndex:
    """Where the chunks of a dataset lie.

    Parameters
    ----------
    h5ds : h5py.Dataset
        Chunked; the caller holds the h5py lock.
    chunk, grid : tuple of int
        Shape of a chunk, number of chunks along each axis.
    suspicious : int or None
        The size of a chunk that was stored without its filters: HDF5 can leave
        them out for chunks at the edge, and h5py does not tell.
    partial : tuple of bool
        Whether the last chunk along an axis reaches over the edge.

    Raises
    ------
    LeftToH5py
        If the index is not to be trusted.
    """

    def __init__(
        self,
        h5ds: Any,
        chunk: tuple[int, ...],
        grid: tuple[int, ...],
        suspicious: int | None,
        partial: tuple[bool, ...],
    ) -> None:
        self._h5ds = h5ds
        self._chunk = chunk
        self._grid = grid
        self._suspicious = suspicious
        self._partial = partial
        self._single: dict[int, tuple[int, int, int]] = {}
        self._table: Table | None = None
        self._stored = h5ds.id.get_num_chunks()
        if self._stored < MANY:
            self._read_all()

    @property
    def complete(self) -> bool:
        """Whether all chunks are known."""
        return self._table is not None

    def locate(self, cells: Table) -> Table:
        """Return address (-1: not stored), stored size and mask of each position.

        HDF5 finds one chunk in microseconds, but lists all of a long measurement in
        a second: the first few are looked up singly.

        Raises
        ------
        LeftToH5py
            If a chunk may be stored without its filters.
        """
        if self._table is None:
            with h5_lock:
                if not self._h5ds.id.valid:
                    raise ClosedError("the dataset is closed; open the file again")
                if self._table is None:
                    return self._look_up(cells)
        return self._table[cells]

    def _look_up(self, cells: Table) -> Table:
        wanted = cells.tolist() if len(cells) <= SINGLY else []
        unknown = [cell for cell in wanted if cell not in self._single]
        if not wanted or len(self._single) + len(unknown) > SINGLY:
            return self._read_all()[cells]
        for cell in unknown:
            place = np.unravel_index(cell, self._grid)
            offset = tuple(int(p) * c for p, c in zip(place, self._chunk, strict=True))
            self._single[cell] = _row(self._h5ds.id.get_chunk_info_by_coord(offset))
        table = np.array([self._single[cell] for cell in wanted], np.int64)
        self._refuse_unfiltered_edges(cells, table)
        return table

    def _read_all(self) -> Table:
        dsid, grid = self._h5ds.id, self._grid
        infos: list[Any] = []
        if self._stored == 1:
            infos.append(dsid.get_chunk_info(0))
        elif self._stored:
            if not hasattr(dsid, "chunk_iter"):
                raise LeftToH5py("this HDF5 library cannot list chunks")
            dsid.chunk_iter(infos.append)
        offsets = np.array([info.chunk_offset for info in infos], np.int64)
        offsets = offsets.reshape(len(infos), len(grid))
        places, rest = np.divmod(offsets, np.array(self._chunk, np.int64))
        inside = (places < np.array(grid, np.int64)).all(axis=1)
        cells = np.zeros(0, np.int64)
        if inside.any():
            cells = np.ravel_multi_index(tuple(places[inside].T), grid)
        if rest.any() or len(np.unique(cells)) != len(cells):
            raise LeftToH5py("an index with chunks out of place")
        table = np.zeros((math.prod(grid), 3), np.int64)
        table[:, 0] = -1
        rows = np.array([_row(info) for info in infos], np.int64).reshape(-1, 3)
        table[cells] = rows[inside]
        table.flags.writeable = False
        self._refuse_unfiltered_edges(np.arange(len(table)), table)
        self._table = table
        self._single.clear()
        return table

    def _refuse_unfiltered_edges(self, cells: Table, table: Table) -> None:
        """Leave datasets with "don't filter partial edge chunks" to h5py.

        HDF5 stores such chunks raw with mask 0, and h5py does not show the flag.
        """
        if self._suspicious is None:
            return
        raw = (table[:, 1] == self._suspicious) & (table[:, 2] == 0)
        raw &= table[:, 0] >= 0
        if not raw.any():
            return
        places = np.unravel_index(cells[raw], self._grid)
        for place, length, cut in zip(places, self._grid, self._partial, strict=True):
            if cut and (place == length - 1).any():
                raise LeftToH5py("edge chunks that may be stored without filters")


def _row(info: Any) -> tuple[int, int, int]:
    """Return address (-1 for none; HDF5 says 2**64 - 1), stored size and mask."""
    offset = info.byte_offset
    if offset is None or offset >= 2**63:
        return -1, 0, 0
    return offset, info.size, info.filter_mask
