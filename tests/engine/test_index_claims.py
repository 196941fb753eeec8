"""Forged chunk indices that HDF5 would be busy with for long, or not survive."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import pathlib
import struct
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from dcread import HDF5Data
from dcread.engine import open_dataset
from dcread.errors import FormatError

VALUES = np.arange(40_000.0)
KEY = 24
"""Bytes of a key in the tree of a dataset with one axis."""


@pytest.fixture
def structures(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parents[2]))
    return importlib.import_module("tests.fuzz.structures")


def write(path: pathlib.Path, libver: str, length: int = 40_000) -> pathlib.Path:
    with h5py.File(path, "w", libver=libver) as h5:
        h5.create_dataset("x", data=VALUES[:length], chunks=(4,), maxshape=(None,))
    return path


@pytest.mark.parametrize("length", [40_000, 3])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("claimed", [2**62, 2**23])
def test_an_index_that_claims_many_places(  # noqa: PLR0917
    tmp_path, opened, structures, length, missing, claimed
) -> None:
    path = write(tmp_path / "a.h5", "v110", length)
    expected = VALUES[:length]
    if missing:
        with h5py.File(path, "r+", libver="v110") as h5:
            h5["x"].resize((length + 4000,))
        expected = np.r_[expected, np.zeros(4000)]
    raw = bytearray(path.read_bytes())
    (region,) = [r for r in structures.find_regions(path) if r.kind == "EAHD"]
    place = region.start + 44
    assert struct.unpack_from("<Q", raw, place)[0] == -(-length // 4)
    struct.pack_into("<Q", raw, place, claimed)
    structures.seal(raw, region)
    path.write_bytes(raw)
    reader = open_dataset(opened(path), "x")
    start = time.process_time()
    assert np.array_equal(reader.read(slice(0, len(expected))), expected)
    assert np.array_equal(reader.read(np.array([2, 0])), expected[[2, 0]])
    with pytest.raises(FormatError, match=r"a\.h5.*at most 4194304 places"):
        reader.storage()
    assert time.process_time() < start + 2
    assert len(expected) < 5 or "claims" in str(reader.layout)


def nodes(raw: bytes) -> list[tuple[int, int, int]]:
    """Return place, level and number of entries of the nodes of a chunk index."""
    found, start = [], raw.find(b"TREE\1")
    while start >= 0:
        found.append(
            (start, raw[start + 5], struct.unpack_from("<H", raw, start + 6)[0])
        )
        start = raw.find(b"TREE\1", start + 1)
    return found


def leads_to_itself(raw: bytearray, root: int, _: int) -> None:
    struct.pack_into("<Q", raw, root + 24 + KEY, root)


def leads_back(raw: bytearray, root: int, first: int) -> None:
    struct.pack_into("<Q", raw, first + 24 + KEY, root)


def has_the_same_node_again_and_again(raw: bytearray, root: int, first: int) -> None:
    for node in (root, first):
        (child,) = struct.unpack_from("<Q", raw, node + 24 + KEY)
        struct.pack_into("<H", raw, node + 6, 64)
        for entry in range(64):
            struct.pack_into("<Q", raw, node + 24 + KEY + entry * (KEY + 8), child)


@pytest.mark.parametrize(
    "forge", [leads_to_itself, leads_back, has_the_same_node_again_and_again]
)
def test_a_tree_that_is_none(
    tmp_path,
    forge: Callable[[bytearray, int, int], None],
    run_python: Callable[..., Any],
) -> None:
    """In a process of its own, since HDF5 dies of such a tree."""
    path = write(tmp_path / "a.h5", "earliest")
    raw = bytearray(path.read_bytes())
    found = nodes(raw)
    (root,) = [place for place, level, _ in found if level == 2]
    (first,) = struct.unpack_from("<Q", raw, root + 24 + KEY)
    forge(raw, root, first)
    path.write_bytes(raw)
    read = (
        "import pathlib, sys\n"
        "from dcread import engine, errors\n"
        "handle = engine.open_file(pathlib.Path(sys.argv[1]))\n"
        "reader = engine.open_dataset(handle, 'x')\n"
        "for ask in (lambda: reader.read(slice(0, 40000)), reader.storage):\n"
        "    try:\n"
        "        ask()\n"
        "    except errors.FormatError as exc:\n"
        "        print(exc)\n"
    )
    first_line, second_line = run_python(read, path).stdout.splitlines()
    assert "a tree with a node that does not belong there" in first_line
    assert "the file is damaged" in second_line


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("change", [1, 4, -4, 400])
def test_keys_that_do_not_lead_to_all_chunks(tmp_path, opened, axis, change) -> None:
    """HDF5 lists such chunks and does not find them: what it reads is what counts."""
    path = write(tmp_path / "a.h5", "earliest", 800)
    raw = path.read_bytes()
    tried = 0
    for node, level, count in nodes(raw):
        for entry in sorted({0, 1, count // 2, count - 1, count}):
            place = node + 24 + entry * (KEY + 8) + 8 + 8 * axis
            forged = bytearray(raw)
            (before,) = struct.unpack_from("<Q", raw, place)
            struct.pack_into("<Q", forged, place, (before + change) % 2**64)
            path = tmp_path / f"{node}-{level}-{entry}.h5"
            path.write_bytes(forged)
            truth = VALUES[:800]
            with h5py.File(path) as h5, contextlib.suppress(OSError):
                truth = h5["x"][:]
            tried += 1
            reader = open_dataset(opened(path), "x")
            try:
                found = reader.read(slice(0, len(truth)))
            except FormatError:
                continue
            assert np.array_equal(found, truth), (level, entry, count)
            assert np.array_equal(reader.read(np.array([799, 3])), truth[[799, 3]])
    assert tried > 9


@pytest.mark.parametrize("libver", ["earliest", "v108"])
def test_a_last_key_that_is_no_place_of_a_chunk(tmp_path, opened, libver) -> None:
    """HDF5 reads nothing of such an index, so that it is damage."""
    path = write(tmp_path / "a.h5", libver, 80)
    raw = bytearray(path.read_bytes())
    ((node, _, count),) = nodes(raw)
    struct.pack_into("<Q", raw, node + 24 + count * (KEY + 8) + 8, 2**40 + 1)
    path.write_bytes(raw)
    with h5py.File(path) as h5, pytest.raises(OSError, match="bad coordinate"):
        h5["x"][:]
    with pytest.raises(FormatError, match="damaged"):
        open_dataset(opened(path), "x").read(slice(0, 80))


@pytest.mark.parametrize(
    "forged",
    [(6, "<I", 2**32 - 1), (10, "<H", 2**16 - 1), (12, "<H", 4000), (10, "<H", 0)],
)
@pytest.mark.parametrize("kind", ["chunks", "members", "attributes"])
def test_a_newer_tree_with_a_forged_header(tmp_path, structures, kind, forged) -> None:
    """HDF5 would take memory for such nodes, and frees it twice if there is none."""
    place, form, value = forged
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w", libver="v110") as h5:
        h5.attrs["setup:module composition"] = "text"
        h5["events/deform"] = np.arange(8.0)
        if kind == "chunks":
            h5.create_dataset(
                "events/image", (8, 4, 4), "u1", chunks=(2, 4, 4), maxshape=(None,) * 3
            )[:] = 1
        elif kind == "members":
            for number in range(20):
                h5[f"logs/log {number}"] = [b"line"]
        else:
            h5.attrs.update({f"setup:number {number}": number for number in range(20)})
    raw = bytearray(path.read_bytes())
    regions = [one for one in structures.find_regions(path) if one.kind == "BTHD"]
    assert regions
    for region in regions:
        struct.pack_into(form, raw, region.start + place, value)
        structures.seal(raw, region)
    path.write_bytes(raw)
    with HDF5Data(path) as hd:
        told = [one.reason for one in hd.problems] + [str(hd.meta), str(hd.logs)]
        if kind == "chunks":
            with pytest.raises(FormatError) as info:
                hd["image"][:]
            told.append(str(info.value))
    assert "the file is damaged: copy it again" in "".join(told)


def heap_of(raw: bytes, name: bytes) -> int:
    """Return the place of the header of the heap in which a name lies."""
    place = raw.find(b"HEAP")
    while place >= 0:
        size, _, start = struct.unpack_from("<QQQ", raw, place + 8)
        if name in raw[start : start + size]:
            return place
        place = raw.find(b"HEAP", place + 1)
    raise AssertionError(name)


@pytest.mark.parametrize("shift", [-24, -16, -8, 8, 16, 800])
@pytest.mark.parametrize("count", [12, 6000])
def test_names_of_other_members(tmp_path, shift, count) -> None:
    """Where a heap is said to lie elsewhere, each contour has the name of another."""
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w", libver="earliest") as h5:
        h5["events/deform"] = np.arange(float(count))
        contour = h5["events"].create_group("contour")
        points = contour.create_dataset("11", data=np.zeros((3, 2)))
        for event in range(count):
            if event != 11:
                contour[str(event)] = points
    with HDF5Data(path) as hd:
        assert len(hd["contour"][5]) == 3
    raw = bytearray(path.read_bytes())
    place = heap_of(raw, b"\0" + b"11\0")
    (start,) = struct.unpack_from("<Q", raw, place + 24)
    raw[start - 24 : start] = b"seven\0\0\0" * 3
    struct.pack_into("<Q", raw, place + 16, 1)  # (no list of what is free)
    struct.pack_into("<Q", raw, place + 24, start + shift)
    path.write_bytes(raw)
    with HDF5Data(path) as hd:
        assert hd["deform"][-1] == count - 1
        for event in range(12):
            with pytest.raises(FormatError, match="found something else there"):
                hd["contour"][event]


@pytest.mark.parametrize("following", [8, 16, 0, 2**40])
def test_a_list_of_free_bytes_that_goes_round(tmp_path, following, run_python) -> None:
    """In a process of its own, since HDF5 goes round for ever."""
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w", libver="earliest") as h5:
        h5["events/deform"] = np.arange(4.0)
    raw = bytearray(path.read_bytes())
    place = heap_of(raw, b"deform\0")
    size, free, start = struct.unpack_from("<QQQ", raw, place + 8)
    assert 8 < free < size
    struct.pack_into("<QQ", raw, start + 8, following, 16)
    raw[start + 24 : start + 32] = b"deform\0\0"
    struct.pack_into("<Q", raw, place + 16, 8)
    path.write_bytes(raw)
    told = run_python(READ, path).stdout
    assert "a name in it that does not belong there" in told


READ = """
import sys, dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    print(hd.logs, hd.keys(), hd.problems)
"""


@pytest.mark.parametrize("group", ["events", "logs"])
def test_a_name_outside_of_its_heap(tmp_path, group, run_python) -> None:
    """In a process of its own, since HDF5 dies of such a name."""
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w", libver="earliest") as h5:
        h5["events/deform"] = h5["events/userdef1"] = np.arange(4.0)
        h5["logs/deform"] = h5["logs/other"] = [b"line"]
    with h5py.File(path) as h5:
        low, high = h5py.h5g.get_objinfo(h5[group]["deform"].id).objno
    raw = bytearray(path.read_bytes())
    place = raw.find(struct.pack("<QQ", 8, low)) if not high else -1
    assert place > 0
    struct.pack_into("<Q", raw, place, 2**36)
    path.write_bytes(raw)
    told = run_python(READ, path).stdout
    assert "a name in it that does not belong there" in told


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "latest"])
@pytest.mark.parametrize("userblock", [0, 512])
def test_sound_indices_are_listed(tmp_path, opened, libver, userblock) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as h5:
        for name, limits in {"x": (None,), "y": (40_000,)}.items():
            h5ds = h5.create_dataset(name, data=VALUES, chunks=(4,), maxshape=limits)
            h5ds.attrs.update({f"note {number}": "text" * 50 for number in range(30)})
        h5.create_dataset("z", (9, 8), "u1", chunks=(2, 2), maxshape=(None, None))
        h5["z"][:4, 3] = 7
    handle = opened(path)
    for name in "xyz":
        reader = open_dataset(handle, name)
        with h5py.File(path) as h5:
            expected = h5[name][:]
        assert np.array_equal(reader.read(slice(0, len(expected))), expected)
        assert reader.layout.index.listed
        assert reader.storage().reader == "dcread"


@pytest.mark.parametrize("userblock", [0, 512])
def test_an_older_tree_tells_what_hdf5_lists(tmp_path, opened, userblock) -> None:
    path = tmp_path / "a.h5"
    values = np.arange(700 * 9 * 8, dtype="u2").reshape(700, 9, 8)
    shape = {"shape": values.shape, "dtype": "u2", "chunks": (2, 4, 5)}
    with h5py.File(path, "w", libver="earliest", userblock_size=userblock) as h5:
        h5ds = h5.create_dataset("x", **shape, compression="gzip", shuffle=True)
        h5ds[:40], h5ds[333, 5, 6], h5ds[690:] = values[:40], 7, values[690:]
        plain = values[60:62, :4, :5].tobytes()
        h5ds.id.write_direct_chunk((60, 0, 0), plain, filter_mask=3)
    with h5py.File(path) as h5:
        asked = h5["x"].id
        infos = [asked.get_chunk_info(i) for i in range(asked.get_num_chunks())]
        expected = h5["x"][:]
    assert 100 < len(infos) < 1000
    reader = open_dataset(opened(path), "x")
    index = reader.layout.index
    cells, table = index.stored()
    assert [index.offset_of(cell) for cell in cells] == [i.chunk_offset for i in infos]
    told = [[i.byte_offset, i.size, i.filter_mask] for i in infos]
    assert table.tolist() == told
    assert np.array_equal(reader.read(slice(0, 700)), expected)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (2**64 - 1, "found one without an address"),
        (2**40, "the file is truncated"),
        (2**63 + 8, "the file is damaged"),
    ],
)
def test_a_chunk_of_an_older_tree_that_lies_elsewhere(
    tmp_path, opened, address, found
) -> None:
    path = write(tmp_path / "a.h5", "earliest", 800)
    raw = bytearray(path.read_bytes())
    (node, _, _) = next(one for one in nodes(raw) if one[1] == 0)
    struct.pack_into("<Q", raw, node + 24 + KEY, address)
    path.write_bytes(raw)
    reader = open_dataset(opened(path), "x")
    with pytest.raises(FormatError, match=found):
        reader.read(slice(0, 800))


def write_newer_tree(path: pathlib.Path, kind: str, count: int) -> None:
    """Write a tree of that many chunks, members or attributes."""
    with h5py.File(path, "w", libver="v110") as h5:
        h5.attrs["setup:module composition"] = "text"
        h5["events/deform"] = np.arange(float(count))
        if kind == "chunks":
            shape = (count, 1, 1)
            h5["events"].create_dataset(
                "image", shape, "u1", chunks=(1, 1, 1), maxshape=(None,) * 3
            )[:] = 1
        elif kind == "members":
            h5["logs/log"] = [b"line"]
            for number in range(count):
                h5[f"logs/log {number}"] = h5["logs/log"]
        else:
            h5.attrs.update({f"setup:n {n}": n for n in range(count)})


@pytest.mark.parametrize("forged", ["one more", "most", "itself"])
@pytest.mark.parametrize(
    "tree",
    list(itertools.product(["chunks", "members", "attributes"], [12, 300, 1900])),
    ids=lambda tree: f"{tree[1]} {tree[0]}",
)
def test_nodes_of_a_newer_tree_that_claim_more_than_they_hold(
    tmp_path, structures, tree, forged, run_python
) -> None:
    """In a process of its own: HDF5 reads behind such nodes, or goes round."""
    path = tmp_path / "a.rtdc"
    kind, count = tree
    write_newer_tree(path, kind, count)
    with HDF5Data(path) as hd:
        assert not hd.problems
        if kind == "chunks":
            assert hd["image"][-1] == 1
    raw = bytearray(path.read_bytes())
    done = 0
    for region in structures.find_regions(path):
        header = region.start
        if region.kind != "BTHD":
            continue
        node, record, depth = struct.unpack_from("<IHH", raw, header + 6)
        root, records = struct.unpack_from("<QH", raw, header + 16)
        if forged == "itself":
            if not depth:
                continue
            # (place of the first child of the root)
            struct.pack_into("<Q", raw, root + 6 + records * record, root)
            (own,) = [r for r in structures.find_regions(path) if r.start == root]
            structures.seal(raw, own)
        else:
            claimed = 2**16 - 1 if forged == "most" else (node - 10) // record + 1
            struct.pack_into("<H", raw, header + 24, claimed)
            structures.seal(raw, region)
        done += 1
    assert done or forged == "itself"
    path.write_bytes(raw)
    told = run_python(READ_ALL, path).stdout
    # (of the wrong kind, a node is refused by HDF5 itself)
    expected = ["the file is damaged"] + ["cannot be read"] * (forged == "itself")
    assert not done or any(text in told for text in expected)


READ_ALL = """
import sys, dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    print(hd.meta, hd.logs, hd.keys(), hd.problems)
    try:
        print(hd["image"][:].sum())
    except (KeyError, dcread.DCReadError) as error:
        print(error)
