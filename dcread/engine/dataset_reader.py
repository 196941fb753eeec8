"""Rows of a dataset, into an array: the one question that all views ask."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from h5py import h5d
from numpy.typing import NDArray

from ..errors import ClosedError, FormatError
from ..problems import as_name
from ..sync.locks import h5_lock
from .buffer_pool import empty
from .convert import require_room_for_columns
from .decode import execute, execute_one
from .decode_job import Job, Work
from .file_handle import FileHandle
from .h5py_errors import RAISED, raise_own_error, telling_of
from .h5py_fallback import fill_value, read_by_h5py
from .index_claims import MAX_GRID, MAX_PLACES, claim_of
from .layout import Layout, LeftToH5py, describe
from .read_plan import ADDRESS, STORED, Plan, make_plan, plan_whole
from .row_reader import READ_FEWER, SMALL, RowReader
from .rows import Rows, Table, Window
from .storage import ReadCost, Storage, filter_names
from .thread_pool import Pieces, get_num_threads, share

BLOCK = 2**20
LEAST = 2**18
"""Bytes that a block of `map_blocks` has: at the most, and at the least."""

EXPANSION = 10_000
"""Bytes, or events, beyond which nothing is stored in one byte of a file."""

_LAYOUTS = {
    h5d.COMPACT: "compact",
    h5d.CONTIGUOUS: "contiguous",
    h5d.CHUNKED: "chunked",
    h5d.VIRTUAL: "virtual",
}
"""What HDF5 calls its layouts."""


def most_bytes(stored: int) -> int:
    """Return how many bytes may be read at once of a file of `stored` bytes.

    Much more cannot be in it: memory is not taken on the word of a file.
    """
    return max(SMALL, EXPANSION * stored)


Dest: TypeAlias = "slice | Table"
"""Rows of an output: those of a slice, or by number."""


class DatasetReader(RowReader):
    """Rows of an HDF5 dataset.

    Parameters
    ----------
    handle : FileHandle
        The open file; the caller keeps it open, and holds the h5py lock.
    h5ds : h5py.Dataset
        The dataset as h5py sees it.

    Attributes
    ----------
    handle, h5ds
        As given.
    where : str
        What error messages call the dataset.
    kind : int
        What HDF5 calls its layout (``h5py.h5d.CHUNKED``, ...).
    depth : int
        Virtual datasets that led here.
    """

    handle: FileHandle

    def __init__(self, handle: FileHandle, h5ds: Any) -> None:
        self.handle = handle
        self.h5ds = self.source = h5ds
        self.filename = handle.label
        self.name = as_name(h5ds.name or "without a name")
        self.where = f"{self.filename}: dataset '{self.name}'"
        try:
            # (h5py's own ``shape`` asks for the mode of the file each time)
            shape, dtype = h5ds.id.shape, h5ds.id.dtype
            # Asked for once: fifty joined files are opened in the midst of a scan.
            self._plist = h5ds.id.get_create_plist()
            self.kind = self._plist.get_layout()
            if self.kind == h5d.CHUNKED:
                self.chunks = self._plist.get_chunk()
                self.block_rows = self.chunks[0]
        except RAISED as exc:
            raise_own_error(exc, self.where, h5ds)
            raise
        if shape is None:
            raise FormatError(
                f"{self.where}: expected an array, found an empty dataspace"
            )
        if dtype.kind == "V":
            try:
                require_room_for_columns(dtype)
            except FormatError as exc:
                raise FormatError(f"{self.where}: {exc}") from exc
        self._is_array_type = dtype.subdtype is not None
        if dtype.subdtype is not None:  # an array each: axes of their own, as in NumPy
            dtype, shape = dtype.base, (*shape, *dtype.shape)
        self.shape = tuple(shape)
        self.dtype = dtype
        self.depth = 0
        self._as_stored = False
        self._layout: Layout | LeftToH5py | None = None

    @property
    def stops_early(self) -> bool:  # type: ignore[override]
        """Whether the first rows of a chunk cost less than the whole chunk."""
        layout = self.layout
        return not isinstance(layout, LeftToH5py) and layout.stops_early

    @property
    def layout(self) -> Layout | LeftToH5py:
        """Where the data lie, or why h5py reads them; made when first asked for."""
        if self._layout is None:
            with self.handle.using():
                return self._find_layout()
        return self._layout

    def _find_layout(self) -> Layout | LeftToH5py:
        """Return `layout`; the caller keeps the file open."""
        with h5_lock:
            if self._layout is None:
                self._layout = self.handle.fetching(self._describe)
            return self._layout

    def prepare(self) -> None:
        """Find out where the data lie."""
        self.layout  # noqa: B018

    def _describe(self) -> Layout | LeftToH5py:
        if not self.h5ds.id.valid:
            raise ClosedError(f"{self.where} is closed; open the file again")
        handle = self.handle
        try:
            if self._plist.get_external_count():
                handle.names.check_storage(self._plist, self.where)
            if self.h5ds.id.fileno != handle.fileno:
                raise LeftToH5py("an external link leads to another file")
            if handle.source is None:
                raise LeftToH5py(handle.reason)
            if handle.shifts_addresses:
                raise LeftToH5py("this HDF5 library passes over the user block")
            if self._is_array_type:
                raise LeftToH5py("elements that are arrays")
            layout = describe(
                self.h5ds,
                self._plist,
                self.shape,
                self.dtype,
                self.where,
                as_stored=self._as_stored,
            )
            if layout.index is not None:
                layout.index.fetches_few = not handle.source.is_far
                layout.index.read = handle.read_structure
                layout.index.userblock = handle.numbering.userblock
            return layout
        except LeftToH5py as reason:
            return LeftToH5py(*reason.args)  # without the frames that lead back here
        except RAISED as exc:
            raise_own_error(exc, self.where, self.h5ds)
            raise

    def elements(self, nbytes: int) -> NDArray[Any] | None:
        """Return all elements as they are in the file, each of some bytes.

        For values of variable length, whose elements are a length and a place. None
        if the engine does not read the dataset itself.
        """
        self._as_stored = True
        self.dtype = np.dtype((np.void, nbytes))
        if not isinstance(self.layout, Layout):
            return None
        return self.read(slice(0, self.shape[0], 1))

    def _not_as_stored(self) -> FormatError:
        return FormatError(
            f"{self.where}: where its values lie cannot be told before they are read; "
            "read it with h5py if it is wanted"
        )

    def stored_bytes(self, enough: float) -> int:
        """Return how many bytes the files have that hold the data.

        Not more is looked at than it takes to find `enough`.
        """
        return self.handle.size

    def check_room(self, size: int, remedy: str = READ_FEWER) -> None:
        """Refuse what cannot be in the file: one of few bytes may claim any size."""
        if size > most_bytes(self.stored_bytes(size / EXPANSION)):
            raise FormatError(
                f"{self.where}: the rows that are asked for claim {size} bytes, far "
                f"more than the file can hold; {remedy}"
            )

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read rows: see `RowReader.read_into`."""
        with self.handle.using():
            if self._read_one(rows, window, out):
                return
            with contextlib.ExitStack() as stack:
                work = Work(out, window, [], stack)
                self.collect(work, rows, slice(0, len(out)))
                execute(work)

    def _read_one(self, rows: Rows, window: Window, out: NDArray[Any]) -> bool:
        """Read whole rows that lie in one piece, if that is all.

        An image is in a hurry, and so are scalar features, of which there are many;
        of those also rows that a basin maps, if there are few others between them.
        """
        if window is not None or self.kind == h5d.VIRTUAL:
            return False
        first, last = rows.bounds
        straight = rows.straight
        if not straight and (len(self.shape) > 1 or last - first >= 2 * len(rows)):
            return False
        layout = self._layout or self._find_layout()
        if isinstance(layout, LeftToH5py) or not layout.is_one_piece(first, last):
            return False
        try:
            plan = self.handle.fetching(plan_whole, layout, first, last)
        except LeftToH5py:
            return False
        if plan.missing is not None:
            return False
        piece = out if straight else np.empty(last - first + 1, out.dtype)
        execute_one(self._job(plan, layout, piece))
        if not straight:
            out[...] = piece[rows.numbers - first]
        return True

    def collect(self, work: Work, rows: Rows, dest: Dest) -> None:
        """Append what has to be decoded; read by h5py what cannot be.

        Parameters
        ----------
        work : Work
            Grows by jobs.
        rows : Rows
            Not none.
        dest : slice or ndarray of int
            The rows of the output that are asked for here.
        """
        layout, out = self.layout, work.out
        if isinstance(layout, Layout):
            try:
                self._plan(layout, work, rows, dest)
            except LeftToH5py as reason:
                self._layout = LeftToH5py(*reason.args)
            else:
                return
        if self._as_stored:
            raise self._not_as_stored()
        part, window = out[dest], work.window
        if not isinstance(dest, slice):
            part = np.empty(rows.shape(self.shape, window), out.dtype)
        self.handle.fetching(read_by_h5py, self.h5ds, self.where, rows, window, part)
        if self.handle.source is not None:
            self.handle.source.check()  # (HDF5 reads zeros behind a file that shrank)
        if not isinstance(dest, slice):
            out[dest] = part

    def _plan(self, layout: Layout, work: Work, rows: Rows, dest: Dest) -> None:
        fetching = self.handle.fetching
        plan = fetching(make_plan, layout, rows, work.window).placed(dest)
        if plan.missing is not None and layout.index is not None:
            if self._as_stored:
                defined = self._plist.fill_value_defined()
                if defined == h5d.FILL_VALUE_USER_DEFINED:
                    raise self._not_as_stored()
                work.out[dest] = np.zeros((), self.dtype)
            else:
                place = layout.index.offset_of(plan.missing)
                work.out[dest] = fetching(fill_value, self.h5ds, self.where, place)
        work.jobs.append(self._job(plan.sorted_by_address(), layout, work.out))

    def _job(self, plan: Plan, layout: Layout, out: NDArray[Any]) -> Job:
        source = self.handle.source
        if source is None:
            raise ClosedError(f"{self.where} is closed; open the file again")
        data = out.reshape(-1).view(np.uint8)
        return Job(plan, layout, source, data, self.where)

    def read_cost(self, rows: Rows) -> ReadCost:
        """Return what reading whole rows takes: see `RowReader.read_cost`.

        The structure of the dataset is read for it, if it is not known yet.
        """
        with self.handle.using():
            layout, source = self.layout, self.handle.source
            if isinstance(layout, LeftToH5py) or source is None:
                return ReadCost(None, None)
            try:
                if layout.index is not None:
                    # (so that planning does not fetch the bytes of a few chunks)
                    self.handle.fetching(layout.index.stored)
                plan = self.handle.fetching(make_plan, layout, rows)
            except LeftToH5py as reason:
                self._layout = LeftToH5py(*reason.args)
                return ReadCost(None, None)
            tasks = plan.sorted_by_address().tasks
            return source.read_cost(tasks[:, ADDRESS], tasks[:, STORED])

    def stored_rows(self) -> list[slice] | None:
        """Return which rows are worth reading, if others are filled only.

        None if that is not known, or all are stored. Of those that are filled, one part
        is among them.
        """
        layout, count = self.layout, self.shape[0]
        with self.handle.using(), h5_lock, telling_of(self.where, self.h5ds):
            if isinstance(layout, LeftToH5py) or layout.index is None:
                none = self.kind == h5d.CONTIGUOUS and not (
                    self._plist.get_external_count() or self.h5ds.id.get_storage_size()
                )
                return [slice(0, min(1, count), 1)] if none else None
            try:
                cells, _ = self.handle.fetching(layout.index.stored)
            except LeftToH5py as reason:
                self._layout = LeftToH5py(*reason.args)
                return None
            if len(cells) == math.prod(layout.grid):
                return None
            across, height = math.prod(layout.grid[1:]), layout.chunk[0]
            filled = np.flatnonzero(cells != np.arange(len(cells)))
            first_filled = int(filled[0]) if len(filled) else len(cells)
            bands = np.union1d(cells // across, [first_filled // across])
            ends = np.flatnonzero(np.diff(bands) > 1) + 1
            return [
                slice(int(run[0]) * height, min((int(run[-1]) + 1) * height, count), 1)
                for run in np.split(bands, ends)
            ]

    def storage(self) -> Storage:
        """Return how the rows are stored: see `RowReader.storage`."""
        layout = self.layout
        with self.handle.using(), h5_lock, telling_of(self.where, self.h5ds):
            stored = self.handle.fetching(self._stored_size)
            filters = filter_names(self._plist)
        reader = f"h5py ({layout})" if isinstance(layout, LeftToH5py) else "dcread"
        return Storage(
            _LAYOUTS.get(self.kind, "unknown"),
            self.shape,
            self.dtype,
            self.chunks,
            filters,
            stored,
            reader,
        )

    def _stored_size(self) -> int:
        """Return how many bytes are stored; of chunks, HDF5 goes through the index."""
        if self.chunks and self.handle.source is not None:
            claim = claim_of(self.h5ds, self.handle.read_structure, MAX_GRID)
            if claim is None or not (claim.is_tree and claim.is_modest):
                raise FormatError(
                    f"{self.where}: expected an index with at most {MAX_PLACES} "
                    "places, found a larger one; the file is damaged: copy it again"
                )
        return int(self.h5ds.id.get_storage_size())

    def map_blocks(
        self,
        rows: slice,
        func: Callable[[int, NDArray[Any]], None],
        window: Window = None,
    ) -> None:
        """Call ``func(first_row, block)`` for blocks that cover `rows` (step 1).

        Blocks come in any order and from several threads at once; a block is
        valid only during the call.
        """
        shape = Rows(range(1)).shape(self.shape, window)[1:]
        blocks = self._blocks(rows)
        most = max((block.stop - block.start for block in blocks), default=0)

        def work(pieces: Pieces) -> None:
            buffer = empty((most, *shape), self.dtype)
            for piece in pieces:
                block = blocks[piece]
                part = buffer[: block.stop - block.start]
                func(block.start, self.read(block, part, window))

        with self.handle.using():
            share(work, len(blocks))

    def _blocks(self, rows: slice) -> list[slice]:
        """Cut rows into blocks of whole chunks, shorter ones towards the end."""
        row_bytes = max(1, math.prod(self.shape[1:]) * self.dtype.itemsize)
        height, parts = self.block_rows, 2 * get_num_threads()
        blocks, start = [], rows.start
        while start < rows.stop:
            size = min(BLOCK, max(LEAST, (rows.stop - start) * row_bytes // parts))
            step = height * max(1, size // (height * row_bytes))
            stop = min(start - start % height + step, rows.stop)
            blocks.append(slice(start, stop))
            start = stop
        return blocks
