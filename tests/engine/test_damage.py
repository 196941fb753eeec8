"""Damaged chunks: the right error, naming file, dataset, chunk and stage."""

from __future__ import annotations

import os
import zlib

import h5py
import numpy as np
import pytest

from dcread import engine
from dcread.engine import open_dataset
from dcread.errors import ChecksumError, FileChangedError, FormatError

DEFLATE, SHUFFLE, FLETCHER32, LZF, ZSTD = 1, 2, 3, 32000, 32015
RAW = bytes(range(32)) * 8  # a chunk of 32 x 8 bytes
SHAPE = (64, 8)


@pytest.fixture
def damaged(tools, tmp_path, opened):
    """Give a reader of a dataset whose second chunk is made of these bytes."""

    def make(filters, stored, mask=0, dtype="u1"):
        data = np.zeros((SHAPE[0], SHAPE[1] // np.dtype(dtype).itemsize), dtype)
        path = tmp_path / "damaged.rtdc"
        tools.make_dataset(path, data, (32, data.shape[1]), filters, write=False)
        tools.write_chunk(path, (0, 0), tools.encode(RAW, filters, data.itemsize))
        tools.write_chunk(path, (32, 0), stored, mask)
        return open_dataset(opened(path), "x")

    return make


def check(reader, kind, *phrases):
    """Reading the bad chunk fails, reading the good one does not."""
    with pytest.raises(kind) as info:
        reader.read(slice(0, 64))
    assert type(info.value) is kind
    message = str(info.value)
    for phrase in (
        "damaged.rtdc",
        "'/x'",
        "chunk at (32, 0)",
        "copy it again",
        *phrases,
    ):
        assert phrase in message
    assert reader.read(slice(0, 32)).tobytes() == RAW
    with pytest.raises(kind):
        reader.read(np.array([1, 63, 1]))


@pytest.mark.parametrize("filters", [(FLETCHER32,), (ZSTD, FLETCHER32)])
@pytest.mark.parametrize("position", [0, 17, -5, -1])
def test_a_flipped_bit(tools, damaged, filters, position):
    stored = bytearray(tools.encode(RAW, filters, 1))
    stored[position] ^= 4
    check(damaged(filters, bytes(stored)), ChecksumError, "fletcher32")


def test_checksum_before_compression(tools, damaged):
    wrong = bytearray(tools.checksummed(RAW))
    wrong[3] ^= 1
    stored = tools.zstd_frame(bytes(wrong))
    check(damaged((FLETCHER32, ZSTD), stored), ChecksumError, "fletcher32")


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("fill", [0x00, 0xFF, 0x80])
@pytest.mark.parametrize("size", [1, 7, 255, 256])
def test_good_checksums(tools, tmp_path, swap, fill, size):
    """Also those that HDF5 before 1.6.3 wrote with swapped bytes."""
    data = np.full((size, 1), fill, "u1")
    data[size // 2] = 3
    path = tools.make_dataset(tmp_path / "a.h5", data, data.shape, (3,), write=False)
    tools.write_chunk(path, (0, 0), tools.encode(data.tobytes(), (3,), 1, swap=swap))
    found = open_dataset(engine.open_file(path), "x").read(slice(0, size))
    assert np.array_equal(found, data)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_too_short_for_a_checksum(damaged, size):
    check(damaged((ZSTD, FLETCHER32), b"\0" * size), FormatError, "decoded")


def test_all_zero_chunk(damaged):
    """Its checksum is right, since zeros add up to zero."""
    check(damaged((ZSTD, FLETCHER32), b"\0" * 40), FormatError, "zstd")


def test_left_out_checksum(tools, damaged):
    stored = tools.encode(RAW, (ZSTD,), 1)
    reader = damaged((ZSTD, FLETCHER32), stored, mask=2)
    check(reader, ChecksumError, "as in the rest")


@pytest.mark.parametrize("data", [RAW[:-1], RAW + b"x", RAW[:1], RAW * 3])
@pytest.mark.parametrize("checksum", [False, True])
def test_zstd_of_another_length(tools, damaged, data, checksum):
    stored = tools.zstd_frame(data)
    filters = (ZSTD, FLETCHER32) if checksum else (ZSTD,)
    stored = tools.checksummed(stored) if checksum else stored
    check(damaged(filters, stored), FormatError, "zstd", "exactly")


@pytest.mark.parametrize("data", [RAW[:-1], RAW + b"x", RAW[:1], RAW * 3])
def test_gzip_of_another_length(damaged, data):
    check(damaged((DEFLATE,), zlib.compress(data)), FormatError, "gzip", "exactly")


@pytest.mark.parametrize("filters", [(DEFLATE,), (ZSTD,), (LZF,)])
@pytest.mark.parametrize("stored", [b"\xff" * 60, b"x", b"\0" * 300, os.urandom(99)])
def test_garbage(tools, tmp_path, opened, filters, stored):
    data = np.zeros(SHAPE, "u1")
    path = tools.make_dataset(tmp_path / "g.h5", data, (32, 8), filters, write=False)
    tools.write_chunk(path, (32, 0), stored)
    with pytest.raises(FormatError, match=r"'/x', chunk at \(32, 0\)"):
        open_dataset(opened(path), "x").read(slice(0, 64))


def test_gzip_with_a_wrong_adler(damaged):
    stored = bytearray(zlib.compress(RAW))
    stored[-1] ^= 1
    check(damaged((DEFLATE,), bytes(stored)), FormatError, "gzip")


def test_truncated_streams(tools, damaged):
    check(damaged((DEFLATE,), zlib.compress(RAW)[:-6]), FormatError, "gzip")


@pytest.mark.parametrize("size", [None, 256])
def test_zstd_frames_that_are_right(tools, tmp_path, opened, size):
    """One without its content's size, and two frames in one chunk."""
    data = np.frombuffer(RAW * 2, "u1").reshape(SHAPE)
    path = tools.make_dataset(tmp_path / "z.h5", data, (32, 8), (ZSTD,), write=False)
    tools.write_chunk(path, (0, 0), tools.zstd_raw_frame(RAW, size=size))
    halves = tools.zstd_frame(RAW[:128]) + tools.zstd_raw_frame(RAW[128:], size=None)
    tools.write_chunk(path, (32, 0), halves)
    assert np.array_equal(open_dataset(opened(path), "x").read(slice(0, 64)), data)


@pytest.mark.parametrize("size", [255, 257, 2**31])
def test_zstd_frames_that_lie_about_their_size(tools, damaged, size):
    stored = tools.zstd_raw_frame(RAW, size=size)
    check(damaged((ZSTD,), stored), FormatError, "zstd")


@pytest.mark.parametrize("stored", [RAW[:-1], RAW + b"x", RAW[:5]])
def test_raw_chunk_of_another_size(damaged, stored):
    check(damaged((DEFLATE,), stored, mask=1), FormatError, "expected 256 bytes")


def test_shuffled_chunk_of_another_size(tools, damaged):
    stored = tools.zstd_frame(tools.shuffled(RAW + b"xxxx", 4))
    check(damaged((SHUFFLE, ZSTD), stored, dtype="u4"), FormatError, "zstd")


def test_impossible_expansion(tools, tmp_path, opened):
    """A bomb is refused before memory is taken for it."""
    data = np.zeros((1, 2**24), "u1")
    path = tools.make_dataset(tmp_path / "b.h5", data, data.shape, (1,), write=False)
    tools.write_chunk(path, (0, 0), zlib.compress(b"x"))
    with pytest.raises(FormatError, match="cannot give that many"):
        open_dataset(opened(path), "x").read(slice(0, 1))


def test_huge_chunks(tools, tmp_path, opened):
    data = np.empty((1, 2**28 + 1), "u1")
    path = tools.make_dataset(tmp_path / "h.h5", data, data.shape, (1,), write=False)
    with pytest.raises(FormatError, match="chunks of at most 268435456 bytes"):
        open_dataset(opened(path), "x").read(slice(0, 1), window=(slice(0, 1),))


@pytest.mark.parametrize("cut", [1, 300, 2000])
@pytest.mark.parametrize("chunks", [(16, 32), None])
def test_truncated_while_open(tools, tmp_path, opened, cut, chunks):
    data = np.arange(64 * 32, dtype="u2").reshape(64, 32)
    path = tools.make_dataset(tmp_path / "t.h5", data, chunks)
    reader = open_dataset(opened(path), "x")
    assert np.array_equal(reader.read(slice(0, 64)), data)
    os.truncate(path, path.stat().st_size - cut)
    with pytest.raises(FileChangedError, match="changed after it was opened"):
        reader.read(slice(0, 64))


def test_written_while_open(tools, tmp_path, opened):
    data = np.arange(64, dtype="u2")
    path = tools.make_dataset(tmp_path / "w.h5", data, (16,))
    reader = open_dataset(opened(path), "x")
    with path.open("r+b") as stream:
        stream.seek(-3, os.SEEK_END)
        stream.write(b"abc")
    os.utime(path, ns=(1, 1))
    with pytest.raises(FileChangedError):
        reader.read(slice(0, 64))


def test_index_that_leads_beyond_the_file(tools, tmp_path, opened):
    """HDF5 knows the end of the file, not the ends of the chunks."""
    data = np.arange(4096, dtype="u1").reshape(64, 64)
    path = tools.make_dataset(tmp_path / "i.h5", data, (64, 64))
    with h5py.File(path) as h5:
        place = h5["x"].id.get_chunk_info(0).byte_offset
    content = path.read_bytes()
    size = path.stat().st_size
    wrong = (size - 100).to_bytes(8, "little")
    assert content.count(place.to_bytes(8, "little")) >= 1
    path.write_bytes(content.replace(place.to_bytes(8, "little"), wrong))
    with pytest.raises(FormatError, match="truncated"):
        open_dataset(opened(path), "x").read(slice(0, 64))


def test_no_checksum_no_silent_zeros(tools, tmp_path, opened):
    """An error leaves the reader usable and gives nothing half filled."""
    data = np.arange(4096, dtype="u1").reshape(64, 64)
    path = tools.make_dataset(tmp_path / "n.h5", data, (8, 64), (ZSTD,))
    tools.write_chunk(path, (16, 0), b"junk")
    reader = open_dataset(opened(path), "x")
    seen = []
    with pytest.raises(FormatError, match=r"chunk at \(16, 0\)"):
        reader.map_blocks(slice(0, 64), lambda start, block: seen.append(start))
    assert np.array_equal(reader.read(slice(24, 64)), data[24:])
