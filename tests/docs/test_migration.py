"""The guide on migration from dcnum.read, held against both packages.

There is one test a row of the table "Deliberately different"; each shows what
the peer does and what dcread does instead.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import pathlib
import re
import shutil
import sys
import types
import warnings

import h5py
import numpy as np
import pytest

import dcread
from dcread.demo import generate

peer = pytest.importorskip("dcnum.read")

GUIDE = pathlib.Path(__file__).parents[2] / "docs/how-to/migrate-from-dcnum-read.md"


def rows(title: str) -> list[str]:
    """Return the first cell of each row of the table below a heading."""
    section = GUIDE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)`", section, re.MULTILINE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> generate.DemoFiles:
    return generate.make_measurement(tmp_path_factory.mktemp("mig"), frames=60)


@pytest.fixture
def path(made: generate.DemoFiles, tmp_path: pathlib.Path) -> pathlib.Path:
    """A recording of 60 frames that may be changed."""
    return pathlib.Path(shutil.copy(made.recording, tmp_path / "copy.rtdc"))


def test_each_row_has_a_test() -> None:
    tests = {name for name in globals() if name.startswith("test_row_")}
    assert {f"test_row_{row}" for row in rows("Deliberately different")} == tests


def test_names_are_those_that_the_peer_documents() -> None:
    public = {
        name
        for name, value in vars(peer).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert set(rows("The same")) == public
    assert public <= set(dcread.__all__)


@pytest.mark.parametrize("name", rows("The same"))
def test_signatures_are_those_of_the_peer(name: str) -> None:
    theirs, mine = getattr(peer, name), getattr(dcread, name)
    if not callable(theirs):
        assert mine == theirs
        return
    if isinstance(theirs, type) and issubclass(theirs, BaseException):
        return
    expected = inspect.signature(theirs).parameters.values()
    found = list(inspect.signature(mine).parameters.values())
    for number, parameter in enumerate(expected):
        assert (found[number].name, found[number].default) == (
            parameter.name,
            parameter.default,
        )
    for parameter in found[len(expected) :]:
        assert parameter.default is not parameter.empty


def test_attributes_are_those_of_the_peer(made: generate.DemoFiles) -> None:
    theirs = peer.HDF5Data(made.recording)
    assert theirs.h5  # opens the file, before dcread does
    with theirs, dcread.HDF5Data(made.recording) as hd:
        for one, other in ((theirs, hd), (theirs.image, hd.image)):
            public = {name for name in dir(one) if not name.startswith("_")}
            assert public - set(dir(other)) == set()
        assert len(theirs) == len(hd)
        assert theirs.keys() == hd.keys()
        assert theirs.get_ppid() == hd.get_ppid()
        assert np.array_equal(theirs.image[:], hd.image[:])
        assert np.array_equal(theirs["time"], hd["time"])


def test_row_negative_slice(path: pathlib.Path) -> None:
    with peer.HDF5Data(path) as theirs:
        assert len(theirs.image[-3:]) == 63
    with dcread.HDF5Data(path) as hd:
        assert np.array_equal(hd.image[-3:], hd.h5["events/image"][-3:])


def test_row_empty_slice(path: pathlib.Path) -> None:
    with peer.HDF5Data(path) as theirs:
        assert len(theirs.image[:0]) == 60
    with dcread.HDF5Data(path) as hd:
        assert len(hd.image[:0]) == 0


def test_row_read_only(path: pathlib.Path) -> None:
    with peer.HDF5Data(path) as theirs:
        theirs["temp"][0] = -300
        theirs.image.get_chunk(0)[0] = 0
        assert theirs["temp"][0] == -300
        assert not theirs.image[0].any()
    with dcread.HDF5Data(path) as hd:
        for array in (hd["temp"], hd.image.get_chunk(0)):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
            array.copy()[0] = 0


def test_row_writing_into_an_image(path: pathlib.Path) -> None:
    with peer.HDF5Data(path) as theirs:
        theirs.image[0][:] = 0
        assert not theirs.image[0].any()
    with dcread.HDF5Data(path) as hd:
        hd.image[0][:] = 0
        assert hd.image[0].any()


def test_row_background_of_16_bit_images(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        images = h5["events/image"][:].astype(np.uint16) * 400
        del h5["events/image"]
        h5["events/image"] = images
        h5["events/image_bg"] = images[::-1]
    expected = images.astype(int) - images[::-1]
    with peer.HDF5Data(path) as theirs:
        assert not np.array_equal(theirs.image_corr.get_chunk(0), expected)
    with dcread.HDF5Data(path) as hd:
        assert np.array_equal(hd.image_corr.get_chunk(0), expected)


def test_row_flicker_of_a_measurement(path: pathlib.Path) -> None:
    with peer.HDF5Data(path) as theirs:
        expected = peer.detect_flickering(theirs.image, count_threshold=1)
        with pytest.raises(TypeError):
            peer.detect_flickering(theirs, count_threshold=1)
    with dcread.HDF5Data(path) as hd:
        assert dcread.detect_flickering(hd, count_threshold=1) is bool(expected)


def test_row_open_slice(path: pathlib.Path) -> None:
    theirs = peer.HDF5Data(path, index_mapping=slice(5, None))
    with theirs, pytest.raises(NotImplementedError):
        theirs["frame"]
    with dcread.HDF5Data(path, index_mapping=slice(5, None)) as hd:
        assert np.array_equal(hd["frame"], hd.h5["events/frame"][5:])


def test_row_boolean_mapping(path: pathlib.Path) -> None:
    mask = np.zeros(60, dtype=bool)
    mask[[3, 50]] = True
    with peer.HDF5Data(path, index_mapping=mask) as theirs:
        stored = theirs.h5["events/frame"][:]
        assert np.array_equal(theirs["frame"], stored[mask.astype(int)])
    with dcread.HDF5Data(path, index_mapping=mask) as hd:
        assert np.array_equal(hd["frame"], stored[mask])


def test_row_negative_mapping(path: pathlib.Path) -> None:
    theirs = peer.HDF5Data(path, index_mapping=[-1])
    with theirs, pytest.raises(OverflowError):
        theirs["frame"]
    with dcread.HDF5Data(path, index_mapping=[-1]) as hd:
        assert hd["frame"].tolist() == [hd.h5["events/frame"][-1]]


def test_row_more_events_than_there_are(path: pathlib.Path) -> None:
    with peer.HDF5Data(path, index_mapping=100) as theirs, pytest.raises(IndexError):
        theirs["frame"]
    with dcread.HDF5Data(path, index_mapping=100) as hd:
        assert len(hd) == len(hd["frame"]) == 60


def test_row_unmapped_basin_of_dclab(
    made: generate.DemoFiles, path: pathlib.Path
) -> None:
    definition = {
        "name": "the recording",
        "type": "file",
        "format": "hdf5",
        "paths": [str(made.recording)],
        "features": ["image"],
        "mapping": "same",
    }
    with h5py.File(path, "a") as h5:
        del h5["events/image"]
        h5["basins/a"] = np.array([json.dumps(definition).encode()])
    with peer.HDF5Data(path) as theirs:
        assert "image" not in theirs
    with dcread.HDF5Data(path) as hd, h5py.File(made.recording, locking=False) as raw:
        assert np.array_equal(hd.image[7], raw["events/image"][7])


def test_row_identifier_mismatch_is_an_exception() -> None:
    assert not issubclass(peer.BasinIdentifierMismatchError, Exception)
    assert issubclass(dcread.BasinIdentifierMismatchError, Exception)


def test_row_closed(path: pathlib.Path) -> None:
    theirs, hd = peer.HDF5Data(path), dcread.HDF5Data(path)
    theirs.close()
    hd.close()
    assert len(theirs["time"]) == 60
    theirs.close()
    with pytest.raises(dcread.ClosedError, match=re.escape(str(path))):
        hd["time"]


def test_row_md5sum_of_a_changed_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    sums = {}
    for package in (peer, dcread):
        path.write_bytes(b"first")
        before = package.md5sum(path)
        path.write_bytes(b"other!")
        sums[package] = before, package.md5sum(path)
    assert sums[peer][0] == sums[peer][1] == sums[dcread][0]
    assert sums[dcread][1] == hashlib.md5(b"other!").hexdigest()


def test_row_trace(made: generate.DemoFiles) -> None:
    with peer.HDF5Data(made.events) as theirs, pytest.raises(AttributeError):
        theirs["trace"]
    with dcread.HDF5Data(made.events) as hd:
        stored = hd.h5["events/trace/fl1_raw"][3:5]
        assert np.array_equal(hd["trace"]["fl1_raw"][3:5], stored)


def test_row_file_open_in_dclab(made: generate.DemoFiles) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dclab = pytest.importorskip("dclab")
        with dclab.new_dataset(made.recording) as ds:
            with peer.HDF5Data(made.events) as theirs, pytest.raises(OSError):  # noqa: PT011
                theirs["image"]
            with dcread.HDF5Data(made.events) as hd:
                row = int(hd["basinmap1"][4])
                assert np.array_equal(hd.image[4], ds["image"][row])


def test_row_concatenate_onto_a_source(
    made: generate.DemoFiles, path: pathlib.Path
) -> None:
    before = path.read_bytes()
    with pytest.raises((ValueError, OSError)):
        dcread.concatenated_hdf5_data([path, made.continuation], path_out=path)
    assert path.read_bytes() == before
    with pytest.raises(KeyError):
        peer.concatenated_hdf5_data([path, made.continuation], path_out=path)
    assert path.read_bytes() != before


def test_row_wrong_event_count(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5.attrs["experiment:event count"] = 7
    with peer.HDF5Data(path) as theirs:
        assert len(theirs) == 7
    with dcread.HDF5Data(path) as hd:
        assert len(hd) == 60
        assert [problem.kind for problem in hd.problems] == ["length"]


def test_row_missing_event_count(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        del h5.attrs["experiment:event count"]
    with pytest.raises(KeyError), peer.HDF5Data(path) as theirs:
        len(theirs)
    with dcread.HDF5Data(path) as hd:
        assert len(hd) == 60


def test_row_link_to_another_file(made: generate.DemoFiles, path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        del h5["events/image"]
        h5["events/image"] = h5py.ExternalLink(str(made.recording), "/events/image")
    with peer.HDF5Data(path) as theirs:
        right = np.asarray(theirs["image"][7])
    with (
        dcread.HDF5Data(path) as hd,
        pytest.raises(dcread.PolicyError, match=r"Policy\(links=True\)"),
    ):
        hd["image"]
    with dcread.HDF5Data(path, policy=dcread.Policy(links=True)) as hd:
        assert np.array_equal(hd["image"][7], right)


def test_row_types_of_metadata(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5.attrs["setup:channel width"] = np.float32(20)
    with peer.HDF5Data(path) as theirs, dcread.HDF5Data(path) as hd:
        assert dict(hd.meta) == dict(theirs.meta)
        count, width = "experiment:event count", "setup:channel width"
        assert type(theirs.meta[count]) is np.int64
        assert (type(hd.meta[count]), type(hd.meta[width])) == (int, float)
        json.dumps(dict(hd.meta))


def test_row_damaged_basin_definition(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        h5["basins/broken"] = np.array([b"{not json"])
    with pytest.raises(json.JSONDecodeError):
        peer.HDF5Data(path)
    with dcread.HDF5Data(path) as hd:
        assert len(hd["time"]) == 60
        assert [problem.kind for problem in hd.problems] == ["basin"]


@pytest.mark.parametrize(
    "module", ["cache", "const", "detect_flicker", "hdf5_concat", "hdf5_data", "mapped"]
)
def test_modules_have_the_names_of_the_peer(module: str) -> None:
    __import__(f"dcread.{module}")
    theirs = sys.modules[f"dcnum.read.{module}"]
    mine = sys.modules[f"dcread.{module}"]
    for name, value in vars(theirs).items():
        public = not name.startswith("_")
        if public and getattr(value, "__module__", "") == theirs.__name__:
            assert hasattr(mine, name), name
