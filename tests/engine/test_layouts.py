"""Where chunks lie: user blocks, edges, holes, resizing, layouts for h5py."""

from __future__ import annotations

import contextlib

import h5py
import numpy as np
import pytest

from dcread.engine import open_dataset
from dcread.engine.layout import Layout, LeftToH5py
from dcread.errors import FormatError, PolicyError

ZSTD = 32015


def check(handle, expected, *, engine=True, name="x"):
    reader = open_dataset(handle, name)
    found = reader.read(slice(0, len(expected)))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    rows = np.arange(len(expected))[::-2]
    np.testing.assert_array_equal(reader.read(rows), expected[rows])
    assert isinstance(reader.layout, Layout if engine else LeftToH5py), reader.layout
    return reader


@pytest.mark.parametrize("userblock", [512, 2048])
@pytest.mark.parametrize("chunks", [(100,), (1000,), None])
def test_user_block(tools, tmp_path, opened, userblock, chunks):
    data = np.arange(1000)
    path = tmp_path / "u.h5"
    tools.make_dataset(path, data, chunks, userblock_size=userblock)
    new = h5py.version.hdf5_version_tuple >= (2,)
    check(opened(path), data, engine=new)


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_edge_chunks(tools, tmp_path, opened, pipeline, width):
    shape = (37, 11, 5)
    data = np.random.default_rng(0).integers(0, 3, shape).astype(f"u{width}")
    path = tools.make_dataset(tmp_path / "e.h5", data, (8, 4, 3), pipeline)
    # Shuffling alone keeps the size: this might be an edge stored without filters.
    engine = pipeline not in ((2,),)
    check(opened(path), data, engine=engine)


def test_as_small_as_a_chunk_can_become(tools, tmp_path, opened, pipeline):
    """A bound of what a stored byte can become must not refuse what HDF5 writes."""
    data = np.zeros((2**23, 1), "u1")
    path = tools.make_dataset(tmp_path / "z.h5", data, data.shape, pipeline)
    reader = open_dataset(opened(path), "x")
    assert isinstance(reader.layout, Layout)
    assert np.array_equal(reader.read(slice(0, len(data))), data)


@pytest.mark.parametrize("maxshape", [(None, 6), (None, None)])
def test_grown_and_shrunk(tools, tmp_path, opened, maxshape):
    data = np.arange(60, dtype="f4").reshape(10, 6)
    path = tools.make_dataset(tmp_path / "r.h5", data, (4, 3), (3,), maxshape=maxshape)
    with h5py.File(path, "r+") as h5:
        h5["x"].resize((30, 6))
        h5["x"][20:30] = 7
        h5["x"].resize((25, 6))
        h5["x"].resize((5, 6))
        h5["x"].resize((23, 6))
        expected = h5["x"][()]
    assert expected[5:].max() == 0
    check(opened(path), expected)


@pytest.mark.parametrize("fill", [np.nan, -3.5])
@pytest.mark.parametrize("filters", [(), (ZSTD, 3), (2, 1)])
def test_missing_chunks(tools, tmp_path, opened, fill, filters):
    data = np.arange(40 * 6, dtype="f8").reshape(40, 6)
    path = tmp_path / "m.h5"
    tools.make_dataset(path, data, (8, 3), filters, write=False, fill=fill)
    with h5py.File(path, "r+") as h5:
        h5["x"][8:16, 3:] = 1
        h5["x"][33] = 2
        expected = h5["x"][()]
    assert (np.isnan(expected) | (expected == fill)).any()
    reader = check(opened(path), expected)
    found = []
    reader.map_blocks(slice(0, 40), lambda start, block: found.append(block.copy()))
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_nothing_stored(tools, tmp_path, opened):
    data = np.empty((6, 2), "i4")
    path = tmp_path / "n.h5"
    tools.make_dataset(path, data, (2, 2), (3,), write=False, fill=9)
    check(opened(path), np.full((6, 2), 9, "i4"))


def test_nothing_stored_contiguous(tools, tmp_path, opened):
    data = np.empty((6, 2), "i4")
    path = tools.make_dataset(tmp_path / "n.h5", data, write=False, fill=9)
    check(opened(path), np.full((6, 2), 9, "i4"), engine=False)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (4, 0)])
@pytest.mark.parametrize("chunked", [False, True])
def test_no_elements(tmp_path, opened, shape, chunked):
    path = tmp_path / "z.h5"
    with h5py.File(path, "w") as h5:
        limit = tuple(None for _ in shape) if chunked else None
        h5.create_dataset("x", shape, "i2", chunks=chunked or None, maxshape=limit)
    reader = open_dataset(opened(path), "x")
    found = reader.read(slice(0, shape[0]))
    assert found.shape == shape
    assert found.dtype == np.int16
    reader.map_blocks(slice(0, 0), lambda start, block: pytest.fail("no rows"))


