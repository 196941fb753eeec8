"""Opening: what is no measurement, who else has it open, what comes of closing."""

from __future__ import annotations

import gc
import io
import os
import pathlib
import socket
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest

from dcread import engine
from dcread.engine import open_dataset
from dcread.engine.layout import Layout, LeftToH5py
from dcread.errors import (
    ClosedError,
    FileChangedError,
    FileMissingError,
    FormatError,
    NotAFileError,
)

DATA = np.arange(4000, dtype="u2").reshape(100, 40)


@pytest.fixture
def path(tools, tmp_path):
    return tools.make_dataset(tmp_path / "a.rtdc", DATA, (8, 40), (32015, 3))


def rows(handle):
    return open_dataset(handle, "x").read(slice(0, 100))


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_kinds_of_paths(path, opened, monkeypatch):
    monkeypatch.setenv("HOME", str(path.parent))
    monkeypatch.chdir(path.parent)
    for target in (path, str(path), "a.rtdc", "~/a.rtdc", pathlib.Path("./a.rtdc")):
        handle = opened(target)
        assert handle.path.is_absolute()
        assert np.array_equal(rows(handle), DATA)


def test_relative_path_is_made_absolute_at_once(path, opened, monkeypatch):
    monkeypatch.chdir(path.parent)
    handle = opened("a.rtdc")
    monkeypatch.chdir("/")
    handle.check_unchanged()
    assert np.array_equal(rows(handle), DATA)


@pytest.mark.parametrize("name", ["none.rtdc", "no/such/folder.rtdc"])
def test_missing(tmp_path, name):
    with pytest.raises(FileMissingError, match=name):
        engine.open_file(tmp_path / name)


def test_not_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(NotAFileError, match=r"fifo: expected a regular file.*a FIFO"):
        engine.open_file(tmp_path / "fifo")  # and does not wait for a writer
    with pytest.raises(NotAFileError, match="found a directory"):
        engine.open_file(tmp_path)
    with pytest.raises(NotAFileError, match="character device"):
        engine.open_file("/dev/zero")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        with pytest.raises(NotAFileError):
            engine.open_file(tmp_path / "s")


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "found an empty file"),
        (b"x", "one of 1 bytes without an HDF5 signature"),
        (b"Hello, this is text\n" * 100, "one of 2000 bytes without an HDF5 signature"),
        (b"\x89HDF\r\n\x1a\n", "readable HDF5 file"),
        (b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000, "readable HDF5 file"),
    ],
)
def test_not_hdf5(tmp_path, content, phrase):
    bad = tmp_path / "bad.rtdc"
    bad.write_bytes(content)
    gc.collect()  # what other tests left open
    before = descriptors()
    with pytest.raises(FormatError, match=r"bad\.rtdc: expected") as info:
        engine.open_file(bad)
    assert phrase in str(info.value)
    assert "Hello" not in str(info.value), "bytes of other files in a message"
    del info
    gc.collect()
    assert descriptors() == before


def test_truncated(path):
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(FormatError, match=r"a.rtdc.*truncated"):
        engine.open_file(path)


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_truncated_is_not_taken_for_growing(tmp_path, libver):
    """HDF5 would open it as a reader beside a writer, and wait for ever."""
    path = tmp_path / "cut.rtdc"
    with h5py.File(path, "w", libver=libver) as h5:
        h5["events/deform"] = np.arange(10_000.0)
    for size in (path.stat().st_size - 1, 40_000):
        os.truncate(path, size)
        with pytest.raises(FormatError, match=r"cut.rtdc.*truncated"):
            engine.open_file(path)


@pytest.mark.parametrize("kind", [io.BytesIO, io.BufferedReader])
def test_file_objects(path, opened, kind):
    stream = io.BytesIO(path.read_bytes()) if kind is io.BytesIO else path.open("rb")
    with stream:
        handle = opened(stream)
        assert handle.path is None
        assert np.array_equal(rows(handle), DATA)
        assert isinstance(open_dataset(handle, "x").layout, Layout)
        picked = np.array([99, 0, 0, 50])
        assert np.array_equal(open_dataset(handle, "x").read(picked), DATA[picked])
        handle.close()
        assert not stream.closed


def test_damage_in_file_objects(tools, path, opened):
    tools.write_chunk(path, (8, 0), b"junk!!")
    handle = opened(io.BytesIO(path.read_bytes()))
    with pytest.raises(FormatError, match=r"BytesIO.*chunk at \(8, 0\)"):
        rows(handle)


def test_not_hdf5_file_object():
    with pytest.raises(FormatError, match="file object"):
        engine.open_file(io.BytesIO(b"nothing"))


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"mode": "r"}, Layout),
        ({"mode": "r", "driver": "stdio"}, LeftToH5py),
        ({"mode": "r", "driver": "core"}, LeftToH5py),
        ({"mode": "r+"}, LeftToH5py),
        ({"mode": "r", "locking": False}, Layout),
        ({"mode": "r", "libver": "latest", "rdcc_nbytes": 10**7}, Layout),
    ],
)
def test_callers_own_h5py_file(path, options, kind):
    with h5py.File(path, **options) as h5:
        handle = engine.open_file(h5)
        assert isinstance(open_dataset(handle, "x").layout, kind)
        assert np.array_equal(rows(handle), DATA)
        reader = engine.reader_for(h5["x"])
        assert np.array_equal(reader.read(slice(3, 99, 7)), DATA[3:99:7])
        handle.close()
        assert h5.id.valid
        with pytest.raises(ClosedError):
            rows(handle)


