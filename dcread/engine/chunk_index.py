"""Where the chunks of a dataset lie: all of them, or the stored bytes of a few."""

from __future__ import annotations

import math
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ClosedError, FormatError
from ..problems import pass_on
from ..sync.locks import h5_lock
from .h5py_errors import RAISED, calling_back, raise_own_error
from .index_claims import Claim, claim_of
from .object_headers import NOWHERE, Read
from .rows import Table

SHARE = 128
"""The index of a dataset is listed once this share of its chunks was asked for.

HDF5 fetches one chunk in the time in which it lists dozens, and a listed chunk is read
without it: who reads more than a few images is better off with the list.
"""

FETCHED = 2**22
"""Bytes (decoded) of chunks that are fetched together without the index."""

MISSING = -1
"""The address of a chunk that is not stored."""


_ADDRESS, _OFFSET = attrgetter("byte_offset"), attrgetter("chunk_offset")
_STORED, _MASK = attrgetter("size"), attrgetter("filter_mask")


class LeftToH5py(Exception):  # noqa: N818 - a reason, not an error
    """A dataset that only the HDF5 library can read with certainty."""


class Located(NamedTuple):
    """Where chunks lie, and their bytes if those had to be fetched.

    Attributes
    ----------
    table : ndarray of int64, shape (N, 3)
        Address (`MISSING`: not stored; a negative one else is damage), stored size
        and filter mask.
    blob : bytes or None
        What the addresses count in; None: in the file.
    """

    table: Table
    blob: bytes | None = None