"""


BOUNDED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
import dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    print(hd["deform"].tolist(), hd.logs, hd.problems)
"""


def test_a_tree_of_members_that_claims_billions(
    tmp_path, run_python: Callable[..., Any]
) -> None:
    """Nodes may overlap: 60,000 heads in a row have 65,535 children each."""
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w", libver="earliest") as h5:
        h5["events/deform"] = np.arange(3.0)
        h5["logs/a log"] = [b"line"]
    raw = bytearray(path.read_bytes())
    before = struct.pack("<Q", raw.rindex(b"TREE\0\0"))  # (that of the last group)
    assert raw.count(before) >= 1
    root, count = len(raw), 60_000
    heads = root + 24 + 16 * count
    raw = raw.replace(before, struct.pack("<Q", root))
    raw += b"TREE\0\2" + struct.pack("<H16x", count)
    for number in range(count):
        raw += struct.pack("<QQ", 0, heads + 8 * number)
    raw += (b"TREE\0\1" + struct.pack("<H", 2**16 - 1)) * count
    raw += bytes(24 + 16 * 2**16)
    struct.pack_into("<Q", raw, 40, len(raw))  # the end of the file
    path.write_bytes(raw)
    told = run_python(BOUNDED, path, timeout=60).stdout
    assert told.startswith("[0.0, 1.0, 2.0] {} [Problem(kind='log'")
    assert "a node or a name in it that does not belong there" in told
