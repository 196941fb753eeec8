"""Metadata: attributes become plain Python values, nested as dclab has them."""

from __future__ import annotations

import hashlib
import pathlib
import pickle
import uuid
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from dcread import HDF5Data
from dcread.engine import open_file
from dcread.errors import ClosedError
from dcread.file.attributes import MAX_ATTRIBUTE_BYTES
from dcread.file.attributes import read_metadata as read
from dcread.file.identifier import get_measurement_identifier
from dcread.measurement.contents import apply_changes, changes, nest
from dcread.problems import Problem


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "meta.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["setup:identifier"] = np.bytes_("ZMD-µ".encode())
        h5.attrs["experiment:sample"] = "Größe"
        h5.attrs["experiment:event count"] = np.uint32(7)
        h5.attrs["imaging:pixel size"] = np.float32(0.25)
        h5.attrs["setup:flag"] = np.bool_(True)
        h5.attrs["setup:list"] = np.array([1.5, 2.5])
        h5.attrs["setup:words"] = np.array([b"a", b"bc"])
        h5.attrs["setup:names"] = ["x", "yz"]
        h5.attrs["setup:nothing"] = h5py.Empty("f8")
        h5.attrs["setup:no text"] = h5py.Empty("S4")
    return path


def test_values_are_plain(path: pathlib.Path) -> None:
    problems: list[Problem] = []
    meta = read(open_file(path), problems)
    assert problems == []
    expected = {
        "setup:identifier": "ZMD-µ",
        "experiment:sample": "Größe",
        "experiment:event count": 7,
        "imaging:pixel size": 0.25,
        "setup:flag": True,
        "setup:no text": "",
    }
    for key, value in expected.items():
        assert meta[key] == value
        assert type(meta[key]) is type(value)
    assert meta["setup:list"].tolist() == [1.5, 2.5]
    assert meta["setup:words"].tolist() == ["a", "bc"]
    assert meta["setup:names"].tolist() == ["x", "yz"]
    assert meta["setup:nothing"].shape == (0,)


