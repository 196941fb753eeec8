"""Which rows of datasets can be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import h5py
import numpy as np

from ..engine import Backing, RowReader, h5_lock, open_dataset
from ..engine.name_resolver import Place
from ..errors import ClosedError, FileChangedError
from ..file.links import has_member, is_hard_link, member, names_in
from ..problems import UNREADABLE, pass_on, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..measurement.data import HDF5Data

AT_ONCE = 2**24
"""Bytes of a dataset that are in memory together."""
IMAGE = {
    "CLASS": np.bytes_(b"IMAGE"),
    "IMAGE_VERSION": np.bytes_(b"1.2"),
    "IMAGE_SUBCLASS": np.bytes_(b"IMAGE_GRAYSCALE"),
}
"""Attributes by which HDF5 viewers know images."""


class Reader(Protocol):
    """What reads rows: a `DatasetReader`, or `Joined`."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    block_rows: int

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the new dataset."""

    def read(self, rows: Any) -> NDArray[Any]:
        """Return rows, given as a slice or as numbers."""


class Joined:
    """What an internal basin puts together of several datasets, as one dataset.

    Parameters
    ----------
    array : object
        What a basin gives for a feature (see `dcread.basins.Array`).
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape = tuple(array.shape)
        self._is_bool = array.dtype == bool
        self.dtype = np.dtype("u1") if self._is_bool else array.dtype
        self.block_rows = (getattr(array, "chunks", None) or (1,))[0]
        self.attrs: Mapping[str, Any] = {}
        if len(self.shape) == 3 and self.dtype == "u1":
            self.attrs = IMAGE

    def read(self, rows: Any) -> NDArray[Any]:
        """Return rows; masks as they are stored, 0 and 255."""
        if not isinstance(rows, slice) and hasattr(self._array, "read_rows"):
            found = np.asarray(self._array.read_rows(rows))
        elif not isinstance(rows, slice):
            each = [self._array[row : row + 1] for row in rows.tolist()]
            found = np.concatenate([self._array[0:0], *each])
        else:
            found = np.asarray(self._array[rows])
        return found.astype("u1") * np.uint8(255) if self._is_bool else found


@dataclass(frozen=True)
class Rows:
    """A dataset and which of its rows can be read.

    Attributes
    ----------
    reader : Reader
        Reads its rows.
    readable : ndarray of bool
        One for each row.
    reason : str
        Why the first row that cannot be read cannot; empty if all can.
    """

    reader: Reader
    readable: NDArray[np.bool_]
    reason: str


def stored(hd: HDF5Data, path: str) -> Place:
    """Return what is stored at a path in the file itself.

    Raises
    ------
    LookupError
        If there is nothing, or a link to another place.
    PolicyError
        If its data lie elsewhere, where this file must not lead.
    OSError, RuntimeError, ...
        See `UNREADABLE`: if it cannot be opened.
    """
    with hd.handle.using(), h5_lock:
        place = Place(hd.handle, hd.h5.id)
        for name in filter(None, path.split("/")):
            is_group = isinstance(place.id, h5py.h5g.GroupID)
            if not is_group or not has_member(place.id, name):
                raise LookupError("it is not stored in this file")
            if not is_hard_link(place, name):
                raise LookupError("it is a link to another place")
            place = member(hd.handle, name, place.id)
        return place


def member_names(hd: HDF5Data, path: str) -> list[str]:
    """Return the names in a group, sorted; none if there is no such group."""
    try:
        with hd.handle.using(), h5_lock:
            group = stored(hd, path)
            return names_in(group) if isinstance(group.id, h5py.h5g.GroupID) else []
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE:
        return []


def find_rows(
    hd: HDF5Data,
    path: str,
    length: int | None = None,
    progress: Callable[[int], None] | None = None,
    backing: Backing | None = None,
) -> Rows:
    """Read a dataset and tell which rows can be read.

    Parameters
    ----------
    hd : HDF5Data
        The measurement.
    path : str
        Of the dataset.
    length : int, optional
        How many rows are asked for; rows that are not there cannot be read.
    progress : callable, optional
        Called with the bytes read since the last call.
    backing : Backing, optional
        What was claimed so far by what is read as a whole.

    Raises
    ------
    TypeError
        If it is not a dataset with rows.
    OSError, RuntimeError, ...
        See `UNREADABLE`: if it cannot be opened.
    """
    with hd.handle.using(), h5_lock:
        place = stored(hd, path)
        if not isinstance(place.id, h5py.h5d.DatasetID) or not place.id.shape:
            raise TypeError("it is not a dataset with rows")
        reader = open_dataset(hd.handle, h5py.Dataset(place.id))
    return try_rows(reader, length, progress, backing)


def try_rows(
    reader: Reader,
    length: int | None = None,
    progress: Callable[[int], None] | None = None,
    backing: Backing | None = None,
) -> Rows:
    """Tell which rows can be read (see `find_rows`)."""
    there = reader.shape[0]
    length = there if length is None else length
    if backing is not None and isinstance(reader, RowReader):
        backing.require(reader)
    readable = np.zeros(length, dtype=bool)
    reason = "" if there >= length else f"it has {there:,} rows only"
    for rows in _blocks(reader, min(there, length)):
        for part, error in _try(reader, rows):
            if error is None:
                readable[part] = True
            else:
                reason = reason or text_of(error)
        if progress is not None:
            progress((rows.stop - rows.start) * row_bytes(reader))
    return Rows(reader, readable, reason)


def row_bytes(reader: Reader) -> int:
    """Return the bytes of one row."""
    return max(1, math.prod(reader.shape[1:]) * reader.dtype.itemsize)


def _blocks(reader: Reader, length: int) -> Iterator[slice]:
    height = max(1, reader.block_rows)
    step = height * max(1, AT_ONCE // (height * row_bytes(reader)))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length), 1)


def _try(reader: Reader, rows: slice) -> Iterator[tuple[slice, BaseException | None]]:
    """Read rows, halves of them where that fails, down to single rows."""
    try:
        reader.read(rows)
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as error:
        pass_on(error)
        size = rows.stop - rows.start
        if size == 1:
            yield rows, error
            return
        middle = rows.start + size // 2
        yield from _try(reader, slice(rows.start, middle, 1))
        yield from _try(reader, slice(middle, rows.stop, 1))
    else:
        yield rows, None
