"""Views of datasets: they look like NumPy arrays and read when indexed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..engine import RowReader, reader_for
from ..errors import ClosedError, ShapeMismatchError
from ..sync.locks import h5_lock
from .index_expression import select

__all__ = ["FeatureView", "RowView", "raise_if_closed"]

_ITERATION_BYTES = 4 << 20


class RowView:
    """Something with one row per event, read when it is indexed.

    Whatever NumPy takes between brackets works and gives what NumPy would give,
    as new memory; only the chunks that are needed are read, each of them once.

    Parameters
    ----------
    reader : RowReader
        Where the rows come from.

    Attributes
    ----------
    reader : RowReader
        Where the rows come from.
    shape : tuple of int
        The events come first.
    dtype : numpy.dtype
        Type of the values.
    """

    def __init__(self, reader: RowReader) -> None:
        if not reader.shape:
            raise ShapeMismatchError(
                f"'{reader.name}' in {reader.filename} is a single value, expected "
                "one row for each event"
            )
        self.reader = reader
        self.shape: tuple[int, ...] = tuple(reader.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.reader.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all values in memory."""
        return self.size * self.dtype.itemsize

    @property
    def name(self) -> str:
        """Name of the dataset in its file."""
        return self.reader.name

    @property
    def _source(self) -> Any:
        """The object that knows attributes and file."""
        return self.reader.source

    @property
    def file(self) -> Any:
        """The h5py file that holds the dataset; None where there is none.

        Raises
        ------
        ClosedError
            If the file is closed.
        """
        raise_if_closed(self.reader)
        with h5_lock:
            return getattr(self._source, "file", None)

    @property
    def attrs(self) -> Mapping[str, Any]:
        """The attributes of the dataset; empty where there are none.

        Raises
        ------
        ClosedError
            If the file is closed.
        """
        raise_if_closed(self.reader)
        with h5_lock:
            found: Mapping[str, Any] = getattr(self._source, "attrs", {})
        return found

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, expr: Any) -> Any:
        """Return what NumPy would return for an array of the same content.

        Raises
        ------
        IndexError, TypeError, ValueError
            Where NumPy raises them.
        ClosedError, FormatError, ChecksumError, FileChangedError
            If the data cannot be read.
        """
        return select(self.reader, expr)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the rows, reading some of them at a time."""
        row_bytes = max(1, self.nbytes // max(1, self.shape[0]))
        step = max(1, _ITERATION_BYTES // row_bytes // self.reader.block_rows)
        step *= self.reader.block_rows
        for start in range(0, self.shape[0], step):
            yield from self[start : start + step]

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        if copy is False:
            raise ValueError(
                f"'{self.name}' in {self.reader.filename} has to be read: an array "
                "needs a copy"
            )
        data: NDArray[Any] = self[:]
        return data if dtype is None else data.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} '{self.name}' of {self.reader.filename}: "
            f"shape {self.shape}, {self.dtype}>"
        )


class FeatureView(RowView):
    """A dataset as it is stored.

    Parameters
    ----------
    h5ds : h5py.Dataset, RowReader, ndarray or array-like
        What to view; see `dcread.engine.reader_for`.

    Attributes
    ----------
    h5ds : h5py.Dataset or array-like
        What is viewed.
    """

    def __init__(self, h5ds: Any) -> None:
        super().__init__(reader_for(h5ds))
        self.h5ds = h5ds if self.reader.source is None else self.reader.source

    @property
    def _source(self) -> Any:
        return self.h5ds

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of an HDF5 chunk; None where there are no chunks."""
        return self.reader.chunks


def raise_if_closed(reader: RowReader) -> None:
    """Raise `ClosedError` if the file that a reader reads from is closed."""
    if reader.closed:
        raise ClosedError(
            f"{reader.filename} is closed; open it again to read '{reader.name}'"
        )
