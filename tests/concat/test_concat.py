"""Concatenation as documented: what the result holds."""

from __future__ import annotations

import gc
import pathlib
import pickle
import warnings

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest

from dcread import HDF5Data, concatenated_hdf5_data, detect_flickering


@pytest.fixture(params=["temporary", "memory", "path", "str"])
def path_out(request, tmp_path):
    return {
        "temporary": True,
        "memory": None,
        "path": tmp_path / "out.rtdc",
        "str": str(tmp_path / "out.rtdc"),
    }[request.param]


@pytest.fixture
def three(measurement):
    return [
        measurement("a.rtdc", n=10, seed=1, first_frame=100),
        measurement("b.rtdc", n=4, seed=2, first_frame=7),
        measurement("c.rtdc", n=7, seed=3, first_frame=50),
    ]


def values(paths, feature):
    parts = []
    for path in paths:
        with h5py.File(path, locking=False) as h5:
            parts.append(h5[f"events/{feature}"][:])
    return np.concatenate(parts)


def test_every_feature_in_every_place(three, path_out, join):
    data = join(three, path_out=path_out)
    assert isinstance(data, HDF5Data)
    assert len(data) == 21
    assert data.keys() == ["deform", "frame", "image", "time"]
    np.testing.assert_array_equal(data["deform"], values(three, "deform"))
    images = values(three, "image")
    np.testing.assert_array_equal(data["image"][:], images)
    np.testing.assert_array_equal(data.image[12], images[12])
    np.testing.assert_array_equal(data.h5["events/image"][8:15], images[8:15])
    frames = [*range(1, 20, 2), *range(20, 27, 2), *range(27, 40, 2)]
    assert data["frame"].tolist() == frames
    assert data["frame"].dtype == np.uint64
    assert data.problems == []


def test_the_same_file_three_times(three, path_out, join):
    data = join([three[0]] * 3, path_out=path_out)
    assert len(data) == 30
    np.testing.assert_array_equal(data["deform"], values(three[:1] * 3, "deform"))


def test_time_goes_on_one_frame_interval_later(three, join):
    time = join(three)["time"]
    one, two, last = (values([path], "time") for path in three)
    np.testing.assert_array_equal(time[:10], one)
    np.testing.assert_allclose(time[10:14], two - two[0] + one[-1] + 0.01)
    np.testing.assert_allclose(time[14:], last - last[0] + time[13] + 0.01)


def test_metadata_of_the_first_file_and_the_number_of_all_events(three, path_out, join):
    data = join(three[::-1], path_out=path_out)
    assert data.meta["experiment:sample"] == "sample 3"
    assert data.meta["imaging:frame rate"] == 100
    assert data.meta["experiment:event count"] == 21
    assert set(data.meta) == set(HDF5Data(three[2]).meta)


def test_index_mapping_flicker_and_reopening(three, tmp_path, join):
    path = tmp_path / "out.rtdc"
    data = join(three, path_out=path)
    assert data.path == path
    data.close()
    with HDF5Data(path, index_mapping=[20, 3, 11, 11]) as mapped:
        expected = values(three, "image")[[20, 3, 11, 11]]
        np.testing.assert_array_equal(mapped.image[:], expected)
        assert detect_flickering(mapped) is False
        assert detect_flickering(mapped, 1, 1, 2) is True


def test_temporary_file_ends_with_the_object_not_before(three):
    with concatenated_hdf5_data(three) as data:
        path = data.path
    assert path.exists()  # closed, but still there: it may be opened by its path
    other = pickle.loads(pickle.dumps(data)) if not data.closed else HDF5Data(path)
    assert len(other) == 21
    other.close()
    del other
    gc.collect()
    assert path.exists()
    del data
    gc.collect()
    assert not path.exists()


def test_pickles_of_a_temporary_file_do_not_remove_it(three):
    data = concatenated_hdf5_data(three)
    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(copy["deform"], data["deform"])
    copy.close()
    del copy
    gc.collect()
    assert data.path.exists()
    data.close()


def test_memory_has_no_path_and_no_pickle(three, join):
    data = join(three, path_out=None)
    assert not isinstance(data.path, (str, pathlib.Path))
    with h5py.File(data.path) as h5:
        assert h5.attrs["experiment:event count"] == 21
    assert "in memory" in repr(data)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(data)
    others = [join([path] * 2, path_out=None) for path in three]
    assert [len(one) for one in (data, *others)] == [21, 20, 8, 14]
    assert others[1]["deform"][0] == 2.0
    data.close()
    assert others[2]["deform"][-1] == pytest.approx(3.006)


def test_generators_strings_home_and_relative_paths(three, join, monkeypatch):
    monkeypatch.chdir(three[0].parent)
    monkeypatch.setenv("HOME", str(three[0].parent))
    mixed = ["a.rtdc", pathlib.Path("~/b.rtdc"), str(three[2])]
    data = join((path for path in mixed), features=(f for f in ["deform"]))
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(data["deform"], values(three, "deform"))


def test_no_files_and_one_file(three, join):
    with pytest.raises(ValueError, match="Please specify at least one file"):
        concatenated_hdf5_data([])
    with pytest.raises(ValueError, match="Please specify at least one file"):
        concatenated_hdf5_data(iter([]), path_out=None)
    with pytest.warns(UserWarning, match="Only one file passed") as caught:
        data = join(three[:1])
    assert caught[0].filename.endswith("conftest.py")
    assert data["frame"].tolist() == list(range(1, 20, 2))


