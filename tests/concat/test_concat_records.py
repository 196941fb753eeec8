"""Records of sources are text in a file that is not trusted."""

import json
import os
import pathlib

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, Policy, errors
from dcread.file.source_records import SOURCES

RECORD = {
    "path": "/gone/source.rtdc",
    "size": 1,
    "mtime_ns": 10**18,
    "device": 1,
    "inode": 1,
    "identifier": None,
    "sha256": None,
    "events": 5,
    "nested": False,
}


@pytest.fixture
def default_policy():
    """Set the process's policy for one test."""
    yield Policy.set_default
    Policy.set_default(None)


@pytest.fixture
def other_file(tmp_path):
    """A place that HDF5 would wait for, if it opened it."""
    path = tmp_path / "other"
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
    return path


@pytest.mark.parametrize("kind", ["virtual", "link to records", "link to group"])
def test_records_in_other_files_are_not_followed(
    measurement, other_file, kind, tmp_path
):
    path = measurement("a.rtdc")
    with h5py.File(path, "a") as h5:
        if kind == "virtual":
            layout = h5py.VirtualLayout((1,), "S200")
            layout[:] = h5py.VirtualSource(str(other_file), "text", (1,), "S200")
            h5.create_virtual_dataset(SOURCES, layout)
        elif kind == "link to records":
            h5[SOURCES] = h5py.ExternalLink(str(other_file), "/text")
        else:
            h5["dcread"] = h5py.ExternalLink(str(other_file), "/group")
    with HDF5Data(path) as data:
        assert len(data["deform"]) == 10
        assert [one.name for one in data.problems] == [SOURCES]


@pytest.mark.parametrize(
    "change",
    [
        {"identifier": ["a"]},
        {"sha256": 5},
        {"events": "many"},
        {"nested": None},
        {"size": 1.5},
        {"path": None},
    ],
)
def test_records_of_wrong_types(measurement, change):
    path = measurement("a.rtdc")
    with h5py.File(path, "a") as h5:
        h5[SOURCES] = [json.dumps(RECORD | change)]
    with HDF5Data(path) as data:
        (problem,) = data.problems
        assert f"a wrong '{next(iter(change))}'" in problem.reason


@pytest.mark.parametrize("stored", ["/" + "x" * 5000, "/a\0b", "x" * 5000])
def test_paths_that_cannot_exist(measurement, stored):
    path = measurement("a.rtdc")
    with h5py.File(path, "a") as h5:
        h5[SOURCES] = [json.dumps(RECORD | {"path": stored})]
    with pytest.raises(errors.FileMissingError, match="is missing"):
        HDF5Data(path)


def test_source_that_must_not_be_read(measurement, join, tmp_path, monkeypatch):
    a = measurement("a.rtdc")
    join([a, a], path_out=tmp_path / "o.rtdc")
    os.utime(a, ns=(10**18, 10**18))
    opened = open

    def denied(file, *args, **kwargs):
        if str(file) == str(a):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *args, **kwargs)

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(errors.FileMissingError, match="Permission denied"):
        HDF5Data(tmp_path / "o.rtdc")


def circle(paths, repeats):
    """Make each file name all of them as its concatenated sources."""
    for path in paths:
        with h5py.File(path, "a") as h5:
            h5[SOURCES] = np.full(repeats * len(paths), b"{}", "S600")
    sizes = [path.stat().st_size for path in paths]
    records = []
    for number in range(repeats):
        for path, size in zip(paths, sizes, strict=True):
            status = path.stat()
            place = {"device": status.st_dev, "inode": status.st_ino}
            change = {"path": str(path), "size": size, "nested": True, "events": number}
            records.append(json.dumps(RECORD | place | change))
    for path in paths:
        with h5py.File(path, "a") as h5:
            h5[SOURCES][:] = np.array(records, "S600")
        os.utime(path, ns=(10**18, 10**18))
    assert [path.stat().st_size for path in paths] == sizes


def test_files_that_name_each_other_are_looked_into_once(measurement, monkeypatch):
    paths = [measurement(name) for name in ("a.rtdc", "b.rtdc", "c.rtdc")]
    circle(paths, repeats=10)
    looked = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *a, **k: looked.append(a) or stat(*a, **k))
    with HDF5Data(paths[0]) as data:
        assert len(data["deform"]) == 10
    assert len(looked) < 1000


def test_change_while_open_is_noticed_through_a_linked_folder(
    measurement, join, tmp_path
):
    real = measurement("real/a.rtdc")
    link = tmp_path / "link"
    link.symlink_to(real.parent)
    join([link / "a.rtdc"] * 2, path_out=link / "o.rtdc").close()
    with HDF5Data(link / "o.rtdc", policy=Policy(local="beside")) as data:
        with h5py.File(real, "r+") as h5:
            h5["events/deform"][:] = 99
        assert data["deform"].tolist() == [99] * 20
        (problem,) = data.problems
        assert problem.kind == "source"
        assert problem.name.endswith("a.rtdc")


def test_policy_applies_to_sources_of_sources(measurement, join, tmp_path):
    a = measurement("far/a.rtdc")
    folder = tmp_path / "near"
    folder.mkdir()
    join([a, a], path_out=folder / "inner.rtdc").close()
    join([folder / "inner.rtdc"] * 2, path_out=folder / "outer.rtdc").close()
    with HDF5Data(folder / "outer.rtdc") as data:
        assert len(data) == 40
    with pytest.raises(errors.PolicyError, match=r"a\.rtdc"):
        HDF5Data(folder / "outer.rtdc", policy=Policy(local="beside"))


@pytest.mark.parametrize("overwrite", [True, False])
def test_default_policy_is_asked_before_anything_is_written(
    measurement, join, tmp_path, default_policy, overwrite
):
    a = measurement("a.rtdc")
    out = tmp_path / "elsewhere" / "o.rtdc"
    out.parent.mkdir()
    if overwrite:
        out.write_bytes(b"old")
    default_policy(Policy(local="beside"))
    with pytest.raises(errors.PolicyError, match=r"a\.rtdc"):
        join([a, a], path_out=out, overwrite=overwrite)
    left = {path.name: path.read_bytes() for path in out.parent.iterdir()}
    assert left == ({"o.rtdc": b"old"} if overwrite else {})
    join([a, a], path_out=tmp_path / "o.rtdc").close()


@pytest.mark.parametrize("bad", [1, None, b"deform", pathlib.Path("deform")])
def test_features_are_names(measurement, join, bad):
    a = measurement("a.rtdc")
    with pytest.raises(TypeError, match="features must be names as text"):
        join([a, a], features=["deform", bad])


def test_frame_alone_without_frame(measurement, join):
    a = measurement("a.rtdc")
    with pytest.raises(ValueError, match="compute_frame=False"):
        join([a, a], features=["frame"], compute_frame=False)
