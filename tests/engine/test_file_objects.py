"""A caller's file object that misbehaves is blamed itself, and can be used again."""

from __future__ import annotations

import io
import os

import h5py
import numpy as np
import pytest

import dcread
from dcread.engine import FileHandle, h5_lock, open_dataset
from dcread.engine.source import ByteSource, SourceStream
from dcread.errors import ClosedError, FileObjectError, FormatError, PolicyError
from dcread.file.variable_length import VariableLengths

IMAGES = np.arange(40 * 80, dtype="u2").reshape(40, 8, 10)


class Odd(io.BytesIO):
    """A file object that may do anything."""

    how = "well"

    def read(self, size=-1, /):
        data = super().read(size)
        if self.how == "raise":
            raise RuntimeError("trouble of my own")
        if self.how == "interrupt":
            raise KeyboardInterrupt
        odd = {"short": data[:-1], "none": None, "text": "text", "long": data + b"x"}
        if self.how == "short" and len(data) == 1:
            return b""
        return odd.get(self.how, data)

    def seek(self, offset, whence=0, /):
        if self.how == "no seek":
            raise OSError("cannot seek")
        return super().seek(offset, whence)


@pytest.fixture
def stream(tmp_path):
    path = tmp_path / "x.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 40
        h5["events/deform"] = np.arange(40.0)
        options = {"chunks": (4, 8, 10), "compression": "gzip"}
        h5.create_dataset("events/image", data=IMAGES, **options)
        h5["logs/a"] = ["text"] * 3
        h5["tables/t"] = np.zeros(5, [("pos", "f8"), ("t", "f8")])
    return Odd(path.read_bytes())


READS = {
    "image": lambda hd: hd["image"][30],
    "images": lambda hd: hd["image"][:],
    "scalar": lambda hd: hd["deform"],
}


@pytest.mark.parametrize("how", ["raise", "short", "none", "text", "long", "no seek"])
@pytest.mark.parametrize("read", READS)
def test_what_is_wrong_is_told(stream, how, read):
    with dcread.HDF5Data(stream) as hd:
        assert len(hd) == 40
        stream.how = how
        with pytest.raises(FileObjectError, match="error in the file object") as info:
            READS[read](hd)
        message = str(info.value)
        assert "damaged" not in message
        assert "Odd object" in message
        assert ("trouble of my own" in message) == (how == "raise")
        stream.how = "well"
        assert np.array_equal(hd["image"][:], IMAGES)
        assert np.array_equal(hd["deform"], np.arange(40.0))


@pytest.mark.parametrize("how", ["raise", "none", "text", "no seek"])
def test_from_the_beginning(stream, how):
    stream.how = how
    with pytest.raises(FileObjectError, match="error in the file object"):
        dcread.HDF5Data(stream)


def test_interrupts_pass(stream):
    with dcread.HDF5Data(stream) as hd:
        stream.how = "interrupt"
        with pytest.raises(KeyboardInterrupt):
            hd["image"][3]
        stream.how = "well"
        assert np.array_equal(hd["image"][3], IMAGES[3])


def test_closed_by_its_owner(stream):
    with dcread.HDF5Data(stream) as hd:
        stream.close()
        with pytest.raises(ClosedError, match="closed by its owner"):
            hd["image"][3]


def test_no_file_object_at_all():
    class Half:
        def read(self, size):
            return b""

        def seek(self, *arguments):
            return "far"

    with pytest.raises(FileObjectError, match="expected its size"):
        dcread.HDF5Data(Half())
    with pytest.raises(FormatError, match="file object"):
        dcread.HDF5Data(io.BytesIO(b"nothing"))


def test_objects_of_hd_h5_outlive_it_and_the_file_is_written_again(tmp_path):
    path, other = tmp_path / "x.rtdc", tmp_path / "other.rtdc"
    after = IMAGES + 7
    for where, images in ((path, IMAGES), (other, after)):
        with h5py.File(where, "w", libver="latest") as h5:
            if where == other:
                h5["events/pad"] = np.zeros(3000)
            h5.create_dataset("events/image", data=images, chunks=(4, 8, 10))
            h5.attrs["experiment:event count"] = 40
    hd = dcread.HDF5Data(path)
    kept = hd.h5["events/image"]
    assert np.array_equal(hd["image"][:], IMAGES)
    del hd
    path.write_bytes(other.read_bytes())  # the same inode
    for _ in range(2):
        with dcread.HDF5Data(path) as hd:
            assert np.array_equal(hd["image"][:], after)
            assert np.array_equal(hd["image"][11], after[11])
    kept.file.close()
    with dcread.HDF5Data(path) as hd:
        assert np.array_equal(hd["image"][:], after)


