"""The index of chunks: looked at as late as can be, and never believed blindly."""

from __future__ import annotations

import contextlib
import pathlib
import struct

import h5py
import numpy as np
import pytest

import dcread
from dcread.engine import open_dataset
from dcread.errors import DCReadError, FormatError

ZSTD = 32015
EVENTS, HEIGHT = 40, 4


def test_single_chunks_are_read_without_the_index(tools, tmp_path, opened):
    data = np.random.default_rng(0).integers(0, 3, 9000).astype("u2")
    path = tools.make_dataset(tmp_path / "m.h5", data, (8,), (ZSTD, 3))
    reader = open_dataset(opened(path), "x")
    assert np.array_equal(reader.read(np.array([8999, 0, 8])), data[[8999, 0, 8]])
    assert np.array_equal(reader.read(slice(800, 816)), data[800:816])
    assert reader.read(slice(7, 8)).tolist() == data[7:8].tolist()
    assert np.array_equal(reader.read(np.array([8998, 1])), data[[8998, 1]])
    assert not reader.layout.index.listed
    rows = np.arange(8999, 0, -7)
    assert np.array_equal(reader.read(rows), data[rows])
    assert reader.layout.index.listed
    assert np.array_equal(reader.read(slice(0, 9000)), data)


def test_rows_asked_for_again_and_again_have_the_index_listed(tools, tmp_path, opened):
    data = np.arange(9000, dtype="u2")
    reader = open_dataset(
        opened(tools.make_dataset(tmp_path / "m.h5", data, (8,))), "x"
    )
    for row in range(0, 9000, 97):
        assert reader.read(slice(row, row + 1)) == data[row]
    assert reader.layout.index.listed


def test_missing_and_unfiltered_chunks_among_many(tools, tmp_path, opened):
    data = np.zeros(9001, "u2")
    path = tmp_path / "m.h5"
    tools.make_dataset(path, data, (8,), (ZSTD,), write=False, fill=5)
    with h5py.File(path, "r+") as h5:
        h5["x"][: 8 * 600] = 1
    reader = open_dataset(opened(path), "x")
    assert reader.read(np.array([0, 8000])).tolist() == [1, 5]
    tools.write_chunk(path, (9000,), b"\1\0" * 8)  # raw, as the last one may be
    reader = open_dataset(opened(path), "x")
    assert reader.read(np.array([0, 77])).tolist() == [1, 1]
    with contextlib.suppress(FormatError):  # what it is, HDF5 knows; so may its filter
        reader.read(slice(9000, 9001))
    assert "edge chunks" in str(reader.layout)
    assert reader.read(np.array([0, 8000])).tolist() == [1, 5]


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "latest"])
@pytest.mark.parametrize(
    "maxshape",
    [(31, None, 6), (31, 4, None), (None, 4, 6), (None, None, 6), (31, None, None)],
)
def test_datasets_that_grow_along_any_axis(tmp_path, opened, libver, maxshape):
    data = np.arange(1, 31 * 4 * 6 + 1, dtype="u2").reshape(31, 4, 6)
    path = tmp_path / "g.h5"
    options = {"chunks": (8, 2, 3), "maxshape": maxshape, "fletcher32": True}
    with h5py.File(path, "w", libver=libver) as h5:
        h5.create_dataset("x", data=data, **options)
    reader = open_dataset(opened(path), "x")
    assert np.array_equal(reader.read(slice(0, 31)), data)
    for row in (0, 8, 30):
        assert np.array_equal(reader.read(slice(row, row + 1)), data[row : row + 1])


def sparse(path, shape, chunk, **options):
    with h5py.File(path, "w", **options) as h5:
        image = h5.create_dataset(
            "x",
            shape,
            "u1",
            chunks=chunk,
            compression="gzip",
            maxshape=(None, *shape[1:]),
        )
        image[: chunk[0]] = 1
        image[-1] = 2


