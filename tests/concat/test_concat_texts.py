"""Traces, basins, logs and tables of the inputs."""

from __future__ import annotations

import json
import warnings

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, concatenated_hdf5_data, errors


def add_basin(path, **definition):
    lines = json.dumps(definition).split("\n")
    with h5py.File(path, "r+") as h5:
        number = len(h5.get("basins", {}))
        h5.create_dataset(f"basins/b{number}", data=np.array(lines, "S"))


@pytest.fixture
def traced(measurement):
    """Two files with traces, one with more traces than the other."""
    paths = []
    for seed in (1, 2):
        path = measurement(f"t{seed}.rtdc", seed=seed)
        with h5py.File(path, "r+") as h5:
            for name in ("fl1_raw", "fl1_median", "fl2_raw")[: seed + 1]:
                trace = np.arange(10 * 7).reshape(10, 7) + 100 * seed
                h5.create_dataset(f"events/trace/{name}", data=trace.astype("i2"))
        paths.append(path)
    return paths


@pytest.mark.parametrize("path_out", [True, None])
def test_traces_by_name(traced, join, path_out):
    data = join(traced, path_out=path_out, features=["trace", "deform"])
    assert data.keys() == ["deform", "frame", "trace"]
    assert sorted(data["trace"]) == ["fl1_median", "fl1_raw"]
    trace = data["trace"]["fl1_raw"]
    assert trace.shape == (20, 7)
    assert trace[9].tolist() == [163, 164, 165, 166, 167, 168, 169]
    assert trace[10].tolist() == [200, 201, 202, 203, 204, 205, 206]


def test_traces_that_all_have_are_joined_by_default(traced, join, measurement):
    data = join(traced)
    assert sorted(data["trace"]) == ["fl1_median", "fl1_raw"]
    with pytest.warns(UserWarning, match="Ignoring trace/fl2_raw; .*t1") as caught:
        data = join(traced[::-1])
    assert len(caught) == 1
    assert sorted(data["trace"]) == ["fl1_median", "fl1_raw"]
    assert any("trace/fl2_raw" in line for line in data.logs["dcread-concat"])
    with pytest.warns(UserWarning, match="Ignoring trace/fl1_median, trace/fl1_raw;"):
        data = join([traced[0], measurement("no.rtdc")])
    assert "trace" not in data


def test_a_bad_trace_costs_only_itself(traced, join):
    for path in traced:
        with h5py.File(path, "r+") as h5:
            del h5["events/trace/fl1_raw"]
            h5["events/trace/fl1_raw"] = h5py.Empty("f8")
    with pytest.warns(UserWarning, match="Ignoring trace/fl1_raw; ") as caught:
        data = join(traced)
    assert len(caught) == 1
    assert sorted(data["trace"]) == ["fl1_median"]


def test_traces_that_not_all_have(traced):
    with pytest.raises(ValueError, match="contains more features") as info:
        concatenated_hdf5_data(traced[::-1], features=["trace"])
    assert "trace/fl2_raw" in str(info.value)
    assert str(traced[0]) in str(info.value)


def test_traces_of_real_files(data_dir, join):
    path = data_dir / "fl_wide-channel_2023.rtdc"
    data = join([path] * 2, features=["trace"])
    with h5py.File(path, locking=False) as h5:
        for name, dataset in h5["events/trace"].items():
            expected = np.concatenate([dataset[:]] * 2)
            np.testing.assert_array_equal(data["trace"][name][:], expected)


def test_empty_file_with_and_without_traces(traced, measurement, join):
    empty = measurement("empty.rtdc", n=0)
    with h5py.File(empty, "r+") as h5:
        h5["events"].create_group("trace")
    data = join([traced[0], empty, traced[1]], features=["trace"])
    assert data["trace"]["fl1_raw"][10, 0] == 200


@pytest.fixture
def basined(measurement):
    """Files whose images lie elsewhere: in the file's own basin, beside, mapped."""
    raw = measurement("raw.rtdc", n=30, seed=4)
    paths = [measurement(f"{n}.rtdc", image=None, frame=None) for n in "xyz"]
    with h5py.File(paths[0], "r+") as h5:
        image = np.full((10, 4, 6), 77, "u1")
        h5["basin_events/image"] = image
    add_basin(
        paths[0],
        name="own",
        type="internal",
        format="h5dataset",
        paths=["basin_events"],
        features=["image"],
    )
    beside = measurement("beside.rtdc", n=10, seed=3)
    add_basin(paths[1], name="raw", type="file", format="hdf5", paths=[str(beside)])
    with h5py.File(paths[2], "r+") as h5:
        h5["events/basinmap0"] = np.array([29, 0, 7, 7, 1, 2, 3, 4, 5, 6])
    add_basin(
        paths[2],
        name="raw",
        type="file",
        format="hdf5",
        paths=["raw.rtdc"],
        mapping="basinmap0",
        features=["image"],
    )
    return paths, beside, raw


