"""Datasets seen through an index mapping: which events, in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..engine import Reader, reader_for
from ..errors import ShapeMismatchError
from .dataset_view import RowView
from .index_mapping import IndexMapping, check_rows, get_mapping_indices

__all__ = [
    "MappedHDF5Dataset",
    "MappedReader",
    "get_mapped_object",
    "get_mapping_indices",
]

_IntArray: TypeAlias = "NDArray[np.integer[Any]]"
_Rows: TypeAlias = "NDArray[np.int64]"

_GATHER_BYTES = 8 << 20


class MappedReader:
    """Rows of another reader, in the order of an index mapping.

    Attributes
    ----------
    base : Reader
        Where the rows come from; never a `MappedReader`.
    indices : ndarray of int64
        Row of `base` for each row.
    steady : range or None
        The same as a range with a step of at least 1, if there is such a range.
    """

    indices: _Rows

    def __init__(self, parent: Reader, indices: _Rows) -> None:
        base = parent
        if isinstance(parent, MappedReader):
            base, indices = parent.base, parent.indices[indices]
        self.base: Reader = base
        self.indices = indices
        self.steady = _as_range(indices)
        self.shape: tuple[int, ...] = (len(indices), *parent.shape[1:])
        self.dtype: np.dtype[Any] = parent.dtype
        self.name = parent.name
        self.filename = parent.filename
        self.handle = getattr(parent, "handle", None)

    @property
    def block_rows(self) -> int:
        """How many rows are decoded together at the least."""
        if self.steady is None:
            return 1
        return max(1, self.base.block_rows // self.steady.step)

    def rows_of(self, rows: slice | _IntArray) -> slice | _IntArray:
        """Return the rows of `base` that belong to `rows`."""
        if self.steady is None or not isinstance(rows, slice):
            return self.indices[rows]
        part = self.steady[rows]
        if not part:
            return slice(0, 0, 1)
        return slice(part[0], part[-1] + 1, part.step)

    def read(
        self,
        rows: slice | _IntArray,
        out: NDArray[Any] | None = None,
        window: tuple[slice, ...] | None = None,
    ) -> NDArray[Any]:
        """Return rows (see `dcread.engine.DatasetReader.read`)."""
        return self.base.read(self.rows_of(rows), out, window)

    def map_blocks(
        self,
        rows: slice,
        func: Callable[[int, NDArray[Any]], None],
        window: tuple[slice, ...] | None = None,
    ) -> None:
        """Call ``func(first_row, block)`` for blocks that cover `rows` (step 1)."""
        if rows.stop <= rows.start:
            return
        if self.steady is not None and self.steady.step == 1:
            offset = self.steady.start
            self.base.map_blocks(
                slice(rows.start + offset, rows.stop + offset, 1),
                lambda first, block: func(first - offset, block),
                window,
            )
            return
        row = self.read(slice(rows.start, rows.start), window=window)
        row_bytes = row.dtype.itemsize * int(np.prod(row.shape[1:], dtype=np.int64))
        step = max(1, _GATHER_BYTES // max(1, row_bytes))
        for start in range(rows.start, rows.stop, step):
            part = slice(start, min(start + step, rows.stop), 1)
            func(start, self.read(part, window=window))


def _as_range(indices: _Rows) -> range | None:
    count = len(indices)
    if count == 0:
        return range(0)
    first, last = int(indices[0]), int(indices[-1])
    step = (last - first) // (count - 1) if count > 1 else 1
    steady = range(first, first + step * count, step) if step > 0 else range(0)
    if len(steady) != count or steady[-1] != last:
        return None
    same = np.array_equal(indices, np.arange(first, last + 1, step))
    return steady if same else None


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
    """

    def __init__(self, h5ds: Any, mapping_indices: Any) -> None:
        parent = reader_for(h5ds)
        if not parent.shape:
            raise ShapeMismatchError(
                f"'{parent.name}' in {parent.filename} is a single value: only one "
                "row for each event can be mapped"
            )
        length = parent.shape[0]
        try:
            if _is_plain(mapping_indices):
                mapping_indices = check_rows(mapping_indices, length)
            else:
                mapping_indices = get_mapping_indices(mapping_indices, length)
        except (IndexError, ValueError) as exc:
            kind = IndexError if isinstance(exc, IndexError) else ValueError
            raise kind(
                f"'{parent.name}' in {parent.filename} cannot be mapped: {exc}"
            ) from None
        # Arithmetic on rows overflows in the narrow types that callers may use.
        rows: _Rows = mapping_indices.astype(
            np.int64, copy=mapping_indices.flags.writeable
        )
        rows.flags.writeable = False
        self.h5ds = h5ds
        self.mapping_indices = rows
        super().__init__(MappedReader(parent, rows))

    @property
    def _source(self) -> Any:
        return self.h5ds

    @property
    def chunks(self) -> None:
        """None: the rows of one HDF5 chunk need not lie side by side."""
        return


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
        If `obj` is no dataset, or `index_mapping` no index mapping.
    """
    if index_mapping is None:
        return obj
    if not (hasattr(obj, "shape") and hasattr(obj, "dtype")):
        raise ValueError(
            f"No recipe to convert object of type {type(obj)} ({obj}) to an "
            "index-mapped object: expected a dataset or an array"
        )
    return MappedHDF5Dataset(obj, index_mapping)
