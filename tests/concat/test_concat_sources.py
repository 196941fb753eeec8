"""Sources are checked whenever a concatenated file is opened: never zeros."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import warnings

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, Policy, concatenated_hdf5_data, errors
from dcread.file.source_check import MAX_HASHED_BYTES, SOURCES, check_sources


@pytest.fixture
def joined(measurement, join, tmp_path):
    """A closed concatenation of two files in one folder."""
    paths = [measurement("in/a.rtdc", seed=1), measurement("in/b.rtdc", seed=2)]
    out = tmp_path / "in" / "out.rtdc"
    join(paths, path_out=out).close()
    return out, paths


def records(path):
    with h5py.File(path) as h5:
        return [json.loads(line) for line in h5[SOURCES][:]]


def test_records(joined):
    out, paths = joined
    found = records(out)
    assert [one["path"] for one in found] == [str(path) for path in paths]
    assert [one["size"] for one in found] == [path.stat().st_size for path in paths]
    assert [one["events"] for one in found] == [10, 10]
    assert [one["identifier"] for one in found] == [None, None]
    assert [one["nested"] for one in found] == [False, False]
    with HDF5Data(out) as data:
        assert check_sources(data.handle) == paths


def test_identifiers_are_recorded(measurement, join, tmp_path):
    a = measurement("a.rtdc", attrs={"experiment:run identifier": "mm-1"})
    join([a, a], path_out=tmp_path / "o.rtdc")
    assert [one["identifier"] for one in records(tmp_path / "o.rtdc")] == ["mm-1"] * 2


def test_missing_source(joined):
    out, paths = joined
    paths[1].unlink()
    with pytest.raises(errors.FileMissingError) as info:
        HDF5Data(out)
    assert str(out) in str(info.value)
    assert str(paths[1]) in str(info.value)


def test_source_that_vanishes_after_opening(joined):
    out, paths = joined
    with HDF5Data(out) as data:
        paths[1].unlink()
        with pytest.raises(errors.FileMissingError, match=r"b\.rtdc"):
            data["deform"]
        with pytest.raises(errors.DCReadError, match=r"b\.rtdc"):
            data.image[15]


def test_source_that_changes_after_opening(joined, measurement):
    out, paths = joined
    with HDF5Data(out) as data:
        os.replace(measurement("other.rtdc", seed=5), paths[1])
        with pytest.raises(errors.FileChangedError, match=r"b\.rtdc"):
            data["deform"]


@pytest.mark.parametrize("change", ["value", "attribute", "log", "feature"])
@pytest.mark.parametrize("through", ["the source", "the joined file"])
def test_changed_source_is_read_as_it_is_now(joined, change, through):
    out, paths = joined
    before = paths[0].stat()
    if through == "the joined file":
        if change != "value":
            pytest.skip("only values lie in the source")
        with h5py.File(out, "r+") as h5:
            h5["events/deform"][3] = 99
    else:
        with h5py.File(paths[0], "r+") as h5:
            if change == "value":
                h5["events/deform"][3] = 99
            elif change == "attribute":
                h5.attrs["imaging:frame rate"] = 7.0
            elif change == "log":
                h5["logs/remark"] = ["a line"] * 1000
            else:
                h5["events/userdef1"] = np.arange(10.0)
    same_size = paths[0].stat().st_size == before.st_size
    assert same_size == (change in ("value", "attribute"))
    with HDF5Data(out) as data:
        assert data["deform"][3] == (99 if change == "value" else 1.003)
        assert data["deform"][15] == 2.005
        assert data.image[13, 0, 0] == 103
        (problem,) = data.problems
        assert (problem.kind, problem.name) == ("source", str(paths[0]))
        told = "written to since" if same_size else f"({before.st_size:,} bytes then"
        assert told in problem.reason
    run = subprocess.run(
        [sys.executable, "-m", "dcread.cli.main", "verify", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.count(str(paths[0])) == 1
    assert told in run.stdout


@pytest.mark.parametrize("change", ["events", "identifier", "replace", "cut"])
def test_source_that_is_another_measurement(measurement, join, tmp_path, change):
    name = "experiment:run identifier"
    attrs = {} if change == "replace" else {name: "mm-1"}
    paths = [measurement(f"{one}.rtdc", attrs=attrs) for one in "ab"]
    join(paths, path_out=tmp_path / "out.rtdc").close()
    if change == "events":
        with h5py.File(paths[0], "r+") as h5:
            h5.attrs["experiment:event count"] = 9
            for feature in list(h5["events"]):
                values = h5[f"events/{feature}"][:9]
                del h5[f"events/{feature}"]
                h5[f"events/{feature}"] = values
        told = "expected 10 events, found 9"
    elif change == "identifier":
        with h5py.File(paths[0], "r+") as h5:
            h5.attrs[name] = "mm-2"
        told = "expected measurement mm-1, found mm-2"
    elif change == "replace":
        os.replace(measurement("other.rtdc", seed=5), paths[0])
        told = "no measurement identifier"
    else:
        os.truncate(paths[0], 100)
        told = "truncated"
    with pytest.raises(errors.FileChangedError, match=told) as info:
        HDF5Data(tmp_path / "out.rtdc")
    assert str(tmp_path / "out.rtdc") in str(info.value)
    assert str(paths[0]) in str(info.value)


def test_source_that_is_used_often_is_told_once(measurement, join, tmp_path):
    path = measurement("a.rtdc")
    join([path] * 5, path_out=tmp_path / "out.rtdc").close()
    with h5py.File(path, "r+") as h5:
        h5["events/deform"][3] = 99
    with HDF5Data(tmp_path / "out.rtdc") as data:
        assert data["deform"].tolist().count(99) == 5
        assert len(data.problems) == 1


def test_touched_or_copied_source_with_the_same_content_is_fine(joined):
    out, paths = joined
    os.utime(paths[0])
    content = paths[1].read_bytes()
    paths[1].unlink()
    paths[1].write_bytes(content)
    with HDF5Data(out) as data:
        assert data["deform"][15] == 2.005


def test_same_time_and_size_but_another_measurement(measurement, join, tmp_path):
    name = "experiment:run identifier"
    a = measurement("a.rtdc", attrs={name: "mm-1"})
    b = measurement("b.rtdc", attrs={name: "mm-2"})
    join([a, a], path_out=tmp_path / "o.rtdc").close()
    assert a.stat().st_size == b.stat().st_size
    os.utime(b, ns=(a.stat().st_atime_ns, a.stat().st_mtime_ns))
    os.replace(b, a)
    with pytest.raises(errors.FileChangedError, match=r"mm-1.*mm-2"):
        HDF5Data(tmp_path / "o.rtdc")


def test_large_files_are_compared_by_time(measurement, join, tmp_path):
    a = measurement("a.rtdc")
    with open(a, "ab") as file:
        file.truncate(MAX_HASHED_BYTES + 1)
    join([a, a], path_out=tmp_path / "o.rtdc").close()
    assert [one["sha256"] for one in records(tmp_path / "o.rtdc")] == [None, None]
    HDF5Data(tmp_path / "o.rtdc").close()
    os.utime(a, ns=(0, a.stat().st_mtime_ns + 5_000_000))
    with HDF5Data(tmp_path / "o.rtdc") as data:
        assert "written to since" in data.problems[0].reason


def test_sources_are_found_beside_the_moved_file(joined, tmp_path):
    out, paths = joined
    expected = HDF5Data(out)["image"][:]
    shutil.move(tmp_path / "in", tmp_path / "moved")
    with HDF5Data(tmp_path / "moved" / "out.rtdc") as data:
        np.testing.assert_array_equal(data["image"][:], expected)
        assert data["deform"][15] == 2.005
        assert check_sources(data.handle) == [
            tmp_path / "moved" / path.name for path in paths
        ]
    (tmp_path / "moved" / "b.rtdc").unlink()
    with pytest.raises(errors.FileMissingError):
        HDF5Data(tmp_path / "moved" / "out.rtdc")


def test_sources_are_found_beside_what_a_link_leads_to(joined, tmp_path):
    (tmp_path / "in").rename(tmp_path / "moved")
    link = tmp_path / "link.rtdc"
    link.symlink_to(tmp_path / "moved" / "out.rtdc")
    with HDF5Data(link) as data:
        assert data["deform"][15] == 2.005
        assert data.image[15, 0, 0] == 105


def test_never_from_the_working_directory(joined, tmp_path, monkeypatch):
    out, _ = joined
    shutil.move(out, tmp_path / "alone.rtdc")
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(errors.FileMissingError):
        HDF5Data(tmp_path / "alone.rtdc")


def test_sources_of_sources(measurement, join, tmp_path):
    deepest = measurement("deepest.rtdc")
    out = [tmp_path / f"{n}.rtdc" for n in range(3)]
    join([deepest, deepest], path_out=out[0]).close()
    join([out[0], measurement("x.rtdc")], path_out=out[1]).close()
    join([out[1]] * 2, path_out=out[2]).close()
    assert len(HDF5Data(out[2])) == 60
    with h5py.File(deepest, "r+") as h5:
        h5["events/deform"][0] = 5
    with HDF5Data(out[2]) as data:
        assert data["deform"][0] == 5
        assert [one.name for one in data.problems] == [str(deepest)]


def test_virtual_datasets_of_other_programs(measurement, join, tmp_path):
    source = measurement("s.rtdc")
    for name in ("a.rtdc", "b.rtdc"):
        with h5py.File(tmp_path / name, "w") as h5:
            h5.attrs["experiment:event count"] = 10
            layout = h5py.VirtualLayout(shape=(10,), dtype=float)
            layout[:] = h5py.VirtualSource(source.name, "events/deform", shape=(10,))
            h5.create_virtual_dataset("events/deform", layout)
    paths = [tmp_path / "a.rtdc", tmp_path / "b.rtdc"]
    join(paths, path_out=tmp_path / "o.rtdc").close()
    with HDF5Data(tmp_path / "o.rtdc") as data:
        assert data["deform"][13] == 1.003
    source.unlink()
    with pytest.raises(errors.FileMissingError, match=r"s\.rtdc"):
        HDF5Data(tmp_path / "o.rtdc")
    with pytest.raises(errors.FileMissingError, match=r"s\.rtdc"):
        join(paths)


def test_source_that_became_a_fifo(joined):
    out, paths = joined
    paths[0].unlink()
    os.mkfifo(paths[0])
    with pytest.raises(errors.NotAFileError):
        HDF5Data(out)


@pytest.mark.parametrize(
    "lines",
    [["{"], ["[]"], ['{"path": 3}'], [b"\xff"], ['{"path": "/x", "size": "big"}']],
)
def test_damaged_records_are_reported(joined, lines):
    out, _ = joined
    with h5py.File(out, "r+") as h5:
        del h5[SOURCES]
        h5.create_dataset(SOURCES, data=lines, dtype=h5py.string_dtype())
    with HDF5Data(out) as data:
        assert [one.name for one in data.problems] == [SOURCES]
        assert data["deform"][15] == 2.005
        with pytest.raises(errors.FormatError, match="concatenate them again"):
            check_sources(data.handle)


def test_records_of_a_later_version_are_understood(joined):
    out, _ = joined
    with h5py.File(out, "r+") as h5:
        lines = [json.loads(line) | {"new": 1} for line in h5[SOURCES][:]]
        h5[SOURCES][:] = [json.dumps(line) for line in lines]
    assert HDF5Data(out)["deform"][15] == 2.005


def test_policy_applies_to_sources(joined, tmp_path):
    out, _ = joined
    assert len(HDF5Data(out, policy=Policy(local="beside"))) == 20
    shutil.copy2(out, tmp_path / "elsewhere.rtdc")
    (tmp_path / "sub").mkdir()
    shutil.move(tmp_path / "elsewhere.rtdc", tmp_path / "sub" / "out.rtdc")
    with pytest.raises(errors.PolicyError):
        HDF5Data(tmp_path / "sub" / "out.rtdc", policy=Policy(local="beside"))


def test_other_files_have_no_sources(measurement):
    with HDF5Data(measurement("a.rtdc")) as data:
        assert check_sources(data.handle) == []


def test_the_peer_reads_it(joined):
    peer = pytest.importorskip("dcnum.read")
    out, paths = joined
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = peer.HDF5Data(out)
        assert len(data) == 20
        assert data["deform"][15] == 2.005
        assert data.logs["dcread-concat"][1].startswith(f"src-#1: {paths[0]}")
        data.h5.close()


def test_file_object_may_not_name_other_files(joined):
    out, _ = joined
    with HDF5Data(io.BytesIO(out.read_bytes())) as data:
        assert len(data) == 20
        with pytest.raises(errors.PolicyError):
            data["deform"]


@pytest.fixture
def opened(open_files, tmp_path):
    """Return the names of the files in the test's folder that are open."""
    return lambda: {path.name for path in open_files() if path.parent == tmp_path}