def test_bytes_that_are_no_text_are_told(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5.attrs["setup:bad"] = np.bytes_(b"5 \xb5m")
        h5.attrs.create("setup:worse", b"5 \xb5m", dtype=h5py.string_dtype())
    problems: list[Problem] = []
    meta = read(open_file(path), problems)
    assert meta["setup:bad"] == meta["setup:worse"] == "5 \ufffdm"
    assert meta["experiment:sample"] == "Größe"
    assert [(problem.kind, problem.name) for problem in problems] == [
        ("attribute", "setup:bad"),
        ("attribute", "setup:worse"),
    ]
    assert "UTF-8" in problems[0].reason


def test_an_unreadable_attribute_leaves_the_rest(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        # A type that h5py does not know; real damage looks the same to callers.
        time = h5py.h5t.UNIX_D32LE
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(h5.id, b"setup:clock", time, space)
    problems: list[Problem] = []
    meta = read(open_file(path), problems)
    assert "setup:clock" not in meta
    assert meta["experiment:sample"] == "Größe"
    assert [(problem.kind, problem.name) for problem in problems] == [
        ("attribute", "setup:clock")
    ]


def test_references_are_no_metadata(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5["events/deform"] = np.zeros(7)
        both = np.zeros(1, [("number", "i4"), ("where", h5py.ref_dtype)])
        both["where"] = h5["events"].ref
        h5.attrs["setup:object"] = h5["events"].ref
        h5.attrs["setup:region"] = h5["events/deform"].regionref[:3]
        h5.attrs.create("setup:pair", both)
    with HDF5Data(path) as hd:
        assert hd.meta["experiment:sample"] == "Größe"
        assert {"setup:object", "setup:pair", "setup:region"}.isdisjoint(hd.meta)
        assert [problem.name for problem in hd.problems] == [
            "setup:object",
            "setup:pair",
            "setup:region",
        ]
        assert "found references" in hd.problems[0].reason


def test_values_of_any_length_and_layout(path: pathlib.Path) -> None:
    ragged = np.empty(2, object)
    ragged[:] = [np.arange(3, dtype="i4"), np.arange(4, dtype="i4")]
    even = np.empty(2, object)
    even[0], even[1] = np.arange(3, dtype="i4"), np.arange(3, dtype="i4")
    turned = np.dtype({"names": ["a", "b"], "formats": ["i4", "f8"], "offsets": [8, 0]})
    with h5py.File(path, "a") as h5:
        for name, value in (("ragged", ragged), ("even", even)):
            h5.attrs.create(f"setup:{name}", value, dtype=h5py.vlen_dtype("i4"))
        h5.attrs["setup:turned"] = np.zeros(2, turned)
        h5["tables/turned"] = np.zeros(3, [("inner", turned)])
        h5["events/deform"] = np.zeros(7)
    with HDF5Data(path) as hd:
        assert hd.meta["setup:even"][1].tolist() == [0, 1, 2]
        assert hd.meta["setup:ragged"][1].tolist() == [0, 1, 2, 3]
        assert hd.tables["turned"]["inner"].dtype.names == ("a", "b")
        assert hd.problems == []
        assert len(pickle.dumps(hd)) < 4096
        with pickle.loads(pickle.dumps(hd)) as copy:
            assert copy.meta["setup:ragged"][1].tolist() == [0, 1, 2, 3]


def test_a_huge_attribute_is_not_taken(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "huge.rtdc"
    with h5py.File(path, "w", libver="latest") as h5:
        h5.attrs["setup:huge"] = np.zeros(MAX_ATTRIBUTE_BYTES + 1, np.uint8)
        h5.attrs["setup:small"] = 1
    problems: list[Problem] = []
    assert read(open_file(path), problems) == {"setup:small": 1}
    assert "at most" in problems[0].reason


def test_nesting_tolerates_odd_keys() -> None:
    meta = {"a:b": 1, "a:c": 2, "plain": 3, "x:y:z": 4, "": 5, "plain:b": 6}
    assert nest(meta) == {
        "a": {"b": 1, "c": 2},
        "plain": 3,
        "x:y:z": 4,
        "": 5,
        "plain:b": 6,
    }


def test_changes_describe_what_was_changed() -> None:
    before = {"a": 1, "b": np.arange(3), "c": "x", "d": True}
    after = {"a": 1, "b": np.arange(3), "c": "y", "d": 1, "e": None}
    difference = changes(before, after)
    assert difference == {"set": {"c": "y", "d": 1, "e": None}, "removed": []}
    apply_changes(before, difference)
    assert changes(before, after) == {}
    assert changes(before, {}) == {"set": {}, "removed": ["a", "b", "c", "d", "e"]}


PARTS = {
    "experiment:time": "12:00:01",
    "experiment:date": "2023-01-02",
    "setup:identifier": "RC-1",
}


@pytest.mark.parametrize("kind", [str, lambda text: np.bytes_(text.encode())])
def test_identifiers_of_bytes_equal_those_of_text(
    tmp_path: pathlib.Path, kind: Callable[[str], object]
) -> None:
    digest = hashlib.md5(b"12:00:01_2023-01-02_RC-1").hexdigest()
    with h5py.File(tmp_path / "id.rtdc", "w") as h5:
        h5.attrs.update({name: kind(text) for name, text in PARTS.items()})
        assert get_measurement_identifier(h5) == str(uuid.UUID(hex=digest))
        h5.attrs["experiment:run identifier"] = kind("")
        assert get_measurement_identifier(h5) == str(uuid.UUID(hex=digest))
        h5.attrs["experiment:run identifier"] = kind("mine")
        assert get_measurement_identifier(h5) == "mine"
        assert get_measurement_identifier(h5.create_group("empty")) is None


def test_identifiers_equal_those_of_dcnum(real_file: pathlib.Path) -> None:
    peer = pytest.importorskip("dcnum.read")
    with h5py.File(real_file) as h5:
        identifier = get_measurement_identifier(h5)
        stored = [h5.attrs[name] for name in PARTS]
        if isinstance(stored[0], bytes):
            # dcnum hashes the Python spelling of bytes, b'...'.
            digest = hashlib.md5(b"_".join(stored)).hexdigest()
            assert identifier == str(uuid.UUID(hex=digest))
            assert identifier != peer.get_measurement_identifier(h5)
        else:
            assert identifier == peer.get_measurement_identifier(h5) is not None


def test_a_closed_file_has_no_identifier(tmp_path: pathlib.Path) -> None:
    h5 = h5py.File(tmp_path / "id.rtdc", "w")
    h5.close()
    with pytest.raises(ClosedError):
        get_measurement_identifier(h5)
