"""Definitions as they lie in a file: whatever is there, the file stays readable."""

from __future__ import annotations

import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from dcread.basins import Policy, extract_basin_dicts, load_definitions
from dcread.engine import open_file
from dcread.problems import Problem

GOOD = {"name": "g", "type": "file", "format": "hdf5", "paths": ["x"], "own": [1]}
Fill = Callable[[h5py.Group], None]


@pytest.fixture
def loaded(tmp_path: pathlib.Path) -> Callable[..., Any]:
    """Load definitions of a file with one good definition and what is filled in."""

    def load(fill: Fill, policy: Policy | None = None) -> Any:
        with h5py.File(tmp_path / "f.rtdc", "w") as h5:
            h5.create_group("events")
            group = h5.create_group("basins")
            group["good"] = np.array(json.dumps(GOOD, indent=1).split("\n"), "S60")
            fill(group)
            problems: list[Problem] = []
            stored = load_definitions(open_file(h5), problems, policy)
            assert extract_basin_dicts(h5) is not None
        return stored, problems

    return load


def lines(text: str, dtype: Any = "S80") -> Any:
    return np.array(text.split("\n"), dtype)


BAD: dict[str, tuple[Fill, str]] = {
    "no json": (lambda g: g.create_dataset("bad", data=lines('{"type":')), "JSON"),
    "empty": (lambda g: g.create_dataset("bad", shape=(0,), dtype="S5"), "JSON"),
    "a list": (lambda g: g.create_dataset("bad", data=lines("[1]")), "object"),
    "numbers": (lambda g: g.create_dataset("bad", data=[1, 2]), "text"),
    "references": (
        lambda g: g.create_dataset("bad", data=np.array([g.ref], h5py.ref_dtype)),
        "text",
    ),
    "two-dimensional": (
        lambda g: g.create_dataset("bad", data=np.array([[b"{}"]])),
        "text",
    ),
    "a group": (lambda g: g.create_group("bad"), "dataset"),
    "no data": (lambda g: g.create_dataset("bad", dtype=h5py.Empty("S5")), "dataset"),
    "not UTF-8": (lambda g: g.create_dataset("bad", data=[b'{"a": "\xff"}']), "UTF-8"),
    "wrong type": (lambda g: g.create_dataset("bad", data=[b'{"type": 1}']), "'type'"),
    "no type": (lambda g: g.create_dataset("bad", data=[b"{}"]), "'type'"),
    "huge number": (
        lambda g: g.create_dataset("bad", data=[b'{"type": ' + b"9" * 9000 + b"}"]),
        "JSON",
    ),
    "deep": (
        lambda g: g.create_dataset("bad", data=[b'{"a": ' + b"[" * 50 + b"]" * 50]),
        "nested deeper",
    ),
    "very deep": (
        lambda g: g.create_dataset("bad", data=[b"[" * 400_000]),
        "nested deeper",
    ),
    "too long": (
        lambda g: g.create_dataset("bad", data=[b'{"a": "' + b"x" * 2**20 + b'"}']),
        "at most 1048576 bytes",
    ),
    "too long in many lines": (
        lambda g: g.create_dataset(
            "bad", data=["x" * 1000] * 1100, dtype=h5py.string_dtype()
        ),
        "at most 1048576 bytes",
    ),
    "room for gigabytes": (
        lambda g: g.create_dataset(
            "bad", shape=(2**33,), dtype="S100", chunks=(2**20,), compression="gzip"
        ),
        "at most 1048576 bytes",
    ),
    "chunk of gigabytes": (
        lambda g: g.create_dataset(
            "bad", shape=(1,), maxshape=(None,), dtype="S100", chunks=(2**24,)
        ),
        "at most 1048576 bytes",
    ),
    "external link": (
        lambda g: g.__setitem__("bad", h5py.ExternalLink("/etc/hostname", "/x")),
        "external link",
    ),
    "dangling link": (lambda g: g.__setitem__("bad", h5py.SoftLink("/no")), "no"),
    "circular link": (
        lambda g: g.__setitem__("bad", h5py.SoftLink("/basins/bad")),
        "in a circle",
    ),
    "unknown type": (
        lambda g: g.create_dataset("bad", data=[b'{"type": "tape", "format": "x"}']),
        "install a plugin",
    ),
    "map that is nowhere": (
        lambda g: g.create_dataset(
            "bad",
            data=[
                b'{"type": "file", "mapping": "basinmap7", "paths": ["x"], '
                b'"features": ["image"]}'
            ],
        ),
        "basinmap7",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_definition_is_left_out_and_recorded(
    case: str, loaded: Callable[..., Any]
) -> None:
    fill, telling = BAD[case]
    if case == "map that is nowhere":
        # The good one lists nothing, so it might have the map.
        stored, problems = loaded(fill)
        assert len(stored.usable) == 2

        def fill_both(group: h5py.Group) -> None:
            fill(group)
            del group["good"]
            listed = json.dumps({**GOOD, "features": ["image"]})
            group["good"] = np.array([listed], "S150")

        stored, problems = loaded(fill_both)
        assert [item["name"] for item in stored.usable] == ["g"]
    else:
        stored, problems = loaded(fill)
        assert stored.usable == [GOOD]
    (dropped,) = stored.dropped
    assert dropped.key == "bad"
    assert telling in dropped.reason
    assert problems == [Problem("basin", "bad", dropped.reason)]


@pytest.mark.parametrize(
    "data",
    [
        lines(json.dumps(GOOD, indent=2)),
        lines(json.dumps(GOOD, indent=2), object),
        np.array([json.dumps(GOOD)], "S200"),
        np.array(json.dumps(GOOD), "S200"),
        # A text that was cut into lines of equal length, inside of strings too.
        np.array(['{"type": "file", "name": "two', 'words"}'], "S40"),
    ],
    ids=["fixed", "variable", "one line", "scalar", "cut"],
)
def test_any_storage_of_text_is_read(data: Any, tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "f.rtdc", "w") as h5:
        dtype = h5py.string_dtype() if data.dtype == object else data.dtype
        h5.create_group("basins").create_dataset("k", data=data, dtype=dtype)
        (raw,) = extract_basin_dicts(h5)
    assert raw in (GOOD, {"type": "file", "name": "two words"})


def test_without_check_everything_that_is_json_is_returned_verbatim(
    tmp_path: pathlib.Path,
) -> None:
    stored = [
        {"type": "tape", "format": "lto", "urls": ["https://h/x"], "new": {"a": 1}},
        {"type": "file", "mapping": "basinmap0"},
        {"nothing": "useful"},
    ]
    problems: list[Problem] = []
    with h5py.File(tmp_path / "f.rtdc", "w") as h5:
        for number, raw in enumerate(stored):
            h5[f"basins/{number}"] = np.array([json.dumps(raw)], "S200")
        h5["basins/9"] = np.array(["no json"], "S200")
        assert extract_basin_dicts(h5, check=False, problems=problems) == stored
        assert extract_basin_dicts(h5, check=True) == []
    assert [problem.name for problem in problems] == ["9"]


@pytest.mark.parametrize("kind", ["missing", "dataset", "external", "empty"])
def test_strange_basins_group_is_no_failure(kind: str, tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["group/k"] = np.array([json.dumps(GOOD)], "S200")
    with h5py.File(tmp_path / "f.rtdc", "w") as h5:
        if kind == "dataset":
            h5["basins"] = [1, 2]
        elif kind == "external":
            h5["basins"] = h5py.ExternalLink("other.h5", "/group")
        elif kind == "empty":
            h5.create_group("basins")
        problems: list[Problem] = []
        assert load_definitions(open_file(h5), problems).usable == []
    expected = ["basins"] if kind in ("dataset", "external") else []
    assert [problem.name for problem in problems] == expected


@pytest.mark.parametrize("kind", ["virtual", "external"])
def test_text_in_other_files_is_not_followed(kind: str, tmp_path: pathlib.Path) -> None:
    text = json.dumps(GOOD).encode()
    other = tmp_path / "other"
    if kind == "external":
        other.write_bytes(text)
    elif hasattr(os, "mkfifo"):
        # HDF5 would wait for ever until somebody writes into it.
        os.mkfifo(other)
    with h5py.File(tmp_path / "f.rtdc", "w") as h5:
        group = h5.create_group("basins")
        group["good"] = np.array([text])
        if kind == "external":
            size = len(text)
            place = [(str(other), 0, size)]
            group.create_dataset("bad", (1,), f"S{size}", external=place)
        else:
            layout = h5py.VirtualLayout((1,), dtype="S200")
            layout[:] = h5py.VirtualSource(str(other), "text", (1,), dtype="S200")
            group.create_virtual_dataset("bad", layout)
    with h5py.File(tmp_path / "f.rtdc") as h5:
        stored = load_definitions(open_file(h5))
    assert stored.usable == [GOOD]
    (dropped,) = stored.dropped
    assert dropped.key == "bad"
    assert "store it in the file itself" in dropped.reason


def test_number_of_definitions_is_bounded(tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "f.rtdc", "w") as h5:
        for number in range(12):
            h5[f"basins/{number:02}"] = np.array([json.dumps(GOOD)], "S200")
        stored = load_definitions(open_file(h5), None, Policy(max_definitions=10))
    assert len(stored.usable) == 10
    assert "at most 10" in stored.dropped[0].reason


def test_thousands_of_unusable_maps_cost_little(tmp_path: pathlib.Path) -> None:
    count = 1500
    with h5py.File(tmp_path / "f.rtdc", "w") as h5:
        for number in range(count):
            raw = {"type": "file", "mapping": f"basinmap{number}", "features": ["a"]}
            h5[f"basins/{number}"] = np.array([json.dumps(raw)], "S200")
        start = time.process_time()
        assert len(load_definitions(open_file(h5)).dropped) == count
        assert time.process_time() - start < 5