def test_written_data_are_seen_at_once(path):
    with h5py.File(path, "r+") as h5:
        handle = engine.open_file(h5)
        assert np.array_equal(rows(handle), DATA)
        h5["x"][5] = 7
        assert (rows(handle)[5] == 7).all()


def test_file_in_memory(opened):
    with h5py.File("nowhere", "w", driver="core", backing_store=False) as h5:
        h5["x"] = DATA
        assert np.array_equal(rows(opened(h5)), DATA)


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "r"},
        {"mode": "r", "locking": False},
        {"mode": "r", "locking": True},
        {"mode": "r", "locking": "best-effort"},
        {"mode": "r+"},
        {"mode": "a", "libver": "latest"},
    ],
)
def test_open_elsewhere_in_this_process(path, opened, options):
    with h5py.File(path, **options) as h5:
        handle = opened(path)
        assert np.array_equal(rows(handle), DATA)
        by_h5py = isinstance(open_dataset(handle, "x").layout, LeftToH5py)
        assert by_h5py == (h5.mode == "r+")
        if by_h5py:
            h5["x"][3] = 9  # seen before it is on disk
            assert (rows(handle)[3] == 9).all()
            h5["x"][3] = DATA[3]
    assert np.array_equal(rows(handle), DATA)


def test_swmr(tmp_path, opened):
    path = tmp_path / "swmr.h5"
    ready = "import h5py, sys; import numpy as np\n" + (
        f"h5 = h5py.File({str(path)!r}, 'w', libver='latest')\n"
        "d = h5.create_dataset('x', (4,), 'i4', chunks=(4,), maxshape=(None,))\n"
        "h5.swmr_mode = True\n"
        "for n in (4, 8):\n"
        "    d.resize((n,)); d[:] = np.arange(n); d.flush()\n"
        "    print('ready', flush=True); sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", ready],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout.readline() == "ready\n"
        handle = opened(path)
        reader = open_dataset(handle, "x")
        assert isinstance(reader.layout, LeftToH5py)
        assert reader.read(slice(0, 4)).tolist() == [0, 1, 2, 3]
        writer.stdin.write("go\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "ready\n"
        handle.close()
        assert open_dataset(opened(path), "x").read(slice(0, 8)).tolist() == list(
            range(8)
        )
        writer.stdin.write("go\n")
        writer.stdin.close()
        assert writer.wait() == 0


def test_replaced_file_keeps_its_content(tools, path, opened):
    handle = opened(path)
    other = tools.make_dataset(path.parent / "b", DATA + 1, (8, 40), (32015, 3))
    other.replace(path)
    assert np.array_equal(rows(handle), DATA)
    with pytest.raises(FileChangedError, match="changed after"):
        handle.check_unchanged()


def test_h5py_file_of_a_replaced_path(tools, path):
    """The descriptor must lead to the file that HDF5 has open."""
    with h5py.File(path) as h5:
        other = tools.make_dataset(path.parent / "b", DATA + 1, (8, 40), (32015, 3))
        other.replace(path)
        handle = engine.open_file(h5)
        assert isinstance(open_dataset(handle, "x").layout, LeftToH5py)
        assert np.array_equal(rows(handle), DATA)


def test_close(path):
    before = descriptors()
    handle = engine.open_file(path)
    reader = open_dataset(handle, "x")
    reader.read(slice(0, 9))
    handle.close()
    handle.close()
    assert handle.closed
    for action in (
        lambda: reader.read(slice(0, 9)),
        lambda: reader.read(slice(0, 0)),
        lambda: reader.map_blocks(slice(0, 9), print),
        lambda: open_dataset(handle, "x"),
        lambda: handle.h5,
    ):
        with pytest.raises(ClosedError, match=r"a\.rtdc is closed"):
            action()
    assert descriptors() == before


def test_forgotten_handles_leak_nothing(path):
    before = descriptors()
    for _ in range(50):
        rows(engine.open_file(path))
    gc.collect()
    assert descriptors() <= before + 1


def test_close_while_reading(path, threads, running):
    """Reads in flight finish, later ones get ClosedError and nothing else."""
    for _ in range(20):
        handle = engine.open_file(path)
        reader = open_dataset(handle, "x")
        begun = threading.Barrier(9)

        def read(reader=reader, begun=begun):
            begun.wait()
            while True:
                assert np.array_equal(reader.read(slice(0, 100)), DATA)

        with running(*8 * [read], until=ClosedError):
            begun.wait()
            handle.close()


def test_names_of_things_that_are_no_datasets(path, opened):
    handle = opened(path)
    with pytest.raises(KeyError):
        open_dataset(handle, "nothing")
    with pytest.raises(FormatError, match="to be a dataset"):
        open_dataset(handle, "/")


def test_h5py_objects_of_our_own_files(path, opened):
    """Whoever hands a dataset of ours back gets the engine as well."""
    handle = opened(path)
    reader = engine.reader_for(handle.h5["x"])
    assert isinstance(reader.layout, Layout)
    assert np.array_equal(reader.read(slice(0, 100)), DATA)
    handle.close()
    with pytest.raises(ClosedError):
        reader.read(slice(0, 100))
