"""Rows at the beginning of a chunk: no more of the chunk is decoded than they need."""

from __future__ import annotations

import contextlib
import sys
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcread import engine
from dcread.engine import open_dataset
from dcread.errors import FormatError

DEFLATE, SHUFFLE, FLETCHER32, ZSTD = 1, 2, 3, 32015
ROWS, WIDTH = 20, 40_000  # several zstd blocks (of 128 KiB) in a chunk
FRAME = ROWS * WIDTH


def images(rows=2 * ROWS, seed=0):
    """Smooth rows with some noise: they shrink, but not to nothing."""
    rng = np.random.default_rng(seed)
    walk = rng.integers(-1, 2, (rows, WIDTH)).cumsum(axis=1)
    return (walk + rng.integers(0, 4, walk.shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def data():
    return images()


@pytest.fixture
def write(tools, tmp_path, opened, data):
    """Give a reader of two chunks, the second one as stored here."""

    def make(stored, filters=(ZSTD, FLETCHER32)):
        path = tmp_path / "early.rtdc"
        tools.make_dataset(path, data, (ROWS, WIDTH), filters, write=False)
        good = tools.encode(data[:ROWS].tobytes(), filters, 1)
        tools.write_chunk(path, (0, 0), good)
        tools.write_chunk(path, (ROWS, 0), stored)
        return open_dataset(opened(path), "x")

    return make


def damaged_end(tools, data):
    """Return a frame whose last bytes are not what was compressed."""
    frame = tools.zstd_frame(data[ROWS:].tobytes())
    return frame[: -len(frame) // 4] + b"\xff" * (len(frame) // 4)


@pytest.mark.parametrize(
    "rows",
    [
        slice(ROWS, ROWS + 1),
        slice(ROWS - 3, ROWS + 2),
        np.array([ROWS + 1, 3, ROWS, ROWS + 1]),
        np.arange(0, ROWS + 2, 3),
    ],
    ids=str,
)
def test_what_is_not_needed_is_not_decoded(tools, write, data, rows):
    """Its damage shows that: the checksum is right, the frame's end is not."""
    reader = write(tools.checksummed(damaged_end(tools, data)))
    assert reader.stops_early
    np.testing.assert_array_equal(reader.read(rows), data[rows])
    last = 2 * ROWS - 1
    for beyond in (slice(last, last + 1), slice(0, last + 1), np.array([0, last])):
        with pytest.raises(FormatError, match=rf"chunk at \({ROWS}, 0\).* zstd"):
            reader.read(beyond)
    # the decoder is as good as before
    np.testing.assert_array_equal(reader.read(slice(0, ROWS)), data[:ROWS])


@pytest.mark.skipif(sys.platform == "win32", reason="libdeflate is not exported there")
@pytest.mark.parametrize("level", [0, 1, 5, 9])
def test_gzip_is_decoded_little_further_than_needed(tools, write, data, level):
    """The end of a stream is damaged, or not there, behind a right checksum.

    At level 0 it has blocks of 64 KiB that are stored as they are.
    """
    stream = zlib.compress(data[ROWS:].tobytes(), level)
    damaged = tools.checksummed(stream[: -len(stream) // 4] + b"\xff" * 100)
    reader = write(damaged, (DEFLATE, FLETCHER32))
    enough = 2 * ROWS // 3 - 1
    for rows in (
        *(slice(ROWS, ROWS + row) for row in range(1, enough)),
        slice(ROWS - 3, ROWS + 2),
        np.array([ROWS + 1, 3, ROWS, ROWS + 1]),
        np.arange(0, ROWS + enough, 3),
    ):
        np.testing.assert_array_equal(reader.read(rows), data[rows])
    last = 2 * ROWS - 1
    for beyond in (slice(last, last + 1), slice(0, last + 1), np.array([0, last])):
        with pytest.raises(FormatError, match=rf"chunk at \({ROWS}, 0\).* gzip"):
            reader.read(beyond)
    np.testing.assert_array_equal(reader.read(slice(0, ROWS)), data[:ROWS])


@pytest.mark.parametrize("size", [1000, FRAME // 2])
def test_gzip_that_ends_too_early(tools, write, data, size):
    """Also where the rows that are wanted would be there."""
    stream = zlib.compress(data[ROWS:].tobytes()[:size])
    reader = write(tools.checksummed(stream), (DEFLATE, FLETCHER32))
    last = -(-size // WIDTH) - 1
    with pytest.raises(FormatError, match="gzip"):
        reader.read(slice(ROWS + last, ROWS + last + 1))


@pytest.mark.parametrize(
    "filters", [(DEFLATE,), (FLETCHER32, DEFLATE), (SHUFFLE, DEFLATE, FLETCHER32)]
)
def test_gzip_without_a_checksum_of_the_stored_bytes(tools, write, data, filters):
    stream = zlib.compress(data[ROWS:].tobytes())[:-1000]
    stored = tools.checksummed(stream) if filters[-1] == FLETCHER32 else stream
    reader = write(stored, filters)
    with pytest.raises(FormatError, match="gzip"):
        reader.read(slice(ROWS, ROWS + 1))


@pytest.mark.parametrize(
    "filters", [(ZSTD,), (FLETCHER32, ZSTD), (SHUFFLE, ZSTD, FLETCHER32)]
)
def test_without_a_checksum_of_the_stored_bytes_all_is_decoded(
    tools, write, data, filters
):
    stored = damaged_end(tools, data)
    stored = tools.checksummed(stored) if filters[-1] == FLETCHER32 else stored
    reader = write(stored, filters)
    with pytest.raises(FormatError, match="zstd"):
        reader.read(slice(ROWS, ROWS + 1))


@pytest.mark.parametrize("size", [None, FRAME - 1, FRAME + 1])
def test_a_frame_that_does_not_tell_its_size_rightly(tools, write, data, size):
    """It is decoded to its end, where it turns out to be right, or wrong."""
    raw = data[ROWS:].tobytes()
    if size is None:
        halves = raw[: FRAME - 1000], raw[FRAME - 1000 :]
        frames = tools.zstd_frame(halves[0]) + tools.zstd_frame(halves[1])
        reader = write(tools.checksummed(frames))
        np.testing.assert_array_equal(
            reader.read(slice(ROWS + 1, ROWS + 2)), data[ROWS + 1 : ROWS + 2]
        )
    else:
        reader = write(tools.checksummed(tools.zstd_frame((raw + b"x")[:size])))
        with pytest.raises(FormatError, match="exactly"):
            reader.read(slice(ROWS, ROWS + 1))


@pytest.mark.slow
@settings(max_examples=60)
@given(st.data())
def test_any_rows_and_window_like_h5py(tmp_path_factory, tools, data, draw):
    """Chunks of many shapes, rows in any order, parts of rows."""
    rows = draw.draw(st.integers(1, 40), label="rows")
    height = draw.draw(st.integers(1, 24), label="chunk")
    stack = data[:rows].reshape(rows, 200, 200)
    path = tmp_path_factory.mktemp("early") / "any.rtdc"
    codec = draw.draw(st.sampled_from([DEFLATE, ZSTD]), label="codec")
    tools.make_dataset(
        path, stack, (height, 200, 200), (codec, FLETCHER32), maxshape=(None, 200, 200)
    )
    wanted = draw.draw(
        st.lists(st.integers(0, rows - 1), min_size=1, max_size=9), label="wanted"
    )
    start = draw.draw(st.integers(0, 199), label="start")
    window = (slice(start, draw.draw(st.integers(start + 1, 200))), slice(3, 90))
    with h5py.File(path) as h5:
        expected = h5["x"][:]
    part = slice(min(wanted), max(wanted) + 1)
    with contextlib.closing(engine.open_file(path)) as handle:
        reader = open_dataset(handle, "x")
        for chosen in (np.array(wanted), part):
            np.testing.assert_array_equal(reader.read(chosen), expected[chosen])
            np.testing.assert_array_equal(
                reader.read(chosen, window=window), expected[(chosen, *window)]
            )


@pytest.mark.slow
@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.integers(0, ROWS - 1))
def test_damage_behind_a_right_checksum(tools, tmp_path_factory, data, seed, row):
    """Whatever the frame has become: rows or an error, and no crash."""
    rng = np.random.default_rng(seed)
    frame = bytearray(tools.zstd_frame(data[ROWS:].tobytes()))
    for _ in range(rng.integers(1, 5)):
        frame[rng.integers(0, min(len(frame), 4 ** rng.integers(2, 10)))] ^= (
            1 << rng.integers(0, 8)
        )
    if rng.integers(0, 4) == 0:
        del frame[rng.integers(5, len(frame)) :]
    path = tmp_path_factory.mktemp("early") / "damaged.rtdc"
    tools.make_dataset(path, data, (ROWS, WIDTH), (ZSTD, FLETCHER32), write=False)
    tools.write_chunk(path, (ROWS, 0), tools.checksummed(bytes(frame)))
    with contextlib.closing(engine.open_file(path)) as handle:
        found = np.zeros((0, WIDTH))
        with contextlib.suppress(FormatError):
            found = open_dataset(handle, "x").read(slice(ROWS + row, ROWS + row + 1))
        assert found.shape in ((0, WIDTH), (1, WIDTH))
