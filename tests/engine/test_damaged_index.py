"""Damage to how a file is laid out: one family of errors, and names of any bytes."""

from __future__ import annotations

import io
import os
import pathlib
import struct
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from dcread import HDF5Data
from dcread.errors import ClosedError, FileChangedError, FormatError


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "layout.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(4.0)
        h5["events/odd name"] = np.arange(4.0)
        h5["events/trace/fl1_raw"] = np.zeros((4, 9))
        h5["events/trace/fl2_raw"] = np.zeros((4, 9))
        for number in range(4):
            h5[f"events/contour/{number}"] = np.full((3, 2), number)
        h5.attrs["experiment:event count"] = 4
    return path


def overwrite(path: pathlib.Path, offset: int, raw: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(raw)


def header_of(path: pathlib.Path, name: str) -> int:
    """Return where the header of an object begins."""
    with h5py.File(path) as h5:
        return int(h5py.h5o.get_info(h5[name].id).addr)


def test_names_of_any_bytes(path: pathlib.Path) -> None:
    overwrite(path, path.read_bytes().index(b"odd name"), b"odd n\xffme")
    with HDF5Data(path) as hd:
        assert hd.keys() == ["contour", "deform", "odd n\udcffme", "trace"]
        assert hd["odd n\udcffme"].tolist() == [0, 1, 2, 3]
        assert len(hd) == 4


def test_problems_can_always_be_printed(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5["events/bad name"] = "text"
        h5["logs/sick"] = [1, 2]
    for name in (b"bad name", b"sick"):
        changed = name[:-1] + b"\xff"
        overwrite(path, path.read_bytes().index(name + b"\0"), changed)
    with HDF5Data(path) as hd:
        text = "\n".join(map(str, hd.problems))
        assert "bad nam\ufffd" in text
        assert "sic\ufffd" in text
        assert text.encode()


def test_names_of_traces_and_of_text_beside_others(path: pathlib.Path) -> None:
    overwrite(path, path.read_bytes().index(b"fl2_raw"), b"fl2_\xffaw")
    with HDF5Data(path) as hd:
        assert list(hd["trace"]) == ["fl1_raw", "fl2_\udcffaw"]
        assert hd["trace"]["fl1_raw"][0].tolist() == [0] * 9


def opened_trace(hd: HDF5Data) -> object:
    return hd["trace"]["fl1_raw"]


def opened_contour(hd: HDF5Data) -> object:
    return hd["contour"][2]


@pytest.mark.parametrize(
    ("damaged", "read"),
    [
        ("events/trace", lambda hd: hd["trace"]),
        ("events/trace/fl1_raw", opened_trace),
        ("events/contour/2", opened_contour),
        ("events/deform", lambda hd: hd["deform"]),
    ],
)
@pytest.mark.parametrize("raw", [b"\xff" * 8, b"\0" * 16])
def test_damaged_headers(
    path: pathlib.Path, damaged: str, read: Callable[[HDF5Data], object], raw: bytes
) -> None:
    overwrite(path, header_of(path, damaged), raw)
    with HDF5Data(path) as hd:
        with pytest.raises(FormatError, match=r"layout\.rtdc") as caught:
            read(hd)
        assert damaged.split("/")[1] in str(caught.value)
        assert hd["odd name"].tolist() == [0, 1, 2, 3]


def test_a_file_that_is_cut_while_it_is_open_has_changed(path: pathlib.Path) -> None:
    with HDF5Data(path) as hd:
        assert "trace" in hd
        os.truncate(path, 800)
        for name in ("trace", "deform", "odd name"):
            with pytest.raises(FileChangedError, match=r"layout\.rtdc changed"):
                list(hd[name])


def test_a_file_object_that_its_owner_closes(path: pathlib.Path) -> None:
    stream = io.BytesIO(path.read_bytes())
    with HDF5Data(stream) as hd:
        assert hd["odd name"][2] == 2
        stream.close()
        with pytest.raises(ClosedError, match=r"BytesIO.*closed by its owner"):
            hd["deform"]


@pytest.mark.parametrize("moved_to", [0, 4, 12, 24])
def test_chunks_that_are_listed_out_of_order_read_as_by_h5py_or_not_at_all(
    tmp_path: pathlib.Path, moved_to: int
) -> None:
    """HDF5 searches an ordered index: it would not find what the listing has."""
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w", libver="earliest") as h5:
        h5ds = h5.create_dataset(
            "events/deform", (40,), "f8", chunks=(4,), compression="gzip"
        )
        h5ds[:24] = np.random.default_rng(1).integers(0, 9, 24)
        size = h5ds.id.get_chunk_info_by_coord((16,)).size
    raw = path.read_bytes()
    key = struct.pack("<IIQQ", size, 0, 16, 0)
    assert raw.count(key) == 1
    path.write_bytes(raw.replace(key, struct.pack("<IIQQ", size, 0, moved_to, 0)))
    with h5py.File(path) as h5:
        expected = h5["events/deform"][:]
    with HDF5Data(path) as hd:
        try:
            found = hd["deform"]
        except FormatError:
            return
        np.testing.assert_array_equal(found, expected)


READ_GROUPS = """
import sys, dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    for ask in (hd.keys, lambda: list(hd.logs), lambda: list(hd.tables),
                hd.basin_status, lambda: list(hd["trace"]), lambda: len(hd["trace"])):
        try:
            ask()
        except (dcread.DCReadError, KeyError) as exc:
            print(exc)
    print(*hd.problems, sep="\\n")
"""


@pytest.mark.parametrize("group", ["", "events", "events/trace", "logs", "basins"])
def test_a_group_whose_tree_leads_back_to_itself(
    tmp_path: pathlib.Path, group: str, run_python: Callable[..., Any]
) -> None:
    """In a process of its own, since HDF5 dies of listing it."""
    path = tmp_path / "tree.rtdc"
    with h5py.File(path, "w", libver="earliest") as h5:
        h5["events/deform"] = np.arange(4.0)
        h5["events/trace/fl1_raw"] = np.zeros((4, 9))
        h5["logs/one"] = [b"a line"]
        h5["tables/one"] = np.zeros(3, [("time", "f8")])
        h5["basins/one"] = [b"{}"]
    # (from the header of the group, a message leads to its tree)
    header = header_of(path, group or "/")
    raw = path.read_bytes()
    message = raw.index(b"\x11\0\x10\0", header)
    (tree,) = struct.unpack_from("<Q", raw, message + 8)
    assert raw[tree : tree + 6] == b"TREE\0\0"
    overwrite(path, tree + 5, b"\1")
    overwrite(path, tree + 32, struct.pack("<Q", tree))
    done = run_python(READ_GROUPS, path, timeout=60)
    # (of the root, HDF5 notices it when it looks for a name)
    assert ("does not belong there" if group else "cannot be read") in done.stdout
