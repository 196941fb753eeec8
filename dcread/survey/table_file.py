"""The table of a survey in a file: CSV or Parquet, complete at any time."""

from __future__ import annotations

import contextlib
import csv
import io
import pathlib
import time
from typing import TYPE_CHECKING, Any

from ..concat.new_file import check_target, new_file
from .rows import COLUMNS, Row, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

SUFFIXES = (".csv", ".parquet")
SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""At the start of an HDF5 file, or at byte 512, 1024, 2048, ..."""
SECONDS_BETWEEN = 10.0
"""Least time between two writings of an unfinished table."""


class TableFile:
    """Rows that are written to a file now and then, and at the end.

    Each writing replaces the file by a complete one, so that what is under its name
    is a table of what was known, whatever happens.

    Parameters
    ----------
    path : pathlib.Path
        Where the table goes; the suffix tells the format.
    question : str
        What the rows are about; a table about something else is not gone on with.
    overwrite, resume : bool
        Whether a file that is there is replaced, or gone on with.

    Raises
    ------
    FileExistsError
        If the file is there and neither is wanted.
    ValueError
        If it holds no table of this kind, or a measurement: maybe a basin of the files
        of which the table tells, which are not opened here.
    """

    def __init__(
        self, path: pathlib.Path, question: str, *, overwrite: bool, resume: bool
    ) -> None:
        self.path = path
        self._question = question
        self._rows: dict[str, Row] = {}
        self._written = time.monotonic()
        self._cost = 0.0
        self._replace = overwrite or resume
        check_target(path, overwrite=self._replace)
        _refuse_hdf5(path)
        if resume and path.exists():
            self._rows = {row["path"]: row for row in read_rows(path)}
            for known in self._rows.values():
                if known.get("question") != question:
                    raise ValueError(
                        f"{path}: expected a table of '{question}' to go on with, "
                        f"found one of '{known.get('question')}'; choose another file"
                    )

    def holds(self, path: str) -> bool:
        """Tell whether there is a row for a file as it is now."""
        known = self._rows.get(path)
        if known is None:
            return False
        size, modified = fingerprint(path)
        return _same(known.get("size"), size) and _same(known.get("modified"), modified)

    def is_bad(self, path: str) -> bool:
        """Tell whether the row of a file says that something is wrong with it."""
        known = self._rows[path]
        return bool(known.get("error")) or str(known.get("ok")) == "False"

    @property
    def is_empty(self) -> bool:
        """Whether no file is known yet."""
        return not self._rows

    def add(self, row: Row) -> None:
        """Add a row; the file is written if the last time was long ago."""
        self._rows[row["path"]] = {**row, "question": self._question}
        now = time.monotonic()
        if now - self._written > max(SECONDS_BETWEEN, 20 * self._cost):
            self.write()
            self._cost = time.monotonic() - now

    def write(self) -> None:
        """Write the table as it is known now."""
        write_rows(self.path, self._rows.values(), overwrite=self._replace)
        self._replace = True  # from now on it is ours
        self._written = time.monotonic()


def _refuse_hdf5(path: pathlib.Path) -> None:
    """Raise ValueError if there is an HDF5 file, whatever its name."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        offset = 0
        while len(start := file.read(len(SIGNATURE))) == len(SIGNATURE):
            if start == SIGNATURE:
                raise ValueError(f"{path} is an HDF5 file; choose another name")
            offset = 2 * offset or 512
            file.seek(offset)


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Return the columns of rows that need not have the same ones."""
    names = dict.fromkeys(COLUMNS)
    for row in rows:
        names.update(dict.fromkeys(row))
    return list(names)


def write_rows(path: pathlib.Path, rows: Iterable[Row], *, overwrite: bool) -> None:
    """Write a table in the format of the suffix of `path`.

    Raises
    ------
    FileExistsError
        If the file is there and `overwrite` is False.
    ImportError
        If a Parquet file is wanted and pyarrow is not installed.
    """
    rows = list(rows)
    names = columns_of(rows)
    if path.suffix.lower() == ".parquet":
        data = _as_parquet(rows, names)
    else:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
        data = text.getvalue().encode("utf-8", "surrogateescape")
    with new_file(path, overwrite=overwrite) as file:
        file.write(data)


def read_rows(path: pathlib.Path) -> list[Row]:
    """Read the rows of a table that `write_rows` has written."""
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet

        rows: list[Row] = pyarrow.parquet.read_table(path).to_pylist()
    else:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        rows = [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    if rows and not {*COLUMNS, "question"} <= set(rows[0]):
        raise ValueError(
            f"{path}: expected a table of a survey to go on with, found other columns; "
            "choose another file"
        )
    return rows


def _as_parquet(rows: list[Row], names: list[str]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue()


def _column(values: list[Any]) -> Any:
    """Return values of one type; text where files differ in the type."""
    import pyarrow

    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, UnicodeEncodeError):
        return pyarrow.array([_as_text(value) for value in values])


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _same(stored: Any, value: float | None) -> bool:
    if stored in (None, "") or value is None:
        return stored in (None, "") and value is None
    return float(stored) == float(value)