def test_compact(tmp_path, opened):
    path = tmp_path / "c.h5"
    data = np.arange(20, dtype="i2")
    with h5py.File(path, "w") as h5:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(data.shape)
        kind = h5py.h5t.py_create(data.dtype)
        h5py.Dataset(h5py.h5d.create(h5.id, b"x", kind, space, plist))[...] = data
    check(opened(path), data, engine=False)


def test_external_storage_is_refused(tmp_path, opened):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(range(40)))
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as h5:
        h5.create_dataset("x", (40,), "u1", external=[(str(secret), 0, 40)])
    handle = opened(path)
    with pytest.raises(PolicyError, match=r"'/x' is stored in another file .*secret"):
        open_dataset(handle, "x").read(slice(0, 40))
    handle.names.follows_links = True
    check(handle, np.arange(40, dtype="u1"), engine=False)


def test_unfiltered_edge_chunks(tools, tmp_path, opened):
    """HDF5 may store partial chunks raw; such datasets go to h5py."""
    data = np.arange(21, dtype="u1").reshape(7, 3)
    path = tools.make_dataset(tmp_path / "f.h5", data, (4, 3), (ZSTD,), write=False)
    raw = np.zeros((4, 3), "u1")
    tools.write_chunk(path, (0, 0), tools.encode(data[:4].tobytes(), (ZSTD,), 1))
    tools.write_chunk(path, (4, 0), raw.tobytes())
    reader = open_dataset(opened(path), "x")
    with contextlib.suppress(FormatError):  # what it is, HDF5 knows; so may its filter
        reader.read(slice(0, 7))
    assert "edge chunks" in str(reader.layout)


@pytest.mark.parametrize(
    "dtype",
    [
        ">i4",
        "<f2",
        "?",
        "S7",
        "c8",
        np.dtype([("a", "<i2"), ("b", ">f8"), ("c", "S3")]),
        np.dtype([("a", "u1"), ("b", "f4", (2,))]),
    ],
)
def test_types(tools, tmp_path, opened, dtype):
    kind = np.dtype(dtype)
    raw = np.random.default_rng(1).integers(0, 2, 50 * kind.itemsize).astype("u1")
    data = raw.view(kind)
    path = tools.make_dataset(tmp_path / "t.h5", data, (8,), (1, 3))
    with h5py.File(path) as h5:
        expected = h5["x"][()]
    found = open_dataset(opened(path), "x").read(slice(0, 50))
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


def test_types_that_need_conversion(tmp_path, opened):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as h5:
        text = h5py.string_dtype()
        h5.create_dataset("text", data=["a", "bc"] * 9, dtype=text, chunks=(4,))
        enum = h5py.enum_dtype({"A": 1, "B": 2}, basetype="i2")
        h5.create_dataset("enum", data=np.array([1, 2, 1], enum), dtype=enum)
    handle = opened(path)
    assert open_dataset(handle, "text").read(slice(1, 3)).tolist() == [b"bc", b"a"]
    assert open_dataset(handle, "text").read(np.array([3, 0])).tolist() == [b"bc", b"a"]
    assert open_dataset(handle, "enum").read(slice(0, 3)).tolist() == [1, 2, 1]


def test_big_contiguous_data_in_bands(tools, tmp_path, opened, threads):
    data = np.random.default_rng(0).integers(0, 256, (300, 100, 130)).astype("u1")
    path = tools.make_dataset(tmp_path / "b.h5", data)
    reader = check(opened(path), data)
    window = (slice(7, 9), slice(0, 130))
    np.testing.assert_array_equal(
        reader.read(slice(50, 290), window=window), data[50:290, 7:9]
    )


def test_output_is_checked(tools, tmp_path, opened):
    path = tools.make_dataset(tmp_path / "o.h5", np.arange(8), (4,))
    reader = open_dataset(opened(path), "x")
    with pytest.raises(ValueError, match="must be"):
        reader.read(slice(0, 8), np.empty(7, "i8"))
    with pytest.raises(ValueError, match="must be"):
        reader.read(slice(0, 8), np.empty(8, "i4"))
    with pytest.raises(ValueError, match="C-contiguous"):
        reader.read(slice(0, 8), np.empty(16, "i8")[::2])


@pytest.mark.parametrize("chunks", [(6, 50), None])
def test_h5py_reads_in_blocks(tools, tmp_path, opened, chunks, monkeypatch):
    monkeypatch.setattr("dcread.engine.h5py_fallback.BLOCK", 1000)
    data = np.random.default_rng(0).integers(0, 99, (100, 50)).astype("u1")
    path = tools.make_dataset(tmp_path / "h.h5", data, chunks)
    with h5py.File(path, "r+") as h5:
        reader = open_dataset(opened(h5), "x")
        assert str(reader.layout) == "open for writing"
        for rows in (slice(0, 100), slice(7, 98), slice(30, 31), slice(5, 99, 4)):
            assert np.array_equal(reader.read(rows), data[rows])
        rows = np.array([99, 3, 3, 50, 4, 0])
        window = (slice(10, 30),)
        assert np.array_equal(reader.read(rows, window=window), data[rows, 10:30])
