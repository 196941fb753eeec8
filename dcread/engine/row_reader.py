"""One interface for all that has a row for each event: files, arrays, what is computed.

`RowReader` is what views index, caches hold and readers are made of. Its defaults
suit an array in memory; who reads from a file says more.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ClosedError
from .buffer_pool import empty
from .kernels import gather_rows
from .rows import Rows, RowsLike, Window
from .storage import ReadCost, Storage

if TYPE_CHECKING:
    from .file_handle import FileHandle

READ_FEWER = "read fewer rows at a time"

SMALL = 2**30
"""Bytes that may be read whatever the file holds."""

BLOCK = 2**22
"""Bytes that `map_blocks` hands on at once, of what does not know better."""


class RowReader(abc.ABC):
    """Rows along the first axis, read into arrays.

    A subclass sets `shape` and `dtype`, and writes `read_into`.

    Attributes
    ----------
    shape : tuple of int
        The rows come first.
    dtype : numpy.dtype
        Type of the values.
    name, filename : str
        What error messages call the data, and where they come from.
    handle : FileHandle or None
        The open file that they are read from.
    source : Any
        What a user knows the data as (an ``h5py.Dataset``, an array): it has their
        attributes and file.
    chunks : tuple of int or None
        Shape of an HDF5 chunk.
    block_rows : int
        How many rows are made together at the least: those of a chunk.
    stops_early : bool
        Whether the first rows of a chunk cost less than the whole chunk.
    is_at_hand : bool
        Whether a row takes no more than a moment, though there is no open file.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str = "array"
    filename: str = "memory"
    handle: FileHandle | None = None
    source: Any = None
    chunks: tuple[int, ...] | None = None
    block_rows: int = 1
    stops_early: bool = False
    is_at_hand: bool = False

    @property
    def closed(self) -> bool:
        """Whether the file that the rows are read from is closed."""
        return self.handle is not None and self.handle.closed

    @property
    def attrs(self) -> Mapping[str, Any]:
        """The attributes of the data; empty where there are none."""
        found: Mapping[str, Any] = getattr(self.source, "attrs", {})
        return found

    @abc.abstractmethod
    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read rows into an array of the right shape and dtype.

        Parameters
        ----------
        rows : Rows
            At least one, all of them there.
        out : ndarray
            C-contiguous; neither it nor `window` is empty.
        window : tuple of slice or None
            Part of each row.
        """

    def read(
        self,
        rows: RowsLike,
        out: NDArray[Any] | None = None,
        window: Window = None,
    ) -> NDArray[Any]:
        """Return rows.

        Parameters
        ----------
        rows : Rows, slice, range or ndarray of int
            ``slice(start, stop, step)`` with ``0 <= start <= stop <= len`` and step
            >= 1, or a 1-D integer array, every item in ``range(len)``, any order,
            repeats allowed; the caller has checked the bounds.
        out : ndarray, optional
            C-contiguous, of the result's shape and dtype; made if not given. After
            an error its content is undefined.
        window : tuple of slice, optional
            One ``slice(start, stop)`` (step 1, in range) for each axis after the
            first; what lies outside is not read.

        Returns
        -------
        ndarray
            `out`, or new memory.

        Raises
        ------
        ClosedError, FormatError, ChecksumError, FileChangedError
            Naming file, dataset and chunk.
        """
        rows = Rows.of(rows)
        if out is None:
            out = self.new_array(rows, window)
        else:
            _check_output(out, rows.shape(self.shape, window), self.dtype)
        if out.size:
            self.read_into(rows, out, window)
        elif self.closed:
            raise ClosedError(
                f"{self.filename} is closed; open it again to read '{self.name}'"
            )
        return out

    def new_array(self, rows: Rows, window: Window = None) -> NDArray[Any]:
        """Return memory for rows, not initialised.

        Raises
        ------
        FormatError
            If so much cannot have been stored in the file.
        """
        shape = rows.shape(self.shape, window)
        size = math.prod(shape) * self.dtype.itemsize
        if size > SMALL:
            self.check_room(size)
        return empty(shape, self.dtype)

    def check_room(self, size: int, remedy: str = READ_FEWER) -> None:
        """Refuse a size in bytes that cannot have been stored in the file.

        Readers that read from others ask those.

        Parameters
        ----------
        size : int
            What is claimed.
        remedy : str
            How the message ends.
        """
        return

    def read_cost(self, rows: Rows) -> ReadCost:
        """Return what reading whole rows takes; no values are read for it.

        Parameters
        ----------
        rows : Rows
            At least one, all of them there.
        """
        return ReadCost(0, 0)

    def storage(self) -> Storage:
        """Return how the rows are stored; no values are read for it."""
        return Storage("array", tuple(self.shape), self.dtype, self.chunks)

    def map_blocks(
        self,
        rows: slice,
        func: Callable[[int, NDArray[Any]], None],
        window: Window = None,
    ) -> None:
        """Call ``func(first_row, block)`` for blocks that cover `rows` (step 1).

        Blocks come in any order and maybe from several threads at once; a block is
        valid only during the call.
        """
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        height = self.block_rows
        step = height * max(1, BLOCK // max(1, row * height))
        for start, _, part in Rows.of(rows).split(step):
            func(rows.start + start, self.read(part, window=window))


def _check_output(
    out: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(
            f"the output must be {shape} of {dtype}, not {out.shape} of {out.dtype}"
        )
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError("the output must be C-contiguous and writeable")


class ArrayReader(RowReader):
    """Rows of a NumPy array.

    Parameters
    ----------
    array : ndarray
        The rows come first.
    """

    is_at_hand = True

    def __init__(self, array: NDArray[Any]) -> None:
        self.source = array
        self.shape = array.shape
        self.dtype = array.dtype

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Copy rows; single ones by the kernel for that."""
        array = self.source[(slice(None), *window)] if window else self.source
        if isinstance(rows.index, range) or self.dtype.hasobject:
            out[...] = array[rows.plain]
        else:
            gather_rows(array, rows.index, out)


class SlicingReader(RowReader):
    """Rows of anything that has ``shape``, ``dtype`` and slices along its first axis.

    Parameters
    ----------
    source : array-like
        What slices; nothing else is asked of it.
    name, filename : str
        What error messages call it, and where it comes from.
    """

    def __init__(self, source: Any, name: str, filename: str) -> None:
        self.source = source
        self.shape = tuple(source.shape)
        self.dtype = np.dtype(source.dtype)
        self.name = name
        self.filename = filename

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read slices: of rows that follow each other one, else one for each."""
        rest = window or ()
        if isinstance(rows.index, range):
            out[...] = np.asarray(self.source[rows.plain])[(slice(None), *rest)]
            return
        for place, row in enumerate(rows.index.tolist()):
            out[place] = np.asarray(self.source[row : row + 1])[0][rest]
