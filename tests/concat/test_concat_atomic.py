"""The output is complete or absent; inputs are never touched."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import textwrap

import h5py
import numpy as np
import pytest

import dcread.concat.new_file
from dcread import HDF5Data, concatenated_hdf5_data, errors
from dcread.concat.new_file import new_file

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX limits and signals")


@pytest.fixture
def inputs(measurement):
    return [measurement("in/a.rtdc", seed=1), measurement("in/b.rtdc", seed=2)]


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "o.rtdc"


@pytest.fixture
def run(run_python):
    """A function that runs code in another process; it gets `args` as ``args``."""
    head = "import sys, pathlib\nargs = sys.argv[1:]\n"

    def run_code(code, *args):
        return run_python(head + textwrap.dedent(code), *args, check=False)

    return run_code


@pytest.mark.parametrize("alias", ["same", "hard link", "symlink", "dotted"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_output_is_never_an_input(inputs, tmp_path, digest, alias, overwrite):
    before = digest(inputs)
    target = tmp_path / "alias.rtdc"
    if alias == "same":
        target = inputs[1]
    elif alias == "hard link":
        os.link(inputs[1], target)
    elif alias == "symlink":
        target.symlink_to(inputs[1])
    else:
        target = tmp_path / "in" / ".." / "in" / "b.rtdc"
    with pytest.raises(ValueError, match="same file as the input"):
        concatenated_hdf5_data(inputs, path_out=target, overwrite=overwrite)
    assert digest(inputs) == before
    assert sorted(os.listdir(tmp_path / "in")) == ["a.rtdc", "b.rtdc"]


def test_output_is_never_a_source_of_an_input(inputs, out, join, digest):
    join(inputs, path_out=out).close()
    before = digest(inputs)
    with pytest.raises(ValueError, match="same file as the input"):
        concatenated_hdf5_data([out, out], path_out=out, overwrite=True)
    foreign = out.with_name("foreign.rtdc")
    with h5py.File(foreign, "w") as h5:
        layout = h5py.VirtualLayout(shape=(10,), dtype=float)
        layout[:] = h5py.VirtualSource(str(inputs[0]), "events/deform", shape=(10,))
        h5.create_virtual_dataset("events/deform", layout)
    with pytest.raises(ValueError, match="same file as the input"):
        concatenated_hdf5_data([foreign] * 2, path_out=inputs[0], overwrite=True)
    assert digest(inputs) == before


def test_no_overwriting_unless_wanted(inputs, out, join):
    out.write_text("precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        concatenated_hdf5_data(inputs, path_out=out)
    assert out.read_text() == "precious"
    assert len(join(inputs, path_out=out, overwrite=True)) == 20
    assert os.listdir(out.parent) == ["o.rtdc"]


def test_failure_leaves_the_old_file(inputs, out):
    out.write_text("precious")
    for done in (0.1, 0.6, 0.99):

        def stop(now, limit=done):
            if now >= limit:
                raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"):
            concatenated_hdf5_data(inputs, path_out=out, overwrite=True, progress=stop)
        assert out.read_text() == "precious"
        assert os.listdir(out.parent) == ["o.rtdc"]


def test_symlinks_as_output(inputs, out, join):
    real = out.with_name("real.rtdc")
    out.symlink_to(real)
    with pytest.raises(FileExistsError):
        concatenated_hdf5_data(inputs, path_out=out)
    assert len(join(inputs, path_out=out, overwrite=True)) == 20
    assert out.is_symlink()
    assert len(HDF5Data(real)) == 20


def test_places_that_are_no_files(inputs, out):
    fifo = out.with_name("fifo")
    os.mkfifo(fifo)
    for place in (out.parent, fifo):
        with pytest.raises(errors.NotAFileError, match="regular file"):
            concatenated_hdf5_data(inputs, path_out=place, overwrite=True)
    with pytest.raises(FileNotFoundError, match="no folder"):
        concatenated_hdf5_data(inputs, path_out=out.parent / "none" / "o.rtdc")
    assert os.listdir(out.parent) == ["fifo"]


def test_permissions(inputs, out, join):
    old = os.umask(0o027)
    try:
        join(inputs, path_out=out)
        temporary = join(inputs).path
    finally:
        os.umask(old)
    assert out.stat().st_mode & 0o777 == 0o640
    assert temporary.stat().st_mode & 0o777 == 0o600


def test_file_that_appears_meanwhile_is_kept(inputs, out):
    def appear(done):
        if done > 0.9:
            out.write_text("somebody else's")

    with pytest.raises(FileExistsError):
        concatenated_hdf5_data(inputs, path_out=out, progress=appear)
    assert out.read_text() == "somebody else's"
    assert os.listdir(out.parent) == ["o.rtdc"]


def test_without_hard_links(inputs, out, join, monkeypatch):
    def refuse(*args):
        raise PermissionError(1, "not here")

    monkeypatch.setattr(dcread.concat.new_file.os, "link", refuse)
    assert len(join(inputs, path_out=out)) == 20
    assert os.listdir(out.parent) == ["o.rtdc"]
    with pytest.raises(FileExistsError), new_file(out.with_name("n"), overwrite=False):
        out.with_name("n").write_text("x")
    assert out.with_name("n").read_text() == "x"


def test_input_that_changes_meanwhile(inputs, out):
    def change(done):
        if 0.5 <= done < 0.6:
            with open(inputs[1], "ab") as file:
                file.write(b"x")

    with pytest.raises(errors.FileChangedError, match=r"b\.rtdc"):
        concatenated_hdf5_data(inputs, path_out=out, progress=change)
    assert os.listdir(out.parent) == []


LIMITED = """
import resource, warnings, dcread
*paths, out, limit = args
if limit != "none":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    dcread.concatenated_hdf5_data(paths, path_out=out)
except OSError as exc:
    print(type(exc).__name__, exc.errno, exc.filename)
    # The process is well, and the library holds no file.
    import h5py
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) == 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    with dcread.HDF5Data(paths[0]) as data:
        assert len(data["deform"]) == 10
    sys.exit(3)
