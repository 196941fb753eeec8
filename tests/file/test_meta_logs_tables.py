"""Logs and tables: read leniently, each on its own."""

from __future__ import annotations

import os
import pathlib

import h5py
import hdf5plugin
import numpy as np
import pytest

from dcread.engine import open_file
from dcread.file import logs, tables
from dcread.problems import Problem

LINES = ["first line", "zweite Zeile: µm", "", "last"]
COLUMNS = np.dtype([("time", "<f8"), ("count", "<i4")])


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "logs.rtdc"
    encoded = [line.encode() for line in LINES]
    table = np.zeros((5, 1), dtype=COLUMNS)
    table["time"] = np.linspace(0, 1, 5)[:, np.newaxis]
    table["count"] = np.arange(5)[:, np.newaxis]
    with h5py.File(path, "w") as h5:
        h5["logs/fixed"] = np.array(encoded, dtype="S100")
        h5["logs/variable"] = LINES
        h5["logs/one"] = "a\nb"
        h5["logs/empty"] = np.array([], dtype="S1")
        h5.create_dataset(
            "logs/packed",
            data=np.array(encoded * 100, dtype="S100"),
            chunks=(400,),
            fletcher32=True,
            **hdf5plugin.Zstd(5),
        )
        h5["tables/monitor"] = table
        h5["tables/picture"] = np.arange(12, dtype=np.uint8).reshape(3, 4)
        h5.create_dataset(
            "tables/packed", data=table[:, 0], chunks=(5,), fletcher32=True
        )
    return path


def read_logs(path: pathlib.Path) -> tuple[dict[str, list[str]], list[Problem]]:
    problems: list[Problem] = []
    handle = open_file(path)
    try:
        return logs.read_logs(handle, problems), problems
    finally:
        handle.close()


def read_tables(path: pathlib.Path) -> tuple[dict[str, tables.Table], list[Problem]]:
    problems: list[Problem] = []
    handle = open_file(path)
    try:
        return tables.read_tables(handle, problems), problems
    finally:
        handle.close()


def damage(path: pathlib.Path, dataset: str) -> None:
    """Flip one bit in the middle of a dataset's first chunk."""
    with h5py.File(path) as h5:
        info = h5[dataset].id.get_chunk_info(0)
    offset = info.byte_offset + info.size // 2
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x40]))


def test_logs(path: pathlib.Path) -> None:
    found, problems = read_logs(path)
    assert problems == []
    assert found == {
        "fixed": LINES,
        "one": ["a", "b"],
        "packed": LINES * 100,
        "variable": LINES,
    }
    assert list(found) == sorted(found)