@pytest.mark.parametrize("bad", [42, False, 1.5, ["x.rtdc"]])
def test_invalid_path_out(three, bad):
    with pytest.raises(ValueError, match="Invalid type for `path_out`"):
        concatenated_hdf5_data(three, path_out=bad)


@pytest.mark.parametrize("kwargs", [{"paths": "a.rtdc"}, {"features": "deform"}])
def test_text_where_a_list_belongs(three, kwargs):
    with pytest.raises(TypeError, match="must be a list"):
        concatenated_hdf5_data(**{"paths": three, **kwargs})


def test_without_frame(three, join):
    data = join(three, compute_frame=False)
    assert data.keys() == ["deform", "image", "time"]
    data = join(three, compute_frame=False, features=["deform", "frame"])
    assert data.keys() == ["deform"]


def test_features_by_name(three, join):
    assert join(three, features=["deform"]).keys() == ["deform", "frame"]
    data = join(three, features=["deform", "deform", "time"], compute_frame=False)
    assert data.keys() == ["deform", "time"]
    assert join(three, features=[]).keys() == ["deform", "frame", "image", "time"]


def test_missing_frame_is_no_error(measurement, join):
    bare = [measurement("x.rtdc", frame=None), measurement("y.rtdc", frame=None)]
    assert join(bare).keys() == ["deform", "image", "time"]
    full = measurement("z.rtdc")
    for paths in ([full, bare[0]], [bare[0], full]):
        with pytest.warns(UserWarning, match=r"Ignoring frame; .*x\.rtdc does not"):
            data = join(paths)
        assert data.keys() == ["deform", "image", "time"]
        np.testing.assert_array_equal(data["deform"], values(paths, "deform"))


def test_files_without_events(measurement, three, path_out, join):
    empty = measurement("empty.rtdc", n=0, image=np.empty((0, 9, 9), "f4"))
    data = join([empty, three[0], empty, three[1]], path_out=path_out)
    assert len(data) == 14
    np.testing.assert_array_equal(data["image"][:], values(three[:2], "image"))
    assert data["frame"].tolist() == [*range(1, 20, 2), *range(20, 27, 2)]


def test_only_files_without_events(measurement, join):
    empty = measurement("empty.rtdc", n=0)
    data = join([empty, empty])
    assert len(data) == 0
    assert data["deform"].shape == (0,)
    assert data.h5["events/image"].shape == (0, 4, 6)
    assert data["frame"].shape == (0,)


def test_concatenation_of_concatenations(three, tmp_path, join):
    inner = join(three[:2], path_out=tmp_path / "inner.rtdc")
    inner.close()
    data = join([tmp_path / "inner.rtdc", three[2]], path_out=tmp_path / "outer.rtdc")
    np.testing.assert_array_equal(data["deform"], values(three, "deform"))
    np.testing.assert_array_equal(data["image"][:], values(three, "image"))
    assert data["frame"].tolist() == join(three)["frame"].tolist()


@pytest.mark.parametrize("name", ["50%.rtdc", "a%0b.rtdc", "%%.rtdc", "ü µ.rtdc"])
def test_names_of_files(measurement, path_out, join, name):
    paths = [measurement(name), measurement("sub/" + name, seed=2)]
    data = join(paths, path_out=path_out)
    np.testing.assert_array_equal(data["deform"], values(paths, "deform"))
    np.testing.assert_array_equal(data["image"][:], values(paths, "image"))


@pytest.mark.parametrize("name", ["ml_score_a%b", "userdef1", "ml score"])
def test_names_of_features(measurement, path_out, join, name):
    paths = [
        measurement("a.rtdc", **{name: np.arange(10.0)}),
        measurement("b.rtdc", **{name: -np.arange(10.0)}),
    ]
    data = join(paths, path_out=path_out)
    np.testing.assert_array_equal(data[name], values(paths, name))


def test_progress_goes_from_nothing_to_one(three, path_out, join):
    seen = []
    join(three, path_out=path_out, progress=seen.append)
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert 0 < seen[0] < 0.5


def test_same_as_the_peer_on_real_files(real_file, tmp_path, join):
    peer = pytest.importorskip("dcnum.read")
    theirs_path = tmp_path / "peer.rtdc"
    with h5py.File(real_file, locking=False) as h5:
        n = h5.attrs["experiment:event count"]
        can_peer = "frame" in h5["events"] and n
    theirs = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if can_peer:
            peer.concatenated_hdf5_data(
                [real_file] * 3, path_out=theirs_path
            ).h5.close()
            with h5py.File(theirs_path) as h5:
                theirs = {name: dataset[:] for name, dataset in h5["events"].items()}
                attributes = dict(h5.attrs)
        data = join([real_file] * 3, path_out=tmp_path / "ours.rtdc")
    assert len(data) == 3 * n
    if can_peer:
        # The peer leaves out time and traces.
        assert set(data.keys()) - {"time", "trace"} == set(theirs)
        assert dict(data.h5.attrs) == attributes
    if "frame" in theirs and np.any(np.diff(theirs["frame"].astype(float)) < 0):
        # The peer repeats frame numbers where those of a file are not in order.
        first = theirs.pop("frame")[:n]
        expected = np.concatenate([first + first.max() * i for i in range(3)])
        np.testing.assert_array_equal(data["frame"], expected)
    for name, expected in theirs.items():
        np.testing.assert_array_equal(data.h5["events"][name][:], expected)
        shown = expected != 0 if name == "mask" else expected
        np.testing.assert_array_equal(data[name][:], shown)
        assert data.h5["events"][name].dtype == expected.dtype
    if "time" in data and n:
        time = data["time"].reshape(3, n)
        assert np.all(time[:-1].max(axis=1) < time[1:].min(axis=1))