@pytest.mark.parametrize("path_out", [True, None])
@pytest.mark.parametrize("order", ["xyz", "z", "zz", "y"])
def test_basin_features_by_name(basined, join, path_out, order):
    (x, y, z), beside, raw = basined
    expected = {
        "x": (x, np.full((10, 4, 6), 77)),
        "y": (y, HDF5Data(beside)["image"][:]),
        "z": (z, HDF5Data(raw)["image"][:][[29, 0, 7, 7, 1, 2, 3, 4, 5, 6]]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = join(
            [expected[one][0] for one in order],
            path_out=path_out,
            features=["image", "deform"],
        )
    wanted = np.concatenate([expected[one][1] for one in order])
    np.testing.assert_array_equal(data["image"][:], wanted)
    np.testing.assert_array_equal(data.h5["events/image"][:], wanted)
    assert data.keys() == ["deform", "image"]


@pytest.mark.parametrize("path_out", [True, None])
def test_basin_features_that_all_have_are_joined_by_default(basined, join, path_out):
    (x, y, z), beside, raw = basined
    parts = [np.full((10, 4, 6), 77), HDF5Data(beside)["image"][:]]
    parts.append(HDF5Data(raw)["image"][:][[29, 0, 7, 7, 1, 2, 3, 4, 5, 6]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = join([x, y], path_out=path_out)
        mapped = join([x, y, z, z], path_out=path_out)
    assert plain.keys() == ["deform", "image", "time"]
    np.testing.assert_array_equal(plain["image"][:], np.concatenate(parts[:2]))
    assert mapped.keys() == ["basinmap0", "deform", "image", "time"]
    expected = np.concatenate([*parts, parts[2]])
    np.testing.assert_array_equal(mapped["image"][:], expected)
    np.testing.assert_array_equal(mapped.image[25], expected[25])
    # The rows of a basin are there once, however many inputs map them.
    assert mapped.h5["basin_events/image"].shape == (50, 4, 6)
    assert mapped.h5["basin_events/image"].is_virtual


def test_basin_file_is_a_source_too(basined, join, tmp_path):
    (_, y, _), beside, _ = basined
    out = tmp_path / "o.rtdc"
    join([y, y], path_out=out, features=["image"]).close()
    with h5py.File(beside, "r+") as h5:
        h5["events/deform"][0] = 7
    with HDF5Data(out) as data:
        assert [one.name for one in data.problems] == [str(beside)]
    beside.unlink()
    with pytest.raises(errors.FileMissingError, match=r"beside\.rtdc"):
        HDF5Data(out)


def test_frames_and_times_from_a_basin(basined, join):
    (_, y, _), _, _ = basined
    data = join([y, y], features=["frame", "time"])
    assert data["frame"].tolist() == [*range(1, 20, 2), *range(20, 39, 2)]


@pytest.fixture
def talking(measurement):
    paths = []
    for seed in (1, 2):
        path = measurement(f"l{seed}.rtdc", seed=seed)
        with h5py.File(path, "r+") as h5:
            h5["logs/acquisition"] = np.array([f"line {seed}", "µm"], dtype=object)
            h5["logs/fixed"] = np.array([b"one", b"two"])
            table = np.zeros(5, [("a", "f8"), ("b", "i4")])
            table["b"] = seed
            h5.create_dataset("tables/monitor", data=table)
            h5.create_dataset("tables/picture", data=np.full((3, 4), seed, "u1"))
        paths.append(path)
    return paths


@pytest.mark.parametrize("path_out", [True, None])
def test_logs_and_tables_of_all_inputs(talking, join, path_out):
    data = join(talking, path_out=path_out)
    assert sorted(data.logs) == [
        "dcread-concat",
        "src-#1_acquisition",
        "src-#1_fixed",
        "src-#2_acquisition",
        "src-#2_fixed",
    ]
    assert data.logs["src-#2_acquisition"] == ["line 2", "µm"]
    assert data.logs["src-#1_fixed"] == ["one", "two"]
    assert data.logs["dcread-concat"] == [
        "Concatenation of 2 files, 20 events:",
        f"src-#1: {talking[0]} (10 events)",
        f"src-#2: {talking[1]} (10 events)",
    ]
    assert sorted(data.tables) == [
        f"src-#{n}_{name}" for n in (1, 2) for name in ("monitor", "picture")
    ]
    assert data.tables["src-#2_monitor"]["b"].tolist() == [2] * 5
    assert data.tables["src-#1_picture"].tolist() == [[1] * 4] * 3
    assert data.problems == []


def test_logs_of_real_files(data_dir, join):
    path = data_dir / "raw-cytoshot-exported.rtdc"
    data = join([path] * 2)
    with HDF5Data(path) as one:
        assert one.logs
        for number in (1, 2):
            for name, lines in one.logs.items():
                assert data.logs[f"src-#{number}_{name}"] == lines
            for name in one.tables:
                assert f"src-#{number}_{name}" in data.tables


def test_damaged_log_and_attribute_are_left_out_and_told(talking, join, tmp_path):
    with h5py.File(talking[0], "r+") as h5:
        h5["logs/away"] = h5py.ExternalLink(str(talking[1]), "logs/fixed")
        h5["logs/nothing"] = h5py.SoftLink("/logs/none")
        h5["logs"].create_group("group")
        h5.attrs["big:one"] = np.void(b"abc")
    data = join(talking)
    told = "\n".join(data.logs["dcread-concat"])
    for name in ("away", "nothing", "group"):
        assert f"src-#1_{name}" not in data.h5["logs"]
        assert f"Left out: log '{talking[0]}: {name}'" in told
    assert data.logs["src-#1_fixed"] == ["one", "two"]


def test_same_inputs_same_content(talking, join, tmp_path):
    contents = []
    for name in ("one.rtdc", "two.rtdc"):
        join(talking, path_out=tmp_path / name).close()
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
