"""Files that are rewritten in place while they are open, and positions after a fork."""

from __future__ import annotations

import os

import h5py
import hdf5plugin
import numpy as np
import pytest

from dcread.engine import open_dataset
from dcread.errors import DCReadError, FileChangedError

NEW = np.arange(300, dtype="f4").reshape(100, 3)


@pytest.fixture
def path(tools, tmp_path):
    data = np.arange(4000, dtype="u2").reshape(100, 40)
    return tools.make_dataset(tmp_path / "a.rtdc", data, (8, 40), (32015, 3))


@pytest.fixture
def rewrite(path, run_python):
    """A function that lets another process write a new file into the same inode."""
    code = (
        "import h5py, sys, numpy as np\n"
        "with h5py.File(sys.argv[1], 'w') as h5:\n"
        "    h5['y'] = 1\n"
        "    h5.create_dataset('x', data=np.arange(300, dtype='f4').reshape(100, 3),\n"
        "                      chunks=(30, 3), fletcher32=True)\n"
    )

    def write():
        inode = path.stat().st_ino
        run_python(code, path)
        assert path.stat().st_ino == inode

    return write


def test_opened_again_shows_what_the_file_is_now(path, opened, rewrite):
    old = opened(path)
    rewrite()
    for _ in range(2):
        again = opened(path)
        assert sorted(again.h5) == ["x", "y"]
        reader = open_dataset(again, "x")
        assert reader.handle.source is not None
        assert np.array_equal(reader.read(slice(0, 100)), NEW)
        assert np.array_equal(again.h5["x"][3:50], NEW[3:50])
    old.close()
    assert np.array_equal(open_dataset(opened(path), "x").read(slice(0, 100)), NEW)
    rewrite()
    with pytest.raises(FileChangedError, match=r"a\.rtdc changed"):
        reader.read(slice(0, 100))


def test_what_was_open_before_is_never_silently_wrong(path, opened, rewrite):
    old = opened(path)
    reader = open_dataset(old, "x")
    reader.read(slice(0, 8))
    rewrite()
    with pytest.raises(FileChangedError, match=r"a\.rtdc changed"):
        reader.read(slice(0, 100))


def test_half_written_file(path, opened):
    opened(path)
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.truncate(len(whole) // 2)
    with pytest.raises(DCReadError, match=r"a\.rtdc: the file is cut short"):
        opened(path)


def test_hdf5_reads_by_offset(path, opened):
    handle = opened(path)
    assert handle.h5["x"][99, 0] == 3960
    assert os.lseek(handle.h5.id.get_vfd_handle(), 0, os.SEEK_CUR) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_parent_and_child_read_by_h5py_at_once(tmp_path, run_python):
    """Neither moves a position in the file that the other one reads at."""
    data = np.random.default_rng(0).integers(0, 9, (400, 50, 40)).astype("u1")
    path = tmp_path / "b.h5"
    with h5py.File(path, "w") as h5:
        blosc = hdf5plugin.Blosc(cname="lz4")
        h5.create_dataset("x", data=data, chunks=(1, 50, 40), **blosc)
        np.save(tmp_path / "data.npy", data)
    code = f"""
import os, sys, numpy as np
from dcread import engine
handle = engine.open_file({str(path)!r})
reader = engine.open_dataset(handle, "x")
data = np.load({str(tmp_path / "data.npy")!r})
reader.read(slice(0, 1))
assert "filter" in str(reader.layout), reader.layout
pid = os.fork()
rows = np.random.default_rng(0 if pid else 1).integers(0, 400, (60, 100))
bad = sum(not np.array_equal(reader.read(some), data[some]) for some in rows)
if pid:
    bad += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print("bad:", bad)
else:
    os._exit(bad)
"""
    result = run_python(code, options=("-W", "ignore::DeprecationWarning"))
    assert result.stdout == "bad: 0\n", result
