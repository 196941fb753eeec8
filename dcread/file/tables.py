"""Tables: named columns that are no features, one dataset each in ``/tables``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from h5py import Dataset
from numpy.typing import NDArray

from ..engine.convert import require_room_for_columns
from ..errors import FormatError
from ..problems import Problem, recorded_as_problem
from ..sync.locks import h5_lock
from .event_dataset import reader_of
from .logs import member_names, open_member
from .variable_length import VariableLengths

if TYPE_CHECKING:
    from ..engine import FileHandle

Table: TypeAlias = "dict[str, NDArray[Any]] | NDArray[Any]"
"""Columns by name; an array where the dataset has no columns (an image)."""

MAX_TABLE_BYTES = 256 << 20
"""All tables of a file together; what is beyond is left out: a file could claim any
size, and lead to one table by many names."""


def read_tables(handle: FileHandle, problems: list[Problem]) -> dict[str, Table]:
    """Return all tables of a file by name, sorted.

    Tables that cannot be read, or would take more than `MAX_TABLE_BYTES`, are told
    in `problems`.
    """
    tables: dict[str, Table] = {}
    room = MAX_TABLE_BYTES
    for name in member_names(handle, "tables", "table", problems):
        with recorded_as_problem(problems, "table", name):
            tables[name], nbytes = _read_table(handle, name, room)
            room -= nbytes
    return tables


def _read_table(handle: FileHandle, name: str, room: int) -> tuple[Table, int]:
    place = open_member(handle, "tables", name)
    with handle.using(), h5_lock:
        h5ds = Dataset(place.id)
        shape, dtype = h5ds.shape, h5ds.dtype
        nbytes = math.prod(shape) * dtype.itemsize
        if nbytes > room:
            raise FormatError(
                f"it has {nbytes} bytes, and all tables together may have "
                f"{MAX_TABLE_BYTES}; read it with h5py if it is wanted"
            )
        require_room_for_columns(dtype)
    if dtype.hasobject:
        with place.handle.using(), VariableLengths(place.handle) as lengths:
            nbytes += place.handle.fetching(lengths.check_columns, place, room - nbytes)
    with handle.using(), h5_lock:
        data = h5ds[()] if shape == () else None
    if data is None:
        reader = reader_of(place)
        data = reader.read(slice(0, shape[0], 1))
    if dtype.names is None:
        return np.asarray(data), nbytes
    columns = np.asarray(data)
    by_name = {}
    for column in dtype.names:
        values = np.ascontiguousarray(columns[column])
        # A table of one column of records is one of records; several values stay so.
        by_name[column] = values.reshape(-1, *dtype[column].shape)
    return by_name, nbytes
