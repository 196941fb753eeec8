"""Attributes that claim or hold too much cost only themselves, and no memory."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, get_measurement_identifier

TEXT = h5py.string_dtype()
KEY = "experiment:sample"


def write(path: pathlib.Path, libver: str = "earliest") -> h5py.File:
    h5 = h5py.File(path, "w", libver=libver)
    h5["events/deform"] = np.zeros(5)
    return h5


def left_out(path: pathlib.Path) -> dict[str, str]:
    with HDF5Data(path) as hd:
        assert hd["deform"].tolist() == [0] * 5
        _ = hd.meta
        return {one.name: one.reason for one in hd.problems}


@pytest.mark.parametrize("count", [0, 30])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("userblock", [0, 1024])
def test_texts_are_read_wherever_hdf5_keeps_them(
    libver: str, count: int, userblock: int, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "m.rtdc"
    expected = {f"user:{number}": f"text {number}" for number in range(count)}
    expected |= {KEY: "Größe" * 999, "user:empty": "", "user:name": "b"}
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as h5:
        h5["events/deform"] = np.zeros(5)
        for again in (0, 1):
            for name, text in expected.items():
                h5.attrs[name] = text * (2 - again)
        h5.attrs["user:list"] = np.array(["a", "", "ccc"], object)
        del h5.attrs["user:name"]
    del expected["user:name"]
    with HDF5Data(path) as hd:
        assert hd.meta.pop("user:list").tolist() == ["a", "", "ccc"]
        assert hd.meta == expected
        assert hd.problems == []
    with io.BytesIO(path.read_bytes()) as stream, HDF5Data(stream) as hd:
        assert {name: hd.meta[name] for name in expected} == expected
    with h5py.File(path, "r+") as h5, HDF5Data(h5) as hd:
        h5.attrs[KEY] = "written, but not to disk yet"
        assert hd.meta[KEY] == "written, but not to disk yet"


def test_a_text_that_is_too_long_is_left_out(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with write(path) as h5:
        h5.attrs.create(KEY, "a" * (1 << 20), dtype=TEXT)
        h5.attrs.create("user:long", "a" * ((1 << 20) + 1), dtype=TEXT)
        h5.attrs.create("user:sum", ["a" * (1 << 18)] * 5, dtype=TEXT)
    reasons = left_out(path)
    assert set(reasons) == {"user:long", "user:sum"}
    assert "expected at most 1048576" in reasons["user:long"]
    with HDF5Data(path) as hd:
        assert len(hd.meta[KEY]) == 1 << 20


def test_all_attributes_together_are_bounded(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with write(path) as h5:
        for number in range(20):
            h5.attrs.create(f"user:{number:02}", "a" * (1 << 20), dtype=TEXT)
    reasons = left_out(path)
    assert set(reasons) == {f"user:{number:02}" for number in range(15, 20)}


def test_there_are_not_too_many(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with write(path, "latest") as h5:
        for number in range(2_100):
            h5.attrs[f"user:{number:04}"] = number
    reasons = left_out(path)
    assert "at most 2000 attributes, found 2100" in reasons["(all)"]
    with HDF5Data(path) as hd:
        assert len(hd.meta) == 2_000


def place_of(data: bytes, name: str, count: int = 1) -> int:
    """Return where the first element of an attribute of text lies in a file."""
    place = data.index(name.encode() + b"\0")
    assert data[place - 8] == 1
    sizes = np.frombuffer(data[place - 6 : place], "<u2").tolist()
    return place + sum(-(-size // 8) * 8 for size in sizes)


CLAIMS = [
    ("length", slice(0, 4), (0xFFFFFFF0).to_bytes(4, "little")),
    ("longer than stored", slice(0, 4), (100).to_bytes(4, "little")),
    ("address", slice(4, 12), (1 << 40).to_bytes(8, "little")),
    ("address of something else", slice(4, 12), bytes(8)),
    ("number", slice(12, 16), (999).to_bytes(4, "little")),
]

CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
import dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    print(sorted(hd.meta), *(p.reason for p in hd.problems), sep="|")
    print(dcread.get_measurement_identifier(hd))
"""


@pytest.mark.parametrize(
    ("place", "value"), [c[1:] for c in CLAIMS], ids=[c[0] for c in CLAIMS]
)
def test_elements_that_claim_what_is_not_there(
    place: slice, value: bytes, tmp_path: pathlib.Path, run_python: Callable[..., Any]
) -> None:
    path = tmp_path / "m.rtdc"
    with write(path) as h5:
        h5.attrs["user:fine"] = "fine"
        h5.attrs["experiment:run identifier"] = "some text"
    data = bytearray(path.read_bytes())
    start = place_of(data, "experiment:run identifier")
    data[start + place.start : start + place.stop] = value
    path.write_bytes(data)
    done = run_python(CHILD, path, timeout=60)
    first, identifier = done.stdout.splitlines()
    assert first.startswith("['user:fine']|it cannot be read")
    assert identifier == "None"


def test_one_long_text_for_many_elements(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with write(path) as h5:
        h5.attrs.create("user:many", ["a" * 1000, *["b"] * 2000], dtype=TEXT)
    data = bytearray(path.read_bytes())
    start = place_of(data, "user:many")
    data[start : start + 16 * 2001] = data[start : start + 16] * 2001
    path.write_bytes(data)
    with h5py.File(path) as h5:
        assert sum(map(len, h5.attrs["user:many"])) == 2_001_000
    assert set(left_out(path)) == {"user:many"}


def test_values_that_are_no_metadata(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    record = np.dtype([("number", "i4"), ("text", TEXT)])
    with write(path) as h5:
        h5.attrs["user:reference"] = h5["events"].ref
        h5.attrs["user:record"] = np.array([(1, "a")], record)
        h5.attrs["user:fine"] = 1
    assert set(left_out(path)) == {"user:reference", "user:record"}


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
def test_dates_stay_dates(unit: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    one = np.array(np.datetime64("2020-01-02", unit))
    with write(path) as h5:
        for name, value in (("one", one), ("two", np.array([one, one]))):
            dtype = h5py.opaque_dtype(value.dtype)
            h5.attrs.create(f"user:{name}", value.astype(dtype), dtype=dtype)
        span = np.array(np.timedelta64(3, unit))
        dtype = h5py.opaque_dtype(span.dtype)
        h5.attrs.create("user:span", span.astype(dtype), dtype=dtype)
    with HDF5Data(path) as hd:
        assert hd.meta["user:one"] == np.datetime64("2020-01-02")
        assert isinstance(hd.meta["user:one"], np.datetime64)
        assert hd.meta["user:two"].dtype == one.dtype
        assert hd.meta["user:span"] == np.timedelta64(3, unit)
        assert hd.problems == []


def test_identifiers_of_groups_of_the_caller(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with write(path) as h5:
        h5["a/b"] = 1
        h5["a"].attrs["experiment:run identifier"] = "inner"
        h5.attrs["experiment:run identifier"] = "x" * (2 << 20)
        assert get_measurement_identifier(h5["a"]) == "inner"
    with h5py.File(path) as h5:
        assert get_measurement_identifier(h5["a"]) == "inner"
        assert get_measurement_identifier(h5) is None
        assert h5.id.valid
