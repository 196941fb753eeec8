"""Rows of a dataset, into an array: the one question that all views ask."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ClosedError, DCReadError, FormatError
from ..sync.locks import h5_lock
from .buffer_pool import empty
from .columns import Table
from .decode import execute, execute_one
from .decode_job import Job, Work
from .file_handle import FileHandle
from .h5py_errors import telling_of
from .h5py_fallback import fill_value, read_by_h5py
from .layout import Layout, LeftToH5py, describe
from .read_plan import Plan, Rows, Window, make_plan, out_shape, plan_whole, simplify
from .thread_pool import Pieces, get_num_threads, share
from .virtual_boxes import Boxes
from .virtual_reader import Virtual, resolve

BLOCK = 2**20
LEAST = 2**18
"""Bytes that a block of `map_blocks` has: at the most, and at the least."""

SMALL = 2**30
EXPANSION = 10_000


def most_bytes(stored: int) -> int:
    """Return how many bytes may be read at once of a file of `stored` bytes.

    Much more cannot be in it: memory is not taken on the word of a file.
    """
    return max(SMALL, EXPANSION * stored)


class DatasetReader:
    """Rows of an HDF5 dataset.

    Attributes
    ----------
    handle : FileHandle
        The open file.
    h5ds : h5py.Dataset
        The dataset as h5py sees it.
    shape, dtype, name, filename, chunks, attrs
        As of the h5py dataset.
    """

    def __init__(self, handle: FileHandle, h5ds: Any) -> None:
        from h5py import h5d

        self.handle = handle
        self.h5ds = h5ds
        with handle.using(), h5_lock:
            self.filename = handle.label
            self.name: str = h5ds.name
            self._where = f"{self.filename}: dataset '{self.name}'"
            with telling_of(self._where, h5ds):
                shape, dtype = h5ds.shape, h5ds.dtype
                # Asked for once: fifty joined files are opened in the midst of a scan.
                self._plist = h5ds.id.get_create_plist()
                self._kind = self._plist.get_layout()
                self.chunks: tuple[int, ...] | None = None
                if self._kind == h5d.CHUNKED:
                    self.chunks = self._plist.get_chunk()
        if shape is None:
            raise FormatError(f"{self._where}: expected an array, found no data at all")
        self._is_array_type = dtype.subdtype is not None
        if dtype.subdtype is not None:  # an array each: axes of their own, as in NumPy
            dtype, shape = dtype.base, (*shape, *dtype.shape)
        self.shape: tuple[int, ...] = tuple(shape)
        self.dtype: np.dtype[Any] = dtype
        self.attrs = h5ds.attrs
        self.depth = 0  # virtual datasets that led here
        self._as_stored = False
        self._layout: Layout | Virtual | Boxes | LeftToH5py | None = None

    @property
    def block_rows(self) -> int:
        """How many rows are decoded together at the least (those of a chunk)."""
        if self.chunks:
            return self.chunks[0]
        with contextlib.suppress(DCReadError):
            layout = self.layout
            if isinstance(layout, (Virtual, Boxes)):
                return layout.block_rows
        return 1

    @property
    def stops_early(self) -> bool:
        """Whether the first rows of a chunk cost less than the whole chunk."""
        layout = self.layout
        return not isinstance(layout, LeftToH5py) and layout.stops_early

    @property
    def layout(self) -> Layout | Virtual | Boxes | LeftToH5py:
        """Where the data lie, or why h5py reads them; made when first asked for."""
        if self._layout is None:
            with self.handle.using(), h5_lock:
                if self._layout is None:
                    self._layout = self.handle.fetching(self._describe)
        return self._layout

    def _describe(self) -> Layout | Virtual | Boxes | LeftToH5py:
        from h5py import h5d

        if not self.h5ds.id.valid:
            raise ClosedError(f"{self._where} is closed; open the file again")
        try:
            with telling_of(self._where, self.h5ds):
                if self.h5ds.id.fileno != self.handle.h5.id.fileno:
                    # Its addresses mean nothing in the file of the handle.
                    self.handle.require_internal(self.h5ds, self._plist)
                    raise LeftToH5py("an external link leads to another file")
                if self._kind == h5d.VIRTUAL:
                    return resolve(self)
                self.handle.require_internal(self.h5ds, self._plist)
                if self.handle.source is None:
                    raise LeftToH5py(self.handle.reason)
                if self.handle.shifts_addresses:
                    raise LeftToH5py("this HDF5 library passes over the user block")
                if self._is_array_type:
                    raise LeftToH5py("elements that are arrays")
                layout = describe(
                    self.h5ds,
                    self._plist,
                    self.shape,
                    self.dtype,
                    self._where,
                    as_stored=self._as_stored,
                )
                if layout.index is not None:
                    layout.index.fetches_few = not self.handle.source.is_far
                return layout
        except LeftToH5py as reason:
            return reason

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

    def stored_bytes(self, enough: float) -> int:
        """Return how many bytes the files have that hold the data.

        Not more is looked at than it takes to find `enough`.
        """
        layout = self.layout
        if isinstance(layout, (Virtual, Boxes)):
            return layout.stored_bytes(enough)
        return self.handle.size

    def new_array(self, rows: Rows, window: Window = None) -> NDArray[Any]:
        """Return memory for rows, not initialised.

        Raises
        ------
        FormatError
            If so much cannot have been stored: a file of a few bytes may claim any
            number of events.
        """
        shape = out_shape(self.shape, rows, window)
        self._require_room(math.prod(shape) * self.dtype.itemsize)
        return empty(shape, self.dtype)

    def _require_room(self, size: int) -> None:
        if size > SMALL and size > most_bytes(self.stored_bytes(size / EXPANSION)):
            raise FormatError(
                f"{self._where}: claims {size} bytes for what is asked for, far more "
                "than the file can hold; read fewer rows at a time"
            )

    def read(
        self, rows: Rows, out: NDArray[Any] | None = None, window: Window = None
    ) -> NDArray[Any]:
        """Return rows of the dataset.

        Parameters
        ----------
        rows : slice or ndarray of int
            ``slice(start, stop, step)`` with ``0 <= start <= stop <= len`` and step
            >= 1, or a 1-D integer array, every item in ``range(len)``, any order,
            repeats allowed; the caller has checked the bounds.
        out : ndarray, optional
            C-contiguous, of the result's shape and dtype; made if not given. After
            an error its content is undefined.
        window : tuple of slice, optional
            One ``slice(start, stop)`` (step 1, in range) for each axis after the
            first; chunks outside are not read.

        Raises
        ------
        ClosedError, FormatError, ChecksumError, FileChangedError
            Naming file, dataset and chunk.
        """
        if out is None:
            out = self.new_array(rows, window)
        elif (
            out.shape != (shape := out_shape(self.shape, rows, window))
            or out.dtype != self.dtype
        ):
            raise ValueError(
                f"the output must be {shape} of {self.dtype}, not {out.shape} of "
                f"{out.dtype}"
            )
        elif not (out.flags.c_contiguous and out.flags.writeable):
            raise ValueError("the output must be C-contiguous and writeable")
        rows = simplify(rows)
        with self.handle.using():
            if out.size and not self._read_one(rows, window, out):
                with contextlib.ExitStack() as stack:
                    work = Work(out, window, [], stack)
                    self.collect(work, rows, slice(0, len(out)))
                    execute(work)
        return out

    def _read_one(self, rows: Rows, window: Window, out: NDArray[Any]) -> bool:
        """Read whole rows of one chunk, if that is all: an image is in a hurry."""
        layout = self.layout
        if (
            window is not None
            or not isinstance(rows, slice)
            or not isinstance(layout, Layout)
            or layout.contiguous
            or not layout.whole_rows
        ):
            return False
        height = layout.chunk[0]
        if rows.start // height < (rows.stop - 1) // height:
            return False
        try:
            plan = self.handle.fetching(lambda: plan_whole(layout, rows))
        except LeftToH5py:
            return False
        if plan.missing is not None:
            return False
        execute_one(self._job(plan, layout, out))
        return True

    def collect(self, work: Work, rows: Rows, dest: slice | Table) -> None:
        """Append what has to be decoded; read by h5py what cannot be.

        Parameters
        ----------
        work : Work
            Grows by jobs.
        rows : slice or ndarray of int
            As of `simplify`, not empty.
        dest : slice or ndarray of int
            The rows of the output that are asked for here.
        """
        layout, out = self.layout, work.out
        if isinstance(layout, (Virtual, Boxes)):
            layout.collect(work, rows, dest)
            return
        if isinstance(layout, Layout):
            try:
                self._plan(layout, work, rows, dest)
            except LeftToH5py as reason:
                self._layout = reason
            else:
                return
        shape = out_shape(self.shape, rows, work.window)
        part = out[dest] if isinstance(dest, slice) else np.empty(shape, out.dtype)
        window = work.window
        self.handle.fetching(
            lambda: read_by_h5py(self.h5ds, self._where, rows, window, part)
        )
        if not isinstance(dest, slice):
            out[dest] = part

    def _plan(
        self, layout: Layout, work: Work, rows: Rows, dest: slice | Table
    ) -> None:
        fetching, window = self.handle.fetching, work.window
        plan = fetching(lambda: make_plan(layout, rows, window)).placed(dest)
        if plan.missing is not None and layout.index is not None:
            place = layout.index.offset_of(plan.missing)
            work.out[dest] = fetching(lambda: fill_value(self.h5ds, self._where, place))
        work.jobs.append(self._job(plan.sorted_by_address(), layout, work.out))

    def _job(self, plan: Plan, layout: Layout, out: NDArray[Any]) -> Job:
        source = self.handle.source
        if source is None:
            raise ClosedError(f"{self._where} is closed; open the file again")
        data = out.reshape(-1).view(np.uint8)
        return Job(plan, layout, source, data, self._where)

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
        shape = out_shape(self.shape, slice(0, 1), window)[1:]
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