@pytest.mark.parametrize("events", [10**6, 10**10])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_few_stored_chunks_of_any_number(tmp_path, opened, events, libver):
    sparse(tmp_path / "s.h5", (events, 8, 9), (4, 8, 9), libver=libver)
    reader = open_dataset(opened(tmp_path / "s.h5"), "x")
    rows = np.array([events - 1, 0, 5, events // 2])
    found = reader.read(rows)[:, 3, 3].tolist()
    assert found == [2, 1, 0, 0]
    assert reader.read(slice(events - 1, events)).max() == 2
    assert reader.read(slice(events // 3, events // 3 + 2)).max() == 0
    if events > 10**6:
        with pytest.raises(FormatError, match="far more than the file can hold"):
            reader.read(slice(0, events, 3))


# A version 1 B-tree: each chunk has its size, mask, first element, and its address.


def measurement(path: pathlib.Path, checksum: bool = True) -> bytearray:
    """Write 40 images in 10 chunks; return the bytes of the file."""
    images = np.arange(1, EVENTS * 80 + 1, dtype="<u2").reshape(EVENTS, 8, 10)
    with h5py.File(path, "w", libver="earliest") as h5:
        h5.attrs["experiment:event count"] = EVENTS
        h5["events/deform"] = np.arange(float(EVENTS))
        h5.create_dataset(
            "events/image", data=images, chunks=(HEIGHT, 8, 10), fletcher32=checksum
        )
    return bytearray(path.read_bytes())


def entry_of(path: pathlib.Path, raw: bytearray, chunk: int) -> int:
    """Return where the address of a chunk stands in the file."""
    with h5py.File(path) as h5:
        address = h5["events/image"].id.get_chunk_info(chunk).byte_offset
    old = struct.pack("<Q", address)
    assert raw.count(old) == 1
    return raw.find(old)


def set_number(raw: bytearray, place: int, number: int, width: int = 8) -> None:
    raw[place : place + width] = number.to_bytes(width, "little")


ADDRESSES = [2**63, 2**63 + 4096, 2**64 - 2, 2**64 - 1, 2**63 - 1, 10**6, 2**62]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("checksum", [True, False])
def test_addresses_outside_the_file_are_damage(tmp_path, address, checksum):
    path = tmp_path / "x.rtdc"
    raw = measurement(path, checksum)
    set_number(raw, entry_of(path, raw, 3), address)
    path.write_bytes(raw)
    with dcread.HDF5Data(path) as hd:
        for read in (
            lambda: hd["image"][:],
            lambda: hd["image"][12],
            lambda: hd["image"].get_chunk(0),
            lambda: hd["image"][[13, 2]],
        ):
            with pytest.raises(FormatError, match="/events/image") as info:
                read()
            assert "x.rtdc" in str(info.value)
        if address not in (2**64 - 1,):  # what HDF5 lists, can be read
            assert hd["image"][0][0, 0] == 1
            assert hd["image"][39][7, 9] == EVENTS * 80


@pytest.mark.parametrize(
    "row", [4, 36, 40, 400, 13, 2**63, 2**64 - 4], ids=lambda n: f"row{n}"
)
def test_chunks_at_impossible_places_are_damage(tmp_path, row):
    """Of the first chunk at the place of another, outside, or between two."""
    path = tmp_path / "x.rtdc"
    raw = measurement(path)
    set_number(raw, entry_of(path, raw, 3) - 32, row)
    path.write_bytes(raw)
    with dcread.HDF5Data(path) as hd, pytest.raises(DCReadError, match="image"):
        hd["image"][:]


@pytest.mark.parametrize("size", [0, 2**32 - 1, 100])
def test_stored_sizes_that_cannot_be_are_damage(tmp_path, size):
    path = tmp_path / "x.rtdc"
    raw = measurement(path)
    set_number(raw, entry_of(path, raw, 3) - 40, size, 4)
    path.write_bytes(raw)
    with dcread.HDF5Data(path) as hd:
        with pytest.raises(DCReadError, match="image"):
            hd["image"][:]
        with pytest.raises(DCReadError, match="image"):
            hd["image"][12]


def test_a_newer_index_with_a_bad_checksum(tmp_path):
    path = tmp_path / "x.rtdc"
    with h5py.File(path, "w", libver="latest") as h5:
        data = np.ones((40, 8, 10), "u1")
        h5.create_dataset("events/image", data=data, chunks=(4, 8, 10))
    raw = bytearray(path.read_bytes())
    raw[raw.find(b"FADB") + 20] ^= 255
    path.write_bytes(raw)
    with dcread.HDF5Data(path) as hd:
        for index in (slice(None), 5):
            with pytest.raises(FormatError, match=r"x\.rtdc: .*image"):
                hd["image"][index]


READ = """
import sys, dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    for index in (slice(None), 30, slice(20, 30), [39, 1]):
        try:
            hd["image"][index]
        except dcread.DCReadError as exc:
            print(type(exc).__name__)
"""


@pytest.mark.parametrize("size", [0xFF000000, 0x7F000000, 0xFFFFFFFE, 7])
def test_damaged_fill_values(tmp_path, size, run_python):
    """HDF5 does not survive being asked for some of them."""
    path = tmp_path / "x.rtdc"
    with h5py.File(path, "w", libver="earliest") as h5:
        h5.attrs["experiment:event count"] = 40
        image = h5.create_dataset("events/image", (40, 8, 10), "u1", chunks=(4, 8, 10))
        image[:20] = 1
    raw = path.read_bytes()
    message = b"\x02\x03\x02\x01\x00\x00\x00\x00"  # version 2, no bytes follow
    assert raw.count(message) == 1
    path.write_bytes(raw.replace(message, message[:4] + struct.pack("<I", size)))
    told = run_python(READ, path).stdout.split()
    assert set(told) <= {"FormatError"}
    if size > 2**31:
        assert len(told) >= 3
