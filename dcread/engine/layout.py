"""Where the chunks of a dataset lie: a frozen description, made once.

`describe` is the only place that asks HDF5 for addresses. What it cannot describe
with certainty it leaves to h5py, by raising `LeftToH5py` with the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from h5py import h5d, h5s, h5t

from ..errors import FormatError
from .chunk_index import ChunkIndex, LeftToH5py
from .filters import Pipeline, pipeline_of
from .index_claims import MAX_GRID

__all__ = ["Layout", "LeftToH5py", "describe"]

MAX_CHUNK = 256 * 2**20
"""Most bytes of a decoded chunk; more is taken for damage (or malice)."""

CONTIGUOUS_BAND = 2**20
"""Bytes of contiguous data that are read together."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Chunks of a dataset; contiguous data is one long chunk that can be cut.

    Attributes
    ----------
    shape : tuple of int
        Shape of the dataset, at least 1-D.
    dtype : numpy.dtype
        Type of the elements, in the file as in memory.
    chunk : tuple of int
        Shape of a chunk.
    grid : tuple of int
        Number of chunks along each axis.
    index : ChunkIndex or None
        Where the chunks lie; None for contiguous data.
    pipeline : Pipeline
        The filters.
    address : int
        Byte offset of contiguous data.
    row_bytes : int
        Bytes of one row of a chunk.
    band_rows : int
        How many rows of contiguous data are read together.
    whole_rows : bool
        Whether each chunk holds whole rows.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    grid: tuple[int, ...]
    index: ChunkIndex | None
    pipeline: Pipeline
    address: int = 0
    row_bytes: int = field(init=False)
    band_rows: int = field(init=False)
    whole_rows: bool = field(init=False)

    def __post_init__(self) -> None:
        """Work out what each read asks for."""
        row_bytes = math.prod(self.chunk[1:]) * self.dtype.itemsize
        object.__setattr__(self, "row_bytes", row_bytes)
        band_rows = max(1, CONTIGUOUS_BAND // max(row_bytes, 1))
        object.__setattr__(self, "band_rows", band_rows)
        object.__setattr__(self, "whole_rows", math.prod(self.grid[1:]) == 1)

    @property
    def contiguous(self) -> bool:
        """Whether the data are not chunked."""
        return self.index is None

    def is_one_piece(self, first: int, last: int) -> bool:
        """Tell whether whole rows are in one chunk, or contiguous and read together."""
        if self.index is None:
            return last - first < self.band_rows
        return self.whole_rows and first // self.chunk[0] == last // self.chunk[0]

    @property
    def stops_early(self) -> bool:
        """Whether the first rows of a chunk cost less than the whole chunk."""
        return not self.contiguous and self.pipeline.stops_early

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        return self.chunk[0] * self.row_bytes


def describe(
    h5ds: Any,
    plist: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    where: str,
    *,
    as_stored: bool = False,
) -> Layout:
    """Describe a dataset; the caller holds the h5py lock.

    Parameters
    ----------
    h5ds : h5py.Dataset
        Not virtual.
    plist : h5py.h5p.PropDCID
        How it was created.
    shape, dtype
        What the caller takes the dataset for.
    where : str
        What error messages call the dataset.
    as_stored : bool
        Whether the caller wants the elements as they are in the file, whatever they
        mean; `dtype` says how long each is.

    Raises
    ------
    LeftToH5py
        With the reason why h5py must read this dataset.
    FormatError
        If a size is absurd.
    """
    if not shape:
        raise LeftToH5py("a single value, not rows")
    if not as_stored:
        _require_plain_type(h5ds, dtype)
    kind = plist.get_layout()
    if kind == h5d.CONTIGUOUS:
        return _contiguous(h5ds, where, plist, shape, dtype)
    if kind != h5d.CHUNKED:
        raise LeftToH5py("neither chunked nor contiguous")
    # (number, flags, parameters, name)
    filters = [plist.get_filter(i)[:3:2] for i in range(plist.get_nfilters())]
    try:
        pipeline = pipeline_of(tuple(filters), dtype.itemsize)
    except NotImplementedError as exc:
        raise LeftToH5py(str(exc)) from exc
    chunk = tuple(plist.get_chunk())
    size = math.prod(chunk) * dtype.itemsize
    if len(chunk) != len(shape) or size == 0:
        raise FormatError(
            f"{where}: expected chunks of {len(shape)} axes, found chunks of shape "
            f"{chunk}; the file is damaged: copy it again"
        )
    if size > MAX_CHUNK:
        raise FormatError(
            f"{where}: expected chunks of at most {MAX_CHUNK} bytes, found chunks of "
            f"{size} bytes; the file is damaged or not a measurement"
        )
    return _chunked(h5ds, where, shape, dtype, chunk, pipeline)


def _require_plain_type(h5ds: Any, dtype: np.dtype[Any]) -> None:
    """Accept types whose bytes in the file are those of the NumPy array."""
    if dtype.hasobject or dtype.itemsize == 0:
        raise LeftToH5py("values of variable length")
    stored = h5ds.id.get_type()
    if dtype.itemsize != stored.get_size():
        raise LeftToH5py("elements of another size in the file than in memory")
    if (
        isinstance(stored, h5t.TypeIntegerID)
        and dtype.itemsize == 1
        and stored.get_precision() == 8
    ):
        return  # one byte has no order
    if not stored.equal(h5t.py_create(dtype, logical=True)):
        raise LeftToH5py("a type that has to be converted")


def _contiguous(
    h5ds: Any, where: str, plist: Any, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Layout:
    size = math.prod(shape) * dtype.itemsize
    address = h5ds.id.get_offset()
    if plist.get_external_count():
        raise LeftToH5py("stored in another file")
    if not isinstance(address, int) or h5ds.id.get_storage_size() != size:
        if h5ds.id.get_storage_size() == 0:
            raise LeftToH5py("nothing is stored")
        raise LeftToH5py("contiguous data without a plain place in the file")
    if address + size >= 2**63:
        raise FormatError(
            f"{where}: expected data within the file, found {size} bytes at byte "
            f"{address}; the file is damaged: copy it again"
        )
    return Layout(
        shape=shape,
        dtype=dtype,
        chunk=shape,
        grid=(1,) * len(shape),
        index=None,
        pipeline=pipeline_of((), dtype.itemsize),
        address=address,
    )


def _chunked(  # noqa: PLR0917
    h5ds: Any,
    where: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunk: tuple[int, ...],
    pipeline: Pipeline,
) -> Layout:
    most = h5ds.id.get_space().get_simple_extent_dims(True)
    if most[0] != h5s.UNLIMITED and most.count(h5s.UNLIMITED) == 1:
        # HDF5 2.0 lists such chunks with the axis that grows moved to the front.
        raise LeftToH5py("a dataset that only grows along another axis than the first")
    grid = tuple([-(-length // c) for length, c in zip(shape, chunk, strict=True)])
    if math.prod(grid) > MAX_GRID:
        raise LeftToH5py(f"room for {math.prod(grid)} chunks")
    size = math.prod(chunk) * dtype.itemsize
    index = ChunkIndex(h5ds, where, chunk, grid, shape, size, pipeline.filtered)
    return Layout(shape, dtype, chunk, grid, index, pipeline)