class ChunkIndex:
    """Where the chunks of a dataset lie.

    Nothing is asked of HDF5 before a chunk is wanted: it walks through the whole
    index even to count the chunks.

    Parameters
    ----------
    h5ds : h5py.Dataset
        Chunked.
    where : str
        What error messages call the dataset.
    chunk, grid : tuple of int
        Shape of a chunk, number of chunks along each axis.
    shape : tuple of int
        Shape of the dataset.
    chunk_bytes : int
        Bytes of a decoded chunk.
    filtered : bool
        Whether the dataset has filters.

    Attributes
    ----------
    fetches_few : bool
        Whether HDF5 may fetch a few chunks; no if they come over a network.
    read : callable or None
        Gives bytes of the file, so that HDF5 is not asked to list an index that claims
        too much (see `claim_of`), nor an older tree, which is read here.
    userblock : int
        Bytes of the file before what addresses count from.
    """

    def __init__(  # noqa: PLR0917
        self,
        h5ds: Any,
        where: str,
        chunk: tuple[int, ...],
        grid: tuple[int, ...],
        shape: tuple[int, ...],
        chunk_bytes: int,
        filtered: bool,
    ) -> None:
        self._h5ds = h5ds
        self._where = where
        self._chunk = chunk
        self._grid = grid
        self._shape = shape
        self._chunk_bytes = chunk_bytes
        self._filtered = filtered
        self._count = math.prod(grid)
        self._budget = self._count // SHARE
        self._listed: tuple[Table, Table] | None = None
        self.fetches_few = True
        self.read: Read | None = None
        self.userblock = 0

    @property
    def listed(self) -> bool:
        """Whether all chunks are known."""
        return self._listed is not None

    def locate(self, cells: Table) -> Located:
        """Return where chunks lie, by their positions in the grid.

        Raises
        ------
        LeftToH5py
            If a chunk may be stored without its filters.
        FormatError
            If the index is damaged.
        """
        if self._listed is None and self.fetches_few:
            count = len(cells)
            if count <= self._budget and count * self._chunk_bytes <= FETCHED:
                found = self._fetch(cells)
                if found is not None:
                    return found
        return Located(self._look_up(cells))

    def stored(self) -> tuple[Table, Table]:
        """Return the positions of all stored chunks, ascending, and where they lie.

        Raises
        ------
        LeftToH5py, FormatError
            As `locate`.
        """
        self._look_up(np.empty(0, np.int64))
        assert self._listed is not None
        return self._listed

    def address_of(self, cell: int) -> int:
        """Return where a chunk lies in the file, for messages."""
        return int(self._look_up(np.array([cell]))[0, 0])

    def offset_of(self, cell: int) -> tuple[int, ...]:
        """Return the first element of a chunk."""
        place = np.unravel_index(cell, self._grid)
        return tuple(int(p) * c for p, c in zip(place, self._chunk, strict=True))

    def _fetch(self, cells: Table) -> Located | None:
        """Return the stored bytes of a few chunks; None if the index has to tell.

        That is so if one is not stored, or if anything is odd about it.
        """
        self._budget -= len(cells)
        parts: list[bytes] = []
        table = np.empty((len(cells), 3), np.int64)
        start = 0
        with h5_lock:
            self._raise_if_closed()
            for number, cell in enumerate(cells.tolist()):
                try:
                    mask, data = self._h5ds.id.read_direct_chunk(self.offset_of(cell))
                except (OSError, RuntimeError, ValueError, TypeError, MemoryError) as e:
                    pass_on(e)
                    return None
                table[number] = start, len(data), mask
                parts.append(data)
                start += len(data)
        self._refuse_unfiltered_edges(cells, table)
        return Located(table, parts[0] if len(parts) == 1 else b"".join(parts))

    def _look_up(self, cells: Table) -> Table:
        """Return address, stored size and mask, by the index."""
        if self._listed is None:
            with h5_lock:
                self._raise_if_closed()
                if self._listed is None:
                    self._listed = self._list()
        known, table = self._listed
        if len(known) == self._count:
            return table[cells]
        places = np.searchsorted(known, cells)
        places[places == len(known)] = 0
        found = np.zeros((len(cells), 3), np.int64)
        found[:, 0] = MISSING
        if len(known):
            stored = known[places] == cells
            found[stored] = table[places[stored]]
        return found

    def _list(self) -> tuple[Table, Table]:
        """Return the positions of all stored chunks, ascending, and where they lie."""
        try:
            claim = self._claim()
            if claim is None or claim.entries is None:
                offsets, table = self._told()
            else:
                offsets, table = self._read_here(claim.entries)
        except RAISED as exc:
            raise_own_error(exc, self._where, self._h5ds)
            raise
        places, rest = np.divmod(offsets, np.array(self._chunk, np.uint64))
        wrong = (places >= np.array(self._grid, np.uint64)) | (rest != 0)
        if wrong.any():
            bad = offsets[wrong.any(axis=1).argmax()].tolist()
            raise self._damage(f"one at {tuple(bad)}, where none can be")
        cells = np.ravel_multi_index(tuple(places.T.astype(np.int64)), self._grid)
        if (cells[1:] <= cells[:-1]).any():
            ranked = np.sort(cells)
            twice = ranked[1:] == ranked[:-1]
            if twice.any():
                bad_cell = int(ranked[1:][twice][0])
                raise self._damage(f"two at {self.offset_of(bad_cell)}")
            # Every kind of index is ordered: HDF5 finds in this one what we would not.
            raise LeftToH5py("chunks that are listed out of order")
        if claim is not None and not claim.finds_all:
            raise LeftToH5py("a tree in which HDF5 does not find all that it lists")
        self._refuse_unfiltered_edges(cells, table)
        table.flags.writeable = False
        return cells, table

    def _told(self) -> tuple[NDArray[np.uint64], Table]:
        """Return the first element of each chunk, and where it lies, as HDF5 tells."""
        infos = self._infos()
        if None in map(_ADDRESS, infos):
            raise self._damage("one without an address")
        ndim = len(self._grid)
        offsets = np.fromiter(
            chain.from_iterable(map(_OFFSET, infos)),
            np.uint64,
            len(infos) * ndim,
        ).reshape(-1, ndim)
        numbers = np.empty((len(infos), 3), np.uint64)
        for column, of in enumerate((_ADDRESS, _STORED, _MASK)):
            numbers[:, column] = list(map(of, infos))
        return offsets, numbers.view(np.int64)

    def _read_here(self, entries: NDArray[np.void]) -> tuple[NDArray[np.uint64], Table]:
        """Return the same out of the entries of an older tree."""
        offsets, addresses = entries["offset"], entries["address"]
        if offsets.shape[1] != len(self._grid) + 1:
            raise self._damage(f"places along {offsets.shape[1] - 1} axes")
        if (addresses == NOWHERE).any():
            raise self._damage("one without an address")
        numbers = np.empty((len(entries), 3), np.uint64)
        numbers[:, 0] = addresses + np.uint64(self.userblock)
        numbers[:, 1], numbers[:, 2] = entries["size"], entries["mask"]
        return offsets[:, :-1], numbers.view(np.int64)

    def _infos(self) -> list[Any]:
        dsid = self._h5ds.id
        if self._count == 1:  # HDF5 cannot list a single chunk
            return [dsid.get_chunk_info(0)] if dsid.get_num_chunks() else []
        if not hasattr(dsid, "chunk_iter"):
            raise LeftToH5py("this HDF5 library cannot list chunks")
        infos: list[Any] = []
        append, most = infos.append, self._count

        def keep(info: Any) -> bool | None:
            """Stop after one chunk too many: a forged tree tells of chunks for ever."""
            append(info)
            return True if len(infos) > most else None

        calling_back(dsid.chunk_iter, keep)
        return infos

    def _claim(self) -> Claim | None:
        """Refuse an index that HDF5 would be busy with for long, or not survive."""
        if self.read is None:
            return None
        claim = claim_of(self._h5ds, self.read, self._count)
        if claim is None:
            raise LeftToH5py("a dataset whose header is not understood")
        if not claim.is_tree:
            raise self._damage("a tree with a node that does not belong there")
        if not claim.is_modest:
            raise LeftToH5py(f"an index that claims {claim.places} places")
        return claim

    def _damage(self, found: str) -> FormatError:
        return FormatError(
            f"{self._where}: expected an index with one chunk at each place of the "
            f"dataset, found {found}; the file is damaged: copy it again"
        )

    def _raise_if_closed(self) -> None:
        if not self._h5ds.id.valid:
            raise ClosedError(f"{self._where} is closed; open the file again")

    def _refuse_unfiltered_edges(self, cells: Table, table: Table) -> None:
        """Leave datasets with "don't filter partial edge chunks" to h5py.

        HDF5 stores such chunks raw with mask 0, and h5py does not show the flag.
        """
        if not self._filtered:
            return
        raw = (table[:, 1] == self._chunk_bytes) & (table[:, 2] == 0)
        if not raw.any():
            return
        places = np.unravel_index(cells[raw], self._grid)
        for place, length, size in zip(places, self._shape, self._chunk, strict=True):
            if length % size and (place == length // size).any():
                raise LeftToH5py("edge chunks that may be stored without filters")
