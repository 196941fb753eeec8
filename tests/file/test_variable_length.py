"""Text of variable length in logs and definitions: no more is read than is allowed."""

from __future__ import annotations

import json
import pathlib
import struct
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from dcread import HDF5Data

TEXT = h5py.string_dtype()
LAYOUTS = [
    {},
    {"chunks": (7,)},
    {"chunks": (7,), "compression": "gzip", "shuffle": True},
    {"chunks": (50,), "maxshape": (None,)},
]


@pytest.mark.parametrize("options", LAYOUTS, ids=repr)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_lines_are_read_wherever_hdf5_keeps_them(
    options: dict[str, object], libver: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "m.rtdc"
    lines = [f"line {number} " * (number % 7) for number in range(40)]
    basin = {"type": "file", "format": "hdf5", "name": "b", "paths": ["gone.rtdc"]}
    text = json.dumps(basin, indent=1).split("\n")
    with h5py.File(path, "w", libver=libver) as h5:
        h5["events/deform"] = np.zeros(5)
        h5.create_dataset("logs/lines", data=lines, dtype=TEXT, **options)
        h5.create_dataset("basins/b", data=text, dtype=TEXT, **options)
        h5["logs/single"] = "one\ntwo"
        h5["logs/link"] = h5py.SoftLink("lines")
    with HDF5Data(path) as hd:
        assert hd.logs == {"lines": lines, "link": lines, "single": ["one", "two"]}
        assert hd.basins == [basin]
        assert hd.problems == []


def amplified(path: pathlib.Path, options: dict[str, object]) -> None:
    """Write 20,000 lines that all are the same long text."""
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.zeros(5)
        h5["logs/fine"] = ["fine"]
        for name in ("logs/many", "basins/many"):
            lines = np.array(["x" * 60_000, *["y"] * 20_000], object)
            h5.create_dataset(name, data=lines, dtype=TEXT, **options)
        places = [h5[name].id.get_offset() for name in ("logs/many", "basins/many")]
    data = bytearray(path.read_bytes())
    for place in places:
        data[place : place + 16 * 20_001] = data[place : place + 16] * 20_001
    path.write_bytes(data)


CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
import dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    print(sorted(hd.logs), hd.basins)
    print(*hd.problems, sep="\\n")
"""


def test_one_long_text_for_many_lines(
    tmp_path: pathlib.Path, run_python: Callable[..., Any]
) -> None:
    path = tmp_path / "m.rtdc"
    amplified(path, {})
    done = run_python(CHILD, path, timeout=60)
    assert done.stdout.startswith("['fine'] []")
    assert "log 'many'" in done.stdout
    assert "basin 'many'" in done.stdout


@pytest.mark.parametrize("length", [0, 1, 7, 9])
@pytest.mark.parametrize("where", ["element", "heap"])
def test_a_length_that_differs_from_the_heap_is_damage(
    tmp_path: pathlib.Path, length: int, where: str
) -> None:
    """HDF5 refuses such text; a part of it would be silently wrong."""
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(3.0)
        h5["logs/other"] = np.array([b"fine"])
        log = h5.create_dataset("logs/x", (2,), h5py.string_dtype())
        log[:] = ["12345678", "another"]
        place = log.id.get_offset()
    raw = bytearray(path.read_bytes())
    if where == "element":
        assert struct.unpack_from("<I", raw, place) == (8,)
        struct.pack_into("<I", raw, place, length)
    else:
        heap = int.from_bytes(raw[place + 4 : place + 12], "little")
        at = raw.index(b"12345678", heap) - 8
        assert struct.unpack_from("<Q", raw, at) == (8,)
        struct.pack_into("<Q", raw, at, length)
    path.write_bytes(raw)
    with HDF5Data(path) as hd:
        assert hd.logs == {"other": ["fine"]}
        assert [(one.kind, one.name) for one in hd.problems] == [("log", "x")]


def test_empty_lines_are_no_damage(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(3.0)
        h5.create_dataset("logs/x", (4,), h5py.string_dtype())[:3] = ["", "a", ""]
    with HDF5Data(path) as hd:
        assert hd.logs == {"x": ["", "a", "", ""]}
        assert hd.problems == []


@pytest.mark.parametrize("free", [0, 7, 2**40])
def test_free_space_that_does_not_end_with_its_heap_is_damage(
    tmp_path: pathlib.Path, free: int
) -> None:
    """HDF5 fails there, too, or goes round: what lies before it may be cut as well."""
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(3.0)
        h5["logs/a"] = ["first line", "second line"]
    raw = bytearray(path.read_bytes())
    place = raw.index(b"second line") - 16
    raw[place : place + 2] = bytes(2)  # free, by its number
    raw[place + 8 : place + 16] = free.to_bytes(8, "little")
    path.write_bytes(raw)
    with HDF5Data(path) as hd:
        assert "a" not in hd.logs
        assert "expected a heap" in str(hd.problems)


PADDED = np.dtype([("n", "u1"), ("text", TEXT), ("m", "<f8")], align=True)
KINDS = {
    "columns": np.dtype([("a", "f8"), ("text", TEXT), ("b", "i2"), ("more", TEXT)]),
    "padded": PADDED,
    "nested": np.dtype([("a", "u1"), ("in", PADDED), ("text", TEXT)]),
    "arrays": np.dtype([("a", "u1"), ("text", TEXT, (2, 2)), ("b", "f4")]),
    "lists": np.dtype([("a", "u1"), ("list", h5py.vlen_dtype("i2"))]),
    "no columns": TEXT,
}


def fill(values: Any, tag: str) -> Any:
    """Return what stands in a table: text where there is text, lists in lists."""
    dtype = values.dtype
    if dtype.names:
        for name in dtype.names:
            values[name] = fill(values[name].copy(), f"{tag} {name}")
    elif dtype.hasobject:
        inner = h5py.check_vlen_dtype(dtype)
        for place in np.ndindex(values.shape):
            text = f"{tag} {place}" * (sum(place) % 3)
            values[place] = text if inner is str else np.arange(len(text), dtype="i2")
    return values


@pytest.mark.parametrize("options", LAYOUTS, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_text_in_tables(
    kind: str, options: dict[str, object], tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "m.rtdc"
    values = fill(np.zeros(30, KINDS[kind]), kind)
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.zeros(5)
        h5.create_dataset("tables/x", data=values, **options)
        h5.create_dataset("tables/unwritten", (30,), KINDS[kind], **options)
        expected = h5["tables/x"][:]
    with HDF5Data(path) as hd:
        assert hd.problems == []
        tables = hd.tables
    assert set(tables) == {"x", "unwritten"}
    names = expected.dtype.names
    found = tables["x"] if names else {"": tables["x"]}
    stored = {name: expected[name] for name in names} if names else {"": expected}
    for name, column in stored.items():
        assert repr(found[name].tolist()) == repr(column.tolist())


CHANGES = [
    ("length", 0, 0xFFFFFFF0),
    ("longer", 0, 100),
    ("shorter", 0, 3),
    ("address", 4, 1 << 30),
    ("no heap", 4, 0),
    ("number", 12, 999),
]


@pytest.mark.parametrize(("place", "value"), [c[1:] for c in CHANGES])
@pytest.mark.parametrize("column", ["text", "more"])
def test_a_table_that_claims_text_that_is_not_there(
    tmp_path: pathlib.Path,
    run_python: Callable[..., Any],
    place: int,
    value: int,
    column: str,
) -> None:
    """HDF5 takes memory for what is claimed, and goes through the heap for ever."""
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.zeros(5)
        h5["tables/fine"] = np.zeros(3, [("a", "f8")])
        values = np.zeros(3, KINDS["columns"])
        values["text"], values["more"] = "some text", "some more of it"
        start = h5.create_dataset("tables/x", data=values).id.get_offset()
    data = bytearray(path.read_bytes())
    start += 8 if column == "text" else 26
    struct.pack_into("<I", data, start + place, value)
    path.write_bytes(data)
    done = run_python(TABLES, path, timeout=60)
    assert done.stdout.startswith("['fine'] table 'x': it cannot be read")


TABLES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
import dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    print(sorted(hd.tables), *hd.problems)
"""


def test_one_long_text_for_many_rows(
    tmp_path: pathlib.Path, run_python: Callable[..., Any]
) -> None:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.zeros(5)
        values = np.zeros(20_000, [("a", "f8"), ("text", TEXT)])
        values["text"] = "y"
        values["text"][0] = "x" * 60_000
        start = h5.create_dataset("tables/x", data=values).id.get_offset()
    data = bytearray(path.read_bytes())
    data[start : start + 24 * 20_000] = data[start : start + 24] * 20_000
    path.write_bytes(data)
    done = run_python(TABLES, path, timeout=60)
    assert done.stdout.startswith("[] table 'x'")
