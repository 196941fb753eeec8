"""Datasets seen through an index mapping: which events, in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..engine import READ_FEWER, ReadCost, RowReader, Rows, Storage, Window, reader_for
from ..errors import ShapeMismatchError
from .dataset_view import RowView
from .index_mapping import IndexMapping, check_rows, get_mapping_indices, misfit

__all__ = [
    "MappedHDF5Dataset",
    "MappedReader",
    "get_mapped_object",
    "get_mapping_indices",
]

_Rows: TypeAlias = "NDArray[np.int64]"


class MappedReader(RowReader):
    """Rows of another reader, in the order of an index mapping.

    Parameters
    ----------
    parent : RowReader
        Where the rows come from.
    indices : Rows or ndarray of int
        Row of `parent` for each row.

    Attributes
    ----------
    base : RowReader
        Where the rows come from; never a `MappedReader`.
    rows : Rows
        Row of `base` for each row.
    """

    def __init__(self, parent: RowReader, indices: NDArray[Any]) -> None:
        base, rows = parent, Rows.of(indices)
        if isinstance(parent, MappedReader):
            base, rows = parent.base, parent.rows_of(rows)
        self.base: RowReader = base
        self.rows = rows
        self.shape = (len(rows), *parent.shape[1:])
        self.dtype = parent.dtype
        self.name = parent.name
        self.filename = parent.filename
        self.handle = parent.handle
        if isinstance(rows.index, range):
            self.block_rows = max(1, base.block_rows // rows.index.step)

    @property
    def indices(self) -> NDArray[np.int64]:
        """Row of `base` for each row."""
        return self.rows.numbers

    def rows_of(self, rows: Rows) -> Rows:
        """Return the rows of `base` that belong to `rows`."""
        mapping, index = self.rows.index, rows.index
        if not isinstance(mapping, range):
            return Rows.of(mapping[rows.plain])
        if isinstance(index, range):
            return Rows(mapping[index.start : index.stop : index.step])
        return Rows.of(mapping.start + index * mapping.step)

    def check_room(self, size: int, remedy: str = READ_FEWER) -> None:
        """Ask the reader of what is mapped."""
        self.base.check_room(size, remedy)

    def read_cost(self, rows: Rows) -> ReadCost:
        """Return what reading the rows of `base` takes."""
        return self.base.read_cost(self.rows_of(rows))

    def storage(self) -> Storage:
        """Return how `base` is stored."""
        return self.base.storage()

    def read_into(self, rows: Rows, out: NDArray[Any], window: Window) -> None:
        """Read rows: see `RowReader.read_into`."""
        self.base.read_into(self.rows_of(rows), out, window)

    def map_blocks(
        self,
        rows: slice,
        func: Callable[[int, NDArray[Any]], None],
        window: Window = None,
    ) -> None:
        """Call ``func(first_row, block)`` for blocks that cover `rows` (step 1)."""
        if rows.stop <= rows.start:
            return
        if not self.rows.straight:
            super().map_blocks(rows, func, window)
            return
        offset = self.rows.bounds[0]
        self.base.map_blocks(
            slice(rows.start + offset, rows.stop + offset, 1),
            lambda first, block: func(first - offset, block),
            window,
        )


class MappedHDF5Dataset(RowView):
    """A dataset seen through an index mapping.

    Reading takes each HDF5 chunk once, never the range in between, whatever the
    order and repeats; a mapped dataset can be mapped again.

    Parameters
    ----------
    h5ds : h5py.Dataset, view, ndarray or array-like
        The dataset to map.
    mapping_indices : ndarray of int
        For each event the row of `h5ds`; negative ones count from the end.

    Attributes
    ----------
    h5ds : h5py.Dataset, view, ndarray or array-like
        The dataset that is mapped.
    mapping_indices : ndarray of int64
        For each event the row of `h5ds` (read-only).

    Raises
    ------
    IndexError
        If an index is out of range.
    ValueError
        If the indices are not integers, or have several axes.
    ShapeMismatchError
        If the dataset is a single value.

    Examples
    --------
    >>> values = np.array([10.0, 20.0, 30.0])
    >>> mapped = dcread.MappedHDF5Dataset(values, np.array([2, 0, 0, -1]))
    >>> mapped[:], mapped.shape
    (array([30., 10., 10., 30.]), (4,))
    """

    def __init__(self, h5ds: Any, mapping_indices: Any) -> None:
        parent = reader_for(h5ds)
        rows = mapped_rows(parent, mapping_indices)
        rows.flags.writeable = False
        self.h5ds = h5ds
        self.mapping_indices = rows
        super().__init__(MappedReader(parent, rows))

    @property
    def _source(self) -> Any:
        return self.h5ds

    @property
    def chunks(self) -> None:
        """None: the rows of one HDF5 chunk need not lie side by side.

        Examples
        --------
        >>> dcread.MappedHDF5Dataset(np.zeros(3), np.array([2, 0])).chunks is None
        True
        """
        return


def mapped_rows(parent: RowReader, index_mapping: Any) -> _Rows:
    """Return the rows of a reader that an index mapping takes.

    Raises
    ------
    IndexError, ValueError
        If it does not fit, or is none.
    ShapeMismatchError
        If the reader is one of a single value.
    """
    if not parent.shape:
        raise ShapeMismatchError(
            f"'{parent.name}' in {parent.filename} is a single value: only one "
            "row for each event can be mapped"
        )
    length = parent.shape[0]
    try:
        if _is_plain(index_mapping):
            rows = check_rows(index_mapping, length)
        else:
            rows = get_mapping_indices(index_mapping, length)
    except (IndexError, ValueError) as exc:
        where = f"'{parent.name}' in {parent.filename} cannot be mapped"
        raise misfit(exc, where) from None
    # Arithmetic on rows overflows in the narrow types that callers may use.
    return rows.astype(np.int64, copy=rows.flags.writeable)


def _is_plain(indices: Any) -> bool:
    """Tell whether indices need no more than a check of their bounds."""
    return (
        isinstance(indices, np.ndarray)
        and indices.ndim == 1
        and indices.dtype.kind in "iu"
    )


def get_mapped_object(obj: Any, index_mapping: IndexMapping | None = None) -> Any:
    """Return a dataset as an index mapping shows it.

    Parameters
    ----------
    obj : h5py.Dataset, view, image cache, ndarray or array-like
        The dataset, with one row for each event.
    index_mapping : int, slice, range, list, tuple, ndarray or None
        See `get_mapping_indices`; the length of `obj` is the `size`.

    Returns
    -------
    MappedHDF5Dataset
        Or `obj` itself where `index_mapping` is None.

    Raises
    ------
    IndexError
        If an index is out of range.
    ValueError
        If `obj` is not a dataset, or `index_mapping` not an index mapping.

    Examples
    --------
    >>> values = np.array([10.0, 20.0, 30.0])
    >>> dcread.get_mapped_object(values, slice(None, None, 2))[:]
    array([10., 30.])
    >>> dcread.get_mapped_object(values) is values
    True
    """
    if index_mapping is None:
        return obj
    if not (hasattr(obj, "shape") and hasattr(obj, "dtype")):
        raise ValueError(
            f"No recipe to convert object of type {type(obj)} ({obj}) to an "
            "index-mapped object: expected a dataset or an array"
        )
    return MappedHDF5Dataset(obj, index_mapping)