@pytest.mark.parametrize("in_memory", [False, True])
def test_inputs_stay_open_for_who_reads_them_next(
    measurement, tmp_path, opened, in_memory
):
    paths = [measurement(f"{name}.rtdc", seed=n) for n, name in enumerate("abc")]
    out = None if in_memory else tmp_path / "out" / "o.rtdc"
    (tmp_path / "out").mkdir()
    data = concatenated_hdf5_data([*paths, paths[0]], out)
    assert opened() == {"a.rtdc", "b.rtdc", "c.rtdc"}
    assert data.image[35].max() == 10
    data.close()
    assert opened() == set()
    with pytest.raises(ValueError, match="lacks deform"):
        concatenated_hdf5_data([*paths, measurement("d.rtdc", deform=None)], None)
    assert opened() == set()


def test_no_more_inputs_stay_open_than_there_is_room(
    measurement, join, opened, monkeypatch
):
    monkeypatch.setattr("dcread.concat.plan.MAX_OPEN", 2)
    paths = [measurement(f"{name}.rtdc", seed=n) for n, name in enumerate("abcd")]
    data = join(paths)
    assert opened() == {"a.rtdc", "b.rtdc"}
    assert [int(data.image[row].max()) for row in (5, 15, 25, 35)] == [10, 60, 110, 160]
