"""Virtual datasets: the engine reads their sources, and never makes up zeros."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from dcread.engine import Rows, open_dataset, reader_for, virtual_boxes
from dcread.engine.name_resolver import NameResolver
from dcread.engine.virtual_reader import VirtualReader
from dcread.errors import (
    ClosedError,
    FileChangedError,
    FileMissingError,
    FormatError,
    PolicyError,
    ShapeMismatchError,
)

LENGTHS = (10, 3, 17, 1, 9)


@pytest.fixture
def parts(tools, tmp_path):
    """Source files of several lengths, chunk shapes and pipelines."""
    arrays = []
    rng = np.random.default_rng(2)
    for number, length in enumerate(LENGTHS):
        data = rng.integers(0, 99, (length, 6, 5)).astype("u2")
        filters = tools.PIPELINES[3 * number]
        chunks = (min(4, length), 6, 5 - number % 2)
        tools.make_dataset(tmp_path / f"p{number}.h5", data, chunks, filters)
        arrays.append(data)
    return arrays


@pytest.fixture
def elsewhere(monkeypatch):
    """Relative names belong to the folder of the file, not to the working one."""
    monkeypatch.chdir("/")


def combine(path, parts, *, folder="", gap=0, dtype="u2"):
    total = sum(len(part) + gap for part in parts)
    layout = h5py.VirtualLayout((total, 6, 5), dtype)
    start = 0
    for number, part in enumerate(parts):
        source = h5py.VirtualSource(f"{folder}p{number}.h5", "x", part.shape)
        layout[start : start + len(part)] = source
        start += len(part) + gap
    with h5py.File(path, "w", libver="latest") as h5:
        h5.create_virtual_dataset("x", layout, fillvalue=77)
    return path


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.usefixtures("threads", "elsewhere")
def test_same_as_concatenated(tmp_path, parts, opened, absolute):
    folder = f"{tmp_path}/" if absolute else ""
    reader = open_dataset(opened(combine(tmp_path / "v.h5", parts, folder=folder)), "x")
    expected = np.concatenate(parts)
    assert isinstance(reader, VirtualReader)
    assert isinstance(reader.mapping, list)
    assert reader.block_rows == 4
    assert np.array_equal(reader.read(slice(0, 40)), expected)
    rng = np.random.default_rng(0)
    for _ in range(50):
        start, stop = sorted(rng.integers(0, 41, 2))
        step = int(rng.integers(1, 5))
        rows = slice(int(start), int(stop), step)
        assert np.array_equal(reader.read(rows), expected[rows])
        picked = rng.integers(0, 40, 12)
        window = (slice(1, 4), slice(0, 5))
        assert np.array_equal(reader.read(picked), expected[picked])
        found = reader.read(picked, window=window)
        assert np.array_equal(found, expected[picked][:, 1:4])
    blocks = {}
    reader.map_blocks(
        slice(5, 39), lambda first, block: blocks.update({first: block.copy()})
    )
    found = np.concatenate([blocks[key] for key in sorted(blocks)])
    assert np.array_equal(found, expected[5:39])


def test_gaps_have_the_fill_value(tmp_path, parts, opened):
    reader = open_dataset(opened(combine(tmp_path / "v.h5", parts, gap=2)), "x")
    full = np.concatenate([np.pad(p, [(0, 2), (0, 0), (0, 0)]) for p in parts])
    full[reader.mapping[0].stop :][:2] = 77
    rows = np.array([9, 10, 11, 12, 0, 10])
    found = reader.read(rows)
    assert np.array_equal(found[[0, 3, 4]], full[[9, 12, 0]])
    assert (found[[1, 2, 5]] == 77).all()


def test_other_types_are_converted(tmp_path, parts, opened):
    reader = open_dataset(opened(combine(tmp_path / "v.h5", parts, dtype="f8")), "x")
    found = reader.read(slice(0, 40))
    assert found.dtype == np.float64
    assert np.array_equal(found, np.concatenate(parts))


def test_part_of_a_source(tmp_path, parts, opened):
    layout = h5py.VirtualLayout((9, 6, 5), "u2")
    layout[0:5] = h5py.VirtualSource("p2.h5", "x", (17, 6, 5))[8:13]
    layout[5:9] = h5py.VirtualSource("p0.h5", "x", (10, 6, 5))[6:10]
    with h5py.File(tmp_path / "v.h5", "w") as h5:
        h5.create_virtual_dataset("x", layout)
    reader = open_dataset(opened(tmp_path / "v.h5"), "x")
    assert isinstance(reader, VirtualReader)
    assert isinstance(reader.mapping, list)
    expected = np.concatenate([parts[2][8:13], parts[0][6:10]])
    assert np.array_equal(reader.read(slice(0, 9)), expected)


def test_source_in_the_same_file_and_virtual_of_virtual(tmp_path, parts, opened):
    combine(tmp_path / "v.h5", parts)
    layout = h5py.VirtualLayout((40, 6, 5), "u2")
    layout[:] = h5py.VirtualSource(".", "x", (40, 6, 5))
    with h5py.File(tmp_path / "v.h5", "a") as h5:
        h5.create_virtual_dataset("again", layout)
    reader = open_dataset(opened(tmp_path / "v.h5"), "again")
    assert np.array_equal(reader.read(slice(0, 40)), np.concatenate(parts))


def test_a_virtual_dataset_of_itself(tmp_path, opened):
    layout = h5py.VirtualLayout((4,), "u2")
    layout[:] = h5py.VirtualSource(".", "x", (4,))
    with h5py.File(tmp_path / "v.h5", "w") as h5:
        h5.create_virtual_dataset("x", layout)
    with pytest.raises(FormatError, match="nested more than"):
        open_dataset(opened(tmp_path / "v.h5"), "x").read(slice(0, 4))


@pytest.mark.parametrize("damage", ["missing", "short", "shape", "member", "text"])
def test_bad_source(tools, tmp_path, parts, opened, damage):
    path = combine(tmp_path / "v.h5", parts)
    bad = tmp_path / "p1.h5"
    bad.unlink()
    kind, phrase = FormatError, "readable|expected"
    if damage == "missing":
        kind, phrase = FileMissingError, "no file at"
    elif damage == "short":
        tools.make_dataset(bad, parts[1][:2])
        kind, phrase = ShapeMismatchError, "at least 3 rows"
    elif damage == "shape":
        tools.make_dataset(bad, parts[1][:, :5].copy())
        kind, phrase = ShapeMismatchError, "rows of shape"
    elif damage == "member":
        with h5py.File(bad, "w"):
            kind, phrase = FormatError, "expected a dataset 'x'"
    else:
        bad.write_text("text")
    reader = open_dataset(opened(path), "x")
    with pytest.raises(kind, match=phrase) as info:
        reader.read(slice(0, 40))
    assert "v.h5: virtual dataset '/x'" in str(info.value)
    assert "p1.h5" in str(info.value)
    assert np.array_equal(reader.read(slice(0, 10)), parts[0])


def test_changed_source(tmp_path, parts, opened):
    reader = open_dataset(opened(combine(tmp_path / "v.h5", parts)), "x")
    reader.read(slice(0, 40))
    os.utime(tmp_path / "p3.h5", ns=(5, 5))
    with pytest.raises(FileChangedError, match=r"p3\.h5"):
        reader.read(slice(0, 40))


def test_sources_found_beside_the_file(tmp_path, parts, opened):
    path = combine(tmp_path / "v.h5", parts, folder="/gone/elsewhere/")
    reader = open_dataset(opened(path), "x")
    assert np.array_equal(reader.read(slice(0, 40)), np.concatenate(parts))


def test_policy_is_asked(tmp_path, parts, opened):
    handle = opened(combine(tmp_path / "v.h5", parts))
    asked = []

    class Refusing(NameResolver):
        def open_path(self, path):
            asked.append(path)
            raise PolicyError(f"not {path}")

    handle.names = Refusing()
    with pytest.raises(PolicyError, match=r"p0\.h5"):
        open_dataset(handle, "x").read(slice(0, 40))
    assert set(asked) == {tmp_path / "p0.h5"}


def test_file_objects_name_no_files(tmp_path, parts, opened):
    path = combine(tmp_path / "v.h5", parts, folder=f"{tmp_path}/")
    handle = opened(io.BytesIO(path.read_bytes()))
    with pytest.raises(PolicyError, match="only a file opened from its path"):
        open_dataset(handle, "x").read(slice(0, 40))


def test_close_closes_sources(tmp_path, parts):
    from dcread import engine

    before = len(os.listdir("/proc/self/fd"))
    handle = engine.open_file(combine(tmp_path / "v.h5", parts))
    reader = open_dataset(handle, "x")
    reader.read(slice(0, 40))
    handle.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ClosedError):
        reader.read(slice(0, 40))


def test_more_sources_than_are_kept_open(tools, tmp_path, opened, monkeypatch):
    monkeypatch.setattr("dcread.engine.linked_files.MAX_OPEN", 3)
    data = np.arange(4, dtype="u2").reshape(4, 1)
    layout = h5py.VirtualLayout((40, 1), "u2")
    for number in range(10):
        tools.make_dataset(tmp_path / f"s{number}.h5", data + number, (2, 1), (1,))
        source = h5py.VirtualSource(f"s{number}.h5", "x", (4, 1))
        layout[4 * number : 4 * number + 4] = source
    with h5py.File(tmp_path / "v.h5", "w") as h5:
        h5.create_virtual_dataset("x", layout)
    reader = open_dataset(opened(tmp_path / "v.h5"), "x")
    expected = np.concatenate([data + number for number in range(10)])
    for _ in range(2):
        assert np.array_equal(reader.read(slice(0, 40)), expected)


def test_sources_that_others_close_are_opened_again(
    tools, tmp_path, opened, monkeypatch
):
    """Each thread needs another source than the one that is kept open."""
    monkeypatch.setattr("dcread.engine.linked_files.MAX_OPEN", 1)
    data = np.arange(4, dtype="u2").reshape(4, 1)
    layout = h5py.VirtualLayout((24, 1), "u2")
    for number in range(6):
        tools.make_dataset(tmp_path / f"s{number}.h5", data + number, (2, 1), (1,))
        layout[4 * number : 4 * number + 4] = h5py.VirtualSource(
            f"s{number}.h5", "x", (4, 1)
        )
    with h5py.File(tmp_path / "v.h5", "w") as h5:
        h5.create_virtual_dataset("x", layout)
    reader = open_dataset(opened(tmp_path / "v.h5"), "x")

    def work(seed):
        for number in np.random.default_rng(seed).integers(0, 6, 25).tolist():
            found = reader.read(slice(4 * number, 4 * number + 4))
            np.testing.assert_array_equal(found, data + number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def virtual(path, shape, mappings, dtype="u2", maxshape=None):
    """Write a virtual dataset of mappings: (where, file, source shape, what of it)."""
    layout = h5py.VirtualLayout(shape, dtype, maxshape=maxshape)
    for where, file, source_shape, what in mappings:
        source = h5py.VirtualSource(file, "x", source_shape, maxshape=maxshape)
        layout[where] = source[what]
    with h5py.File(path, "w", libver="latest") as h5:
        h5.create_virtual_dataset("x", layout, fillvalue=7)
    return path


def check_boxes(opened, path, rng):
    """Compare with what h5py reads."""
    with h5py.File(path) as h5:
        expected = h5["x"][:]
    reader = open_dataset(opened(path), "x")
    assert reader.dtype == expected.dtype
    assert np.array_equal(reader.read(slice(0, len(expected))), expected)
    for _ in range(10):
        rows = rng.integers(0, len(expected), 7)
        start, stop = sorted(rng.integers(0, len(expected) + 1, 2).tolist())
        bounds = [
            sorted(rng.integers(0, n + 1, 2).tolist()) for n in expected.shape[1:]
        ]
        window = tuple(slice(low, high) for low, high in bounds)
        assert np.array_equal(reader.read(rows), expected[rows])
        assert np.array_equal(
            reader.read(rows, window=window or None), expected[(rows, *window)]
        )
        part = slice(start, stop, int(rng.integers(1, 4)))
        assert np.array_equal(reader.read(part), expected[part])


FULL = slice(None)


@pytest.mark.parametrize(
    ("shape", "mappings"),
    [
        # columns side by side, from two files
        (
            (10, 6),
            [
                ((FULL, slice(0, 3)), "a.h5", (10, 3), (FULL, FULL)),
                ((FULL, slice(3, 6)), "b.h5", (10, 3), (FULL, FULL)),
            ],
        ),
        # every other row, and rows of one file between those of another
        (
            (20, 3),
            [
                ((slice(0, 20, 2), FULL), "a.h5", (10, 3), (FULL, FULL)),
                ((slice(1, 20, 2), FULL), "b.h5", (10, 3), (FULL, FULL)),
            ],
        ),
        # every third row of the source, and a column
        (
            (4, 2),
            [((FULL, slice(1, 2)), "a.h5", (10, 3), (slice(0, 10, 3), slice(2, 3)))],
        ),
        # later boxes cover earlier ones
        (
            (10, 3),
            [
                ((FULL, FULL), "a.h5", (10, 3), (FULL, FULL)),
                (
                    (slice(2, 5), slice(1, 3)),
                    "b.h5",
                    (10, 3),
                    (slice(0, 3), slice(0, 2)),
                ),
            ],
        ),
        # a whole file for each row
        (
            (2, 10, 3),
            [
                ((0, FULL, FULL), "a.h5", (10, 3), (FULL, FULL)),
                ((1, FULL, FULL), "b.h5", (10, 3), (FULL, FULL)),
            ],
        ),
        # rows by number
        ((10, 3), [(([0, 2, 5], FULL), "a.h5", (10, 3), (slice(0, 3), FULL))]),
        # in another shape
        ((30,), [((slice(0, 30),), "a.h5", (10, 3), (FULL, FULL))]),
    ],
)
@pytest.mark.parametrize("dtype", ["u2", "i1", "f4"])
def test_boxes(tools, tmp_path, opened, shape, mappings, dtype):  # noqa: PLR0917
    for name, first in (("a.h5", 100), ("b.h5", 200)):
        data = np.arange(first, first + 30, dtype="u2").reshape(10, 3)
        tools.make_dataset(tmp_path / name, data, (4, 2), (1,))
    path = virtual(tmp_path / "v.h5", shape, mappings, dtype)
    check_boxes(opened, path, np.random.default_rng(0))


@pytest.mark.parametrize("length", [4, 9])
def test_growing_mappings_end_where_their_source_ends(tools, tmp_path, opened, length):
    data = np.arange(3 * length, dtype="u2").reshape(length, 3)
    tools.make_dataset(tmp_path / "a.h5", data, (2, 3), maxshape=(None, 3))
    growing = h5py.VirtualLayout((4, 3), "u2", maxshape=(None, 3))
    source = h5py.VirtualSource("a.h5", "x", (4, 3), maxshape=(None, 3))
    unlimited = h5py.h5s.UNLIMITED
    growing[0:unlimited, :] = source[0:unlimited, :]
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as h5:
        h5.create_virtual_dataset("x", growing)
    check_boxes(opened, tmp_path / "v.h5", np.random.default_rng(1))


@pytest.mark.parametrize(
    ("source", "dtype"),
    [
        ("i2", "u1"),
        ("f8", "i2"),
        ("i4", "f4"),
        (">u4", "i1"),
        ("u1", ">i8"),
        ("f4", "f8"),
        ("<f2", h5py.enum_dtype({"none": 0, "one": 1}, ">i2")),
        (">f4", h5py.enum_dtype({"none": 0}, "u1")),
    ],
)
def test_other_types_become_what_hdf5_makes_of_them(
    tools, tmp_path, opened, source, dtype
):
    values = np.array([-5, 0, 100, 255, 256, 300, -30000, 30000]).astype(source)
    tools.make_dataset(tmp_path / "a.h5", np.repeat(values, 3).reshape(8, 3), (3, 3))
    mapping = (slice(0, 8), FULL), "a.h5", (8, 3), (FULL, FULL)
    path = virtual(tmp_path / "v.h5", (8, 3), [mapping], dtype)
    check_boxes(opened, path, np.random.default_rng(0))


@pytest.mark.parametrize(("rows", "step"), [(10, 1), (19, 2)])
def test_a_virtual_file_open_for_writing_is_read_again(tools, tmp_path, rows, step):
    data = np.arange(30, dtype="u2").reshape(10, 3)
    tools.make_dataset(tmp_path / "a.h5", data, (4, 3), (1,))
    before = (tmp_path / "a.h5").stat()
    mapping = (slice(0, rows, step), FULL), "a.h5", (10, 3), (FULL, FULL)
    virtual(tmp_path / "v.h5", (rows, 3), [mapping])
    with h5py.File(tmp_path / "v.h5", "r+") as h5:
        for _ in range(3):
            reader = reader_for(h5["x"])
            assert np.array_equal(reader.read(slice(0, rows, step)), data)
    after = (tmp_path / "a.h5").stat()
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)


def test_a_source_that_is_too_short_for_a_second_part(tools, tmp_path, opened):
    data = np.arange(30, dtype="u2").reshape(10, 3)
    tools.make_dataset(tmp_path / "a.h5", data, (4, 3))
    parts = [(slice(0, 4), slice(0, 4)), (slice(4, 10), slice(4, 10))]
    mappings = [((a, FULL), "a.h5", (10, 3), (b, FULL)) for a, b in parts]
    path = virtual(tmp_path / "v.h5", (10, 3), mappings)
    tools.make_dataset(tmp_path / "a.h5", data[:6], (4, 3))
    reader = open_dataset(opened(path), "x")
    assert np.array_equal(reader.read(slice(0, 4)), data[:4])
    with pytest.raises(ShapeMismatchError, match="at least 10 rows"):
        reader.read(slice(4, 10))


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_selection_may_claim_any_size(tmp_path, opened, blocks):
    """Its positions along an axis are not listed, which would take gigabytes."""
    width = 2**30 - 1
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as h5:
        h5["source"] = np.zeros((4, 8), "u1")
        space = h5py.h5s.create_simple((4, width))
        space.select_hyperslab((0, 0), (1, 1), block=(4, width - 1))
        if blocks == 2:
            space.select_hyperslab((0, 9), (4, 1), block=(1, 1), op=h5py.h5s.SELECT_XOR)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.VIRTUAL)
        plist.set_virtual(space, b".", b"/source", space)
        kind, shape = h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple((4, width))
        h5py.h5d.create(h5.id, b"x", kind, shape, plist)
    reader = open_dataset(opened(path), "x")
    for window in (None, (slice(0, width // 2),)):
        with pytest.raises(FormatError, match=r"x\.h5.*expected at most 16777216"):
            reader.read(slice(0, 1), window=window)


def test_the_first_columns_of_a_wider_source(tmp_path, opened):
    wide = np.arange(20 * 6 * 5, dtype="u2").reshape(20, 6, 5)
    layout = h5py.VirtualLayout((25, 4, 3), "u2")
    layout[:20] = h5py.VirtualSource(".", "wide", wide.shape)[:, :4, :3]
    layout[20:] = h5py.VirtualSource(".", "wide", wide.shape)[3:8, :4, :3]
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as h5:
        h5["wide"] = wide
        h5.create_virtual_dataset("x", layout)
    reader = open_dataset(opened(tmp_path / "v.h5"), "x")
    expected = np.concatenate([wide[:, :4, :3], wide[3:8, :4, :3]])
    assert isinstance(reader.mapping, list)
    assert np.array_equal(reader.read(slice(0, 25)), expected)
    rows = np.array([24, 3, 3, 20])
    assert np.array_equal(reader.read(rows), expected[rows])
    window = (slice(1, 4), slice(2, 3))
    assert np.array_equal(reader.read(rows, window=window), expected[rows, 1:4, 2:3])
    assert reader.read_cost(Rows.of(rows)).requests


def test_only_boxes_near_the_rows_are_looked_into(tmp_path, opened, monkeypatch):
    count = 300
    data = np.arange(count * 4.0).reshape(count, 4)
    layout = h5py.VirtualLayout((count, 2), "f8")
    for row in range(count):
        columns = row % 2 + np.arange(2)
        source = h5py.VirtualSource(".", "data", data.shape)
        layout[row] = source[row, columns[0] : columns[-1] + 1]
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as h5:
        h5["data"] = data
        h5.create_virtual_dataset("x", layout)
    with h5py.File(tmp_path / "v.h5") as h5:
        expected = h5["x"][:]
    reader = open_dataset(opened(tmp_path / "v.h5"), "x")
    assert not isinstance(reader.mapping, list)
    looked = []
    find = virtual_boxes.Axis.find

    def noted(axis, positions):
        looked.append(len(positions))
        return find(axis, positions)

    monkeypatch.setattr(virtual_boxes.Axis, "find", noted)
    rows = np.array([7, 290, 7, 8])
    assert np.array_equal(reader.read(rows), expected[rows])
    assert len(looked) < 2 * count
    looked.clear()
    assert np.array_equal(reader.read(slice(5, 7)), expected[5:7])
    assert len(looked) == 4
    looked.clear()
    assert np.array_equal(reader.read(slice(0, count)), expected)
    assert sum(looked) == 3 * count  # one row and two columns each


def test_a_source_with_other_axes_than_a_box_says(tmp_path, opened):
    layout = h5py.VirtualLayout((4, 2), "f8")
    layout[:, :1] = h5py.VirtualSource("s.h5", "data", (9, 3))[:8:2, 2:]
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as h5:
        h5.create_virtual_dataset("x", layout)
    with h5py.File(tmp_path / "s.h5", "w") as h5:
        h5["data"] = np.zeros((9, 3, 3))
    reader = open_dataset(opened(tmp_path / "v.h5"), "x")
    with pytest.raises(ShapeMismatchError, match=r"expected 2 axes in .* found 3"):
        reader.read(slice(0, 4))
