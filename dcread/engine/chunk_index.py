"""The addresses of a dataset's chunks: all of them at once, or the first few singly."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ClosedError
from ..sync.locks import h5_lock

Table: TypeAlias = "NDArray[np.int64]"

MANY = 2048
"""Chunks from which on a dataset is not indexed for the sake of a few of them."""

SINGLY = 32
"""Chunks that are looked up singly before all are indexed.

HDF5 walks through the index for each, thirty times as fast as it lists it.
"""

_NOWHERE = 2**64 - 1


class LeftToH5py(Exception):  # noqa: N818 - a reason, not an error
    """A dataset that only the HDF5 library can read with certainty."""


class ChunkIndex:
    """Where the chunks of a dataset lie.

    Parameters
    ----------
    h5ds : h5py.Dataset
        Chunked; the caller holds the h5py lock.
    stored : int
        How many chunks are stored.
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

    def __init__(  # noqa: PLR0917
        self,
        h5ds: Any,
        stored: int,
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
        self._single: dict[int, Any] = {}
        self._table: Table | None = None
        self._stored = stored
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
            self._single[cell] = self._h5ds.id.get_chunk_info_by_coord(offset)
        table = _rows([self._single[cell] for cell in wanted])
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
        places, rest = np.divmod(_offsets(infos, len(grid)), self._chunk)
        inside = (places < grid).all(axis=1)
        cells = np.zeros(0, np.int64)
        if inside.any():
            cells = np.ravel_multi_index(tuple(places[inside].T), grid)
        known = np.zeros(math.prod(grid), bool)
        known[cells] = True
        if rest.any() or np.count_nonzero(known) != len(cells):
            raise LeftToH5py("an index with chunks out of place")
        table = np.zeros((len(known), 3), np.int64)
        table[:, 0] = -1
        table[cells] = _rows(infos)[inside]
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


def _offsets(infos: list[Any], ndim: int) -> Table:
    """Return the first element of each chunk, a row a chunk."""
    numbers = chain.from_iterable(info.chunk_offset for info in infos)
    return np.fromiter(numbers, np.int64, len(infos) * ndim).reshape(-1, ndim)


def _rows(infos: list[Any]) -> Table:
    """Return address (-1 for none; HDF5 says 2**64 - 1), stored size and mask."""
    table = np.empty((len(infos), 3), np.int64)
    places = [_NOWHERE if info[2] is None else info[2] for info in infos]
    table[:, 0] = np.array(places, np.uint64).astype(np.int64)
    table[:, 1] = [info[3] for info in infos]
    table[:, 2] = [info[1] for info in infos]
    table[table[:, 0] < 0] = (-1, 0, 0)
    return table
