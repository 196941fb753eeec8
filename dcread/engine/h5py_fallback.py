"""Rows by h5py, under the lock: for all that the engine leaves to it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ClosedError
from ..sync.locks import h5_lock
from .h5py_errors import telling_of
from .rows import Rows, Table, Window
from .vetted_chunks import vet

BLOCK = 2**24
"""Bytes that are read while the lock is held."""


def read_by_h5py(
    h5ds: Any, where: str, rows: Rows, window: Window, out: NDArray[Any]
) -> None:
    """Fill `out` with rows of an h5py dataset.

    Parameters
    ----------
    h5ds : h5py.Dataset
        Any dataset with at least one axis.
    where : str
        What error messages call it.
    rows : Rows
        Within the dataset.
    window : tuple of slice or None
        Part of each row.
    out : ndarray
        Of the result's shape.

    Raises
    ------
    FormatError, ChecksumError
        If HDF5 cannot read the data.
    """
    # The elements of an array type have axes of their own, unknown to HDF5.
    rest = (window or ())[: len(h5ds.shape) - 1]
    within = (slice(None),) * (1 + len(rest)) + (window or ())[len(rest) :]
    for dest, block, part in _groups(h5ds, rows, out):
        with h5_lock, telling_of(where, h5ds):
            if not h5ds.id.valid:
                raise ClosedError(f"{where} is closed; open the file again")
            vet(h5ds, where, block, rest)
            found = h5ds[(block, *rest)]
        out[dest] = found[within] if part is None else found[within][part]


def fill_value(h5ds: Any, where: str, place: tuple[int, ...]) -> Any:
    """Return the value of an element that is not stored.

    Parameters
    ----------
    place : tuple of int
        Such an element: reading one is safe, while HDF5 does not survive being asked
        for some damaged fill values.

    Raises
    ------
    FormatError
        If the fill value is damaged.
    """
    with h5_lock, telling_of(where, h5ds):
        return h5ds[place]


def _groups(
    h5ds: Any, rows: Rows, out: NDArray[Any]
) -> Iterator[tuple[slice | Table, slice, Table | None]]:
    """Yield output rows, a block to read, and the rows of it (None: all of them).

    Others can use HDF5 between two blocks.
    """
    height = h5ds.chunks[0] if h5ds.chunks else 1
    if rows.straight:
        first, last = rows.bounds
        row_bytes = max(1, out.nbytes // max(1, len(out)))
        step = max(height, BLOCK // row_bytes // height * height)
        start, cut = first, first - first % step + step
        while start <= last:
            stop = min(cut, last + 1)
            yield slice(start - first, stop - first), slice(start, stop), None
            start, cut = stop, cut + step
        return
    order, ordered = rows.in_order()
    cuts = [0, *(np.flatnonzero(np.diff(ordered // height)) + 1).tolist(), len(rows)]
    for first, last in pairwise(cuts):
        start, stop = int(ordered[first]), int(ordered[last - 1]) + 1
        yield order[first:last], slice(start, stop), ordered[first:last] - start
