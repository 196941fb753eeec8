"""Columns that a damaged type makes wider than they are."""

from __future__ import annotations

import pathlib
import struct
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from dcread import FormatError, HDF5Data
from dcread.survey.verify import verify

ROWS = np.array([(1, 0.5), (2, 1.5), (3, 2.5)], [("time", "f8"), ("value", "f8")])
SCALAR = ROWS[:1].reshape(())

FLOAT = struct.pack("<4BIHH4B", 0x11, 0x20, 0x3F, 0, 8, 0, 64, 52, 11, 0, 52)
"""A float of 8 bytes as a file describes it, but for what its exponent counts from."""


def widen(path: pathlib.Path) -> pathlib.Path:
    """Damage the first description of a float: h5py takes it for one of 16 bytes."""
    sound, damaged = (FLOAT + struct.pack("<I", start) for start in (1023, 1014))
    raw = path.read_bytes()
    assert sound in raw
    path.write_bytes(raw.replace(sound, damaged, 1))
    return path


def contents(place: str) -> Callable[[h5py.File], None]:
    """Return what writes columns to one place."""

    def write(h5: h5py.File) -> None:
        if place == "attribute":
            h5.attrs["columns"] = ROWS
        elif place == "single attribute":
            h5.attrs["columns"] = SCALAR
        elif place == "single row":
            h5["tables/columns"] = SCALAR
        elif place == "within a column":
            h5["tables/columns"] = np.zeros(3, [("all", ROWS.dtype), ("more", "u1")])
        elif place == "feature":
            h5["events/userdef1"] = ROWS
        else:
            options = {"compressed": {"compression": "gzip"}, "contiguous": {}}[place]
            h5.create_dataset("tables/columns", data=ROWS, **options)

    return write


PLACES = (
    *("attribute", "single attribute", "single row", "compressed", "contiguous"),
    *("within a column", "feature"),
)


@pytest.mark.skipif(np.dtype("longdouble").itemsize < 16, reason="no such type here")
@pytest.mark.parametrize("place", PLACES)
def test_a_column_wider_than_its_bytes_is_left_out(
    tmp_path: pathlib.Path, place: str
) -> None:
    """HDF5 would write beyond the memory that there is for it."""
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w") as h5:
        contents(place)(h5)
        h5["events/deform"] = np.arange(3, dtype="u1")
        h5["tables/whole"] = np.zeros(3, [("count", "u4")])
    with HDF5Data(widen(path)) as hd:
        assert list(hd.tables) == ["whole"]
        assert "columns" not in hd.meta
        assert hd["deform"][:].tolist() == [0, 1, 2]
        if place == "feature":
            with pytest.raises(FormatError, match="columns that do not overlap"):
                hd["userdef1"]
        told = [problem for problem in hd.problems if "do not overlap" in str(problem)]
        assert len(told) == 1
        assert "float128 in 8 bytes" in str(told[0])


@pytest.mark.skipif(np.dtype("longdouble").itemsize < 16, reason="no such type here")
@pytest.mark.parametrize("place", ["single row", "contiguous"])
def test_verify_tells_of_such_a_column(tmp_path: pathlib.Path, place: str) -> None:
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w") as h5:
        contents(place)(h5)
        h5["events/deform"] = np.arange(3, dtype="u1")
    with HDF5Data(widen(path)) as hd:
        assert "columns that do not overlap" in str(verify(hd))