def test_tables(path: pathlib.Path) -> None:
    found, problems = read_tables(path)
    assert problems == []
    assert list(found) == ["monitor", "packed", "picture"]
    assert list(found["monitor"]) == ["time", "count"]
    assert found["monitor"]["count"].tolist() == [0, 1, 2, 3, 4]
    assert found["monitor"]["count"].dtype == np.dtype("<i4")
    assert found["packed"]["time"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found["picture"].tolist() == np.arange(12).reshape(3, 4).tolist()


def test_damage_concerns_one_log(path: pathlib.Path) -> None:
    damage(path, "logs/packed")
    found, problems = read_logs(path)
    assert set(found) == {"fixed", "one", "variable"}
    assert [(problem.kind, problem.name) for problem in problems] == [("log", "packed")]
    assert "logs/packed" in problems[0].reason


def test_damage_concerns_one_table(path: pathlib.Path) -> None:
    damage(path, "tables/packed")
    found, problems = read_tables(path)
    assert set(found) == {"monitor", "picture"}
    assert [(item.kind, item.name) for item in problems] == [("table", "packed")]


def test_lines_that_are_no_text_are_told(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5["logs/latin"] = np.array([b"fine", b"5 \xb5m"])
    found, problems = read_logs(path)
    assert found["latin"] == ["fine", "5 \ufffdm"]
    assert problems[0].name == "latin"
    assert "line 1" in problems[0].reason


def test_what_is_no_log_or_table(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5["logs/numbers"] = np.arange(3)
        h5["logs/group/inner"] = LINES
        h5["logs/nothing"] = h5py.Empty("S1")
        h5["logs/dangling"] = h5py.SoftLink("/nowhere")
        h5["tables/group/inner"] = np.arange(3)
        h5["tables/nothing"] = h5py.Empty("f8")
    found, problems = read_logs(path)
    assert set(found) == {"fixed", "one", "packed", "variable"}
    names = ["dangling", "group", "nothing", "numbers"]
    assert [problem.name for problem in problems] == names
    _, problems = read_tables(path)
    assert [problem.name for problem in problems] == ["group", "nothing"]


def test_groups_that_are_none(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "odd.rtdc"
    with h5py.File(path, "w") as h5:
        h5["logs"] = np.arange(3)
    found, problems = read_logs(path)
    assert found == {}
    assert [problem.name for problem in problems] == ["/logs"]
    assert read_tables(path) == ({}, [])


def test_links_to_other_files_are_not_followed(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"password")
    with h5py.File(tmp_path / "other.h5", "w") as h5:
        h5["log"] = ["elsewhere"]
    with h5py.File(path, "a") as h5:
        h5["logs/linked"] = h5py.ExternalLink("other.h5", "/log")
        h5.create_dataset("logs/raw", (1,), "S8", external=[(os.fspath(secret), 0, 8)])
        h5.create_dataset(
            "tables/raw", (8,), "u1", external=[(os.fspath(secret), 0, 8)]
        )
    found, problems = read_logs(path)
    assert {"linked", "raw"}.isdisjoint(found)
    assert [problem.name for problem in problems] == ["linked", "raw"]
    found, problems = read_tables(path)
    assert "raw" not in found
    assert [problem.name for problem in problems] == ["raw"]


def test_a_huge_log_is_left_out(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(path, "a") as h5:
        h5.create_dataset("logs/claimed", (10**12,), "S100", chunks=(1000,))
    found, problems = read_logs(path)
    assert "claimed" not in found
    assert "64" in problems[0].reason or str(64 << 20) in problems[0].reason
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 30)
    found, problems = read_logs(path)
    # Variable-length lines are counted as they come, not as they are claimed.
    assert [problem.name for problem in problems] == [
        "claimed",
        "fixed",
        "packed",
        "variable",
    ]


def test_an_empty_log_of_any_type_is_no_problem(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5["logs/of numbers"] = []
    found, problems = read_logs(path)
    assert "of numbers" not in found
    assert problems == []


def test_lines_without_bytes_are_counted(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        text = h5py.string_dtype()
        h5.create_dataset("logs/claimed", (2**24,), text, chunks=(1000,))
        h5.create_dataset("logs/flat", (2**24,), "S1", chunks=(1000,))
    found, problems = read_logs(path)
    assert {"claimed", "flat"}.isdisjoint(found)
    assert [problem.name for problem in problems] == ["claimed", "flat"]
    assert all(f"{2**24} lines" in problem.reason for problem in problems)


def test_one_log_or_table_by_many_names(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(path, "a") as h5:
        for number in range(9):
            h5[f"logs/packed {number}"] = h5["logs/packed"]
            h5[f"tables/packed {number}"] = h5["tables/packed"]
    monkeypatch.setattr(logs, "MAX_LOG_LINES", 2000)
    monkeypatch.setattr(tables, "MAX_TABLE_BYTES", 300)
    found, problems = read_logs(path)
    assert sum(map(len, found.values())) <= 2000
    assert [name for name in found if "packed" in name] == [
        "packed",
        *(f"packed {number}" for number in range(3)),
    ]
    assert "logs together may have 2000" in problems[0].reason
    assert "packed 8" in [problem.name for problem in problems]
    shown, problems = read_tables(path)
    assert list(shown) == ["monitor", "packed", "packed 0", "packed 1", "packed 2"]
    assert "tables together may have 300" in problems[0].reason


def test_a_link_that_leads_nowhere_is_told_in_plain_words(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5["logs/gone"] = h5py.SoftLink("/nowhere")
    _, problems = read_logs(path)
    assert [problem.name for problem in problems] == ["gone"]
    assert problems[0].reason.endswith("left out: 'nowhere' is not in /")


def test_a_huge_table_is_left_out(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5.create_dataset("tables/claimed", (2**40,), "f8", chunks=(1000,))
    found, problems = read_tables(path)
    assert set(found) == {"monitor", "packed", "picture"}
    assert str(2**43) in problems[0].reason


def test_files_equal_dcnum(real_file: pathlib.Path) -> None:
    peer = pytest.importorskip("dcnum.read")
    with peer.HDF5Data(real_file) as data:
        their_logs, their_tables = dict(data.logs), dict(data.tables)
    assert read_logs(real_file) == (their_logs, [])
    found, problems = read_tables(real_file)
    assert problems == []
    assert found.keys() == their_tables.keys()
    for name, columns in their_tables.items():
        assert found[name].keys() == columns.keys()
        for column, values in columns.items():
            np.testing.assert_array_equal(found[name][column], values)
            assert found[name][column].dtype == values.dtype


def test_a_column_of_several_values_for_each_row(path: pathlib.Path) -> None:
    record = np.dtype([("pos", "f8", (3,)), ("grid", "i2", (2, 4)), ("t", ">f4")])
    table = np.zeros(5, record)
    table["pos"] = np.arange(15).reshape(5, 3)
    with h5py.File(path, "a") as h5:
        h5["tables/flat"] = table
        h5["tables/upright"] = table.reshape(5, 1)
        h5["tables/empty"] = table[:0]
    found, _ = read_tables(path)
    for name in ("flat", "upright"):
        columns = found[name]
        assert isinstance(columns, dict)
        for column in record.names or ():
            assert columns[column].tolist() == table[column].tolist()
    empty = found["empty"]
    assert isinstance(empty, dict)
    assert empty["grid"].shape == (0, 2, 4)
