"""Scalar features as CSV or Parquet, block by block."""

from __future__ import annotations

import csv
import io
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..concat.new_file import check_target, new_file, refuse_sources
from ..problems import escaped
from ..survey import shown
from .selection import Selection, blocks, require_backing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..concat.new_file import PatientFile
    from ..measurement.data import HDF5Data

    Columns = dict[str, NDArray[Any]]

SUFFIXES = (".csv", ".tsv", ".parquet")
EVENT = "event"
"""The first column: the number of the event in the measurement."""


def export_table(
    path: str | os.PathLike[str],
    target: pathlib.Path,
    features: Sequence[str] | None = None,
    selection: Selection | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write scalar features as a table; return the number of events in it.

    Parameters
    ----------
    path : str or path-like
        The measurement.
    target : pathlib.Path
        Where the table goes: ``.csv``, ``.tsv`` or ``.parquet``.
    features : sequence of str, optional
        All scalar features by default.
    selection : Selection, optional
        All events by default.
    overwrite : bool
        Whether a file that is there is replaced.
    progress : callable, optional
        Called with the number of events that were read since the last call.

    Raises
    ------
    ValueError
        If a feature is not scalar, or there are none.
    DCReadError, FileExistsError, OSError
        If something cannot be read or written; there is no file then.
    ImportError
        If a Parquet file is wanted and pyarrow is not installed.
    """
    check_target(target, overwrite=overwrite)
    refuse_sources(target, path)
    tables = _tables(path, features, selection or Selection(), progress)
    kind = target.suffix.lower()
    write = _write_parquet if kind == ".parquet" else _write_text
    with new_file(target, overwrite=overwrite) as file:
        return write(file, tables, "\t" if kind == ".tsv" else ",")


def _tables(
    path: str | os.PathLike[str],
    features: Sequence[str] | None,
    selection: Selection,
    progress: Callable[[int], None] | None,
) -> Iterator[Columns]:
    names: Sequence[str] = ()
    for hd, rows, numbers in blocks(path, selection, features or ()):
        if not names:
            names = _scalars(hd) if features is None else features
            if not names:
                raise ValueError(
                    f"{shown(os.fspath(path))}: there are no scalar features to write"
                )
            require_backing(hd, names, selection)
        columns: Columns = {EVENT: numbers}
        for name in names:
            values = hd[name]
            if getattr(values, "ndim", 0) != 1:
                raise ValueError(
                    f"{shown(os.fspath(path))}: feature '{name}' is not scalar; tables "
                    "hold scalar features (images can be exported as .tif or .png)"
                )
            columns[name] = np.asarray(values)[rows]
        yield columns
        if progress is not None:
            progress(len(hd))


def _scalars(hd: HDF5Data) -> list[str]:
    others = {"image", "image_bg", "mask", "trace", "contour"}
    names = [name for name in hd if name not in others]
    return [name for name in names if getattr(hd[name], "ndim", 0) == 1]


def _write_text(file: PatientFile, tables: Iterator[Columns], delimiter: str) -> int:
    number = 0
    for index, columns in enumerate(tables):
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        if not index:
            writer.writerow(map(escaped, columns))
        lists = [_as_list(values) for values in columns.values()]
        writer.writerows(zip(*lists, strict=True))
        file.write(text.getvalue().encode())
        file.raise_failure()
        number += len(columns[EVENT])
    return number


def _as_list(values: NDArray[Any]) -> list[Any]:
    """Return numbers that are written with the digits that their type has."""
    if values.dtype.kind == "f" and values.dtype.itemsize < 8:
        return [str(value) for value in values]
    found: list[Any] = values.tolist()
    return found


def _write_parquet(file: PatientFile, tables: Iterator[Columns], _: str) -> int:
    import pyarrow
    import pyarrow.parquet

    number = 0
    writer = None
    try:
        for columns in tables:
            native = [
                values.astype(values.dtype.newbyteorder("="), copy=False)
                for values in columns.values()
            ]
            table = pyarrow.table(native, names=[*map(escaped, columns)])
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(file, table.schema)
            writer.write_table(table)
            file.raise_failure()
            number += len(table)
    finally:
        if writer is not None:
            writer.close()
    return number
