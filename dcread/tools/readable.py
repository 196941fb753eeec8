"""Which rows of datasets can be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ..engine import DatasetReader, h5_lock
from ..errors import ClosedError, FileChangedError
from ..problems import UNREADABLE, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..hdf5_data import HDF5Data

AT_ONCE = 2**24
"""Bytes of a dataset that are in memory together."""


@dataclass(frozen=True)
class Rows:
    """A dataset and which of its rows can be read.

    Attributes
    ----------
    reader : DatasetReader
        Reads its rows.
    readable : ndarray of bool
        One for each row.
    reason : str
        Why the first row that cannot be read cannot; empty if all can.
    """

    reader: DatasetReader
    readable: NDArray[np.bool_]
    reason: str


def stored(hd: HDF5Data, path: str) -> Any:
    """Return what is stored at a path in the file itself.

    Raises
    ------
    LookupError
        If there is nothing, or a link to another place.
    OSError, RuntimeError, ...
        See `UNREADABLE`: if it cannot be opened.
    """
    with hd.handle.using(), h5_lock:
        item: Any = hd.h5
        for name in filter(None, path.split("/")):
            if not isinstance(item, h5py.Group):
                raise LookupError("it is not stored in this file")
            link = item.get(name, getlink=True)
            if link is None:
                raise LookupError("it is not stored in this file")
            if not isinstance(link, h5py.HardLink):
                raise LookupError("it is a link to another place")
            item = item[name]
        return item


def member_names(hd: HDF5Data, path: str) -> list[str]:
    """Return the names in a group, sorted; none if there is no such group."""
    try:
        group = stored(hd, path)
        with hd.handle.using(), h5_lock:
            return sorted(group) if isinstance(group, h5py.Group) else []
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE:
        return []


def find_rows(
    hd: HDF5Data,
    path: str,
    length: int | None = None,
    progress: Callable[[int], None] | None = None,
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

    Raises
    ------
    TypeError
        If it is no dataset with rows.
    OSError, RuntimeError, ...
        See `UNREADABLE`: if it cannot be opened.
    """
    dataset = stored(hd, path)
    with hd.handle.using(), h5_lock:
        if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
            raise TypeError("it is no dataset with rows")
        reader = DatasetReader(hd.handle, dataset)
    there = reader.shape[0]
    length = there if length is None else length
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


def row_bytes(reader: DatasetReader) -> int:
    """Return the bytes of one row."""
    return max(1, math.prod(reader.shape[1:]) * reader.dtype.itemsize)


def _blocks(reader: DatasetReader, length: int) -> Iterator[slice]:
    height = max(1, reader.block_rows)
    step = height * max(1, AT_ONCE // (height * row_bytes(reader)))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length), 1)


def _try(
    reader: DatasetReader, rows: slice
) -> Iterator[tuple[slice, BaseException | None]]:
    """Read rows, halves of them where that fails, down to single rows."""
    try:
        reader.read(rows)
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as error:
        size = rows.stop - rows.start
        if size == 1:
            yield rows, error
            return
        middle = rows.start + size // 2
        yield from _try(reader, slice(rows.start, middle, 1))
        yield from _try(reader, slice(middle, rows.stop, 1))
    else:
        yield rows, None