def test_an_object_that_is_left_open_does_no_harm_at_the_end(tmp_path, run_python):
    """As an interrupt within h5py leaves it: HDF5 closes it when Python is gone."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(3.0)
    code = (
        "import sys, dcread\n"
        "from h5py import h5i\n"
        "hd = dcread.HDF5Data(open(sys.argv[1], 'rb'))\n"
        "h5i.inc_ref(hd.h5['events/deform'].id)\n"
        "h5i.inc_ref(hd.h5.id)\n"
        "del hd\n"
        "print('end')\n"
    )
    done = run_python(code, path, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


# What a forked process reads moves the position of an open file in its parent, too.
FORKED = """
import io, os, sys
import h5py
import numpy as np
import dcread

class Object:
    def __init__(self, file):
        self.read, self.seek = file.read, file.seek

path, kind = sys.argv[1:]
names = [f"userdef{number}" for number in range(50)]
expected = {name: np.random.default_rng(5).random(300) for name in names}
with h5py.File(path, "w") as h5:
    for name, values in expected.items():
        h5["events/" + name] = values
file = open(path, "rb", buffering=0 if kind == "raw" else -1)
made = {"object": Object, "memory": lambda file: io.BytesIO(file.read())}
hd = dcread.HDF5Data(made.get(kind, lambda file: file)(file))
codes = set()
for name in names:
    child = os.fork()
    if not child:
        try:
            os._exit(0 if (hd[names[-1]] == expected[names[-1]]).all() else 8)
        except dcread.FileObjectError as error:
            os._exit(3 if "forked process" in str(error) else 9)
        finally:
            os._exit(10)
    if name != names[-1]:
        codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        assert (hd[name] == expected[name]).all(), name
print(*codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize(
    ("kind", "code"), [("buffered", 0), ("raw", 0), ("memory", 0), ("object", 3)]
)
def test_a_forked_process_does_not_disturb_its_parent(tmp_path, kind, code, run_python):
    path = tmp_path / "x.rtdc"
    result = run_python(
        FORKED,
        path,
        kind,
        options=(
            "-W",
            "ignore",
        ),
        timeout=100,
    )
    assert (result.stdout, result.stderr) == (f"{code}\n", "")


def test_a_file_that_its_owner_reads_meanwhile(stream, tmp_path):
    with open(tmp_path / "x.rtdc", "rb") as file, dcread.HDF5Data(file) as hd:
        file.seek(17)
        assert np.array_equal(hd.image[:], IMAGES)
        assert file.tell() == 17


class Memory(ByteSource):
    """A source of a kind that dcread does not have."""

    def __init__(self, data):
        self.label, self.size, self._data = "a source", len(data), data

    def read_ranges(self, ranges, sink):
        for number, (start, stop) in enumerate(ranges):
            sink(number, memoryview(self._data)[start:stop])

    def close(self):
        pass


def test_a_source_of_another_kind_may_not_name_files_of_this_machine(tmp_path):
    path = tmp_path / "x.rtdc"
    with h5py.File(path, "w") as h5:
        h5["x"] = np.arange(5)
        h5.attrs["text"] = "long " * 50
    source = Memory(path.read_bytes())
    h5 = h5py.File(SourceStream(source), "r")
    handle = FileHandle(h5, None, "a source", owned=True, identity=None, source=source)
    assert open_dataset(handle, "x").read(slice(1, 3)).tolist() == [1, 2]
    assert handle.is_file_object
    with pytest.raises(PolicyError, match="opened from its path may refer"):
        handle.names.open_named(handle, str(path), "a link", "HDF5_EXT_PREFIX")
    with VariableLengths(handle) as values, h5_lock:  # not by HDF5, which trusts them
        found = values.of_attribute(h5.id, b"text", 1, 1, 1000)
    assert found == [b"long " * 50]
    handle.close()
