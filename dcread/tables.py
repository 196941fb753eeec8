"""Tables: named columns that are no features, one dataset each in ``/tables``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .engine.lock import h5_lock
from .errors import FormatError
from .logs import member_names, open_member
from .own import reader_of
from .problems import Problem
from .tolerance import noting

if TYPE_CHECKING:
    from .basins import Policy
    from .engine import FileHandle

Table: TypeAlias = "dict[str, NDArray[Any]] | NDArray[Any]"
"""Columns by name; an array where the dataset has no columns (an image)."""

MAX_TABLE_BYTES = 256 << 20
"""A larger table is left out: a file could claim any size."""


def read_tables(
    handle: FileHandle, policy: Policy, problems: list[Problem]
) -> dict[str, Table]:
    """Return all tables of a file by name, sorted.

    Tables that cannot be read are told in `problems`.
    """
    tables: dict[str, Table] = {}
    for name in member_names(handle, "tables", "table", policy, problems):
        with noting(problems, "table", name):
            tables[name] = _read_table(handle, name, policy)
    return tables


def _read_table(handle: FileHandle, name: str, policy: Policy) -> Table:
    h5ds = open_member(handle, "tables", name, policy)
    with handle.using(), h5_lock:
        shape, dtype = h5ds.shape, h5ds.dtype
        nbytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if nbytes > MAX_TABLE_BYTES:
            raise FormatError(
                f"table '{name}' has {nbytes} bytes, expected at most "
                f"{MAX_TABLE_BYTES}; read it with h5py if it is wanted"
            )
        data = h5ds[()] if shape == () else None
    if data is None:
        reader = reader_of(handle, h5ds)
        data = reader.read(slice(0, shape[0], 1))
    if dtype.names is None:
        return np.asarray(data)
    columns = np.asarray(data)
    return {
        column: np.ascontiguousarray(columns[column]).reshape(-1)
        for column in dtype.names
    }