"""


@posix
@pytest.mark.parametrize("limit", [0, 1, 600, 3000, 6000])
def test_disk_full(inputs, out, digest, limit, run):
    before = digest(inputs)
    done = run(LIMITED, *inputs, out, limit)
    assert done.returncode == 3, done.stderr
    assert done.stdout.split() == ["OSError", "27", str(out)]
    assert os.listdir(out.parent) == []
    assert digest(inputs) == before


COPYING = """
import resource, warnings, dcread
source, out, limit = args
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    dcread.concatenated_hdf5_data([source] * 2, path_out=out, features=["image"])
except OSError as exc:
    print(exc.errno, exc.filename)
"""


@posix
@pytest.mark.parametrize("limit", [1000, 50_000, 300_000])
def test_disk_full_while_rows_are_copied(measurement, out, limit, run):
    image = np.random.default_rng(1).integers(0, 255, (400, 24, 40)).astype("u1")
    measurement("raw.rtdc", n=400, image=image)
    source = measurement("s.rtdc", n=400, image=None, basinmap0=np.arange(400)[::-1])
    basin = {"name": "raw", "type": "file", "format": "hdf5", "paths": ["raw.rtdc"]}
    with h5py.File(source, "r+") as h5:
        text = json.dumps({**basin, "mapping": "basinmap0", "features": ["image"]})
        h5.create_dataset("basins/b", data=np.array([text], "S"))
    done = run(COPYING, source, out, limit)
    assert done.stdout.split() == ["27", str(out)], done.stderr
    assert os.listdir(out.parent) == []
    assert run(COPYING, source, out, 10_000_000).stdout == ""
    with HDF5Data(out) as data:
        np.testing.assert_array_equal(data.image[:], [*image[::-1], *image[::-1]])


@posix
def test_disk_not_full(inputs, out, run):
    assert run(LIMITED, *inputs, out, 1_000_000).returncode == 0
    assert len(HDF5Data(out)) == 20


KILLED = """
import os, signal, dcread, dcread.concat.new_file
*paths, out, moment = args

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "sync":
    dcread.concat.new_file.os.fsync = die
elif moment == "rename":
    dcread.concat.new_file._publish = die
elif moment == "after":
    publish = dcread.concat.new_file._publish
    dcread.concat.new_file._publish = lambda *a, **k: (publish(*a, **k), die())

def progress(done):
    if moment[0] == "0" and done >= float(moment):
        die()

dcread.concatenated_hdf5_data(paths, path_out=out, progress=progress, overwrite=True)
"""


@posix
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("moment", ["0.2", "0.6", "0.9", "sync", "rename", "after"])
def test_killed(inputs, out, digest, *, moment, old, run):
    before = digest(inputs)
    if old:
        out.write_text("precious")
    assert run(KILLED, *inputs, out, moment).returncode == -signal.SIGKILL
    assert digest(inputs) == before
    if moment == "after":
        with HDF5Data(out) as data:
            assert data["deform"][15] == 2.005
            assert len(data.image[:]) == 20
    elif old:
        assert out.read_text() == "precious"
    else:
        assert not out.exists()


@posix
def test_temporary_file_ends_with_the_process_not_with_its_forks(inputs, run):
    code = """
    import dcread, os
    data = dcread.concatenated_hdf5_data(args)
    child = os.fork()
    if not child:
        sys.exit(0)  # runs the finalizers that the child inherited
    assert os.waitpid(child, 0)[1] == 0
    assert data.path.exists()
    print(data.path)
    """
    done = run(code, *inputs)
    assert done.returncode == 0, done.stderr
    assert pathlib.Path(done.stdout.strip()).name.startswith("dcread_concat_")
    assert not pathlib.Path(done.stdout.strip()).exists()


def test_sources_stay_byte_for_byte(inputs, out, join, digest):
    before = digest(inputs)
    times = [path.stat().st_mtime_ns for path in inputs]
    for place in (True, None, out):
        data = join(inputs, path_out=place)
        data.image[:]
        data.close()
    assert digest(inputs) == before
    assert [path.stat().st_mtime_ns for path in inputs] == times
    assert sorted(os.listdir(inputs[0].parent)) == ["a.rtdc", "b.rtdc"]
