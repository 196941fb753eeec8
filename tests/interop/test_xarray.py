"""Measurements opened by xarray: values, dimensions, chunks, other processes."""

from __future__ import annotations

import importlib.util
import pathlib
import pickle

import h5py
import numpy as np
import pytest
import xarray as xr

import dcread
from dcread.demo.generate import make_measurement
from dcread.errors import FeatureNotFoundError, FormatError


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return make_measurement(tmp_path_factory.mktemp("xr"), frames=60).events


@pytest.mark.filterwarnings("ignore::dcread.EmptyDatasetWarning")
def test_real_files_equal_h5py(real_file: pathlib.Path) -> None:
    with (
        h5py.File(real_file) as h5,
        dcread.HDF5Data(real_file) as hd,
        xr.open_dataset(real_file, engine="dcread") as ds,
    ):
        seen = 0
        for name, stored in h5["events"].items():
            if name == "contour" or name not in hd:
                assert name not in ds
                continue
            if isinstance(stored, h5py.Group):
                for member, values in stored.items():
                    np.testing.assert_array_equal(ds[f"{name}_{member}"], values[:])
                    seen += 1
                continue
            expected = stored[:] != 0 if name == "mask" else stored[:]
            np.testing.assert_array_equal(ds[name].values, expected)
            assert ds[name].dtype == expected.dtype
            assert ds[name].dims[0] == "event"
            seen += 1
        assert seen
        assert ds.sizes["event"] == len(hd)
        for name, value in hd.meta.items():
            np.testing.assert_array_equal(ds.attrs[name], value)


def test_features_of_basins_and_units(demo: pathlib.Path) -> None:
    with dcread.HDF5Data(demo) as hd, xr.open_dataset(demo, engine="dcread") as ds:
        assert set(hd.keys()) - {"contour", "trace"} <= set(ds)
        np.testing.assert_array_equal(ds["image"], hd["image"][:])
        assert ds["area_um"].attrs == {"long_name": "Area", "units": "µm²"}
        assert ds["mask"].dtype == bool


INDICES = [
    np.s_[3],
    np.s_[2:9:2],
    np.s_[[5, 1, 1]],
    np.s_[-1, 4:8, ::3],
    np.s_[[3, 0], 2],
    np.s_[4, :, [7, 2]],
    np.s_[[1, 2], [3, 4], [5, 6]],
    np.s_[::-1],
    np.s_[0:0],
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_every_index_gives_what_a_loaded_dataset_gives(
    demo: pathlib.Path, index: object
) -> None:
    with xr.open_dataset(demo, engine="dcread") as ds:
        lazy = ds["image"][index]
        np.testing.assert_array_equal(lazy.values, ds["image"].load()[index].values)


def test_events_and_features_are_chosen(demo: pathlib.Path) -> None:
    options = {"features": ["deform", "image"], "index_mapping": [4, 2]}
    with (
        dcread.HDF5Data(demo) as hd,
        xr.open_dataset(demo, engine="dcread", **options) as ds,
        xr.open_dataset(demo, engine="dcread", drop_variables="image") as dropped,
    ):
        assert sorted(ds) == ["deform", "image"]
        np.testing.assert_array_equal(ds["deform"], hd["deform"][[4, 2]])
        assert "image" not in dropped
        assert "mask" in dropped
    with pytest.raises(FeatureNotFoundError, match="'nothing'"):
        xr.open_dataset(demo, engine="dcread", features=["nothing"])


def test_dask_chunks_are_whole_stored_chunks(demo: pathlib.Path) -> None:
    with (
        dcread.HDF5Data(demo, image_chunk_size=20) as hd,
        xr.open_dataset(
            demo, engine="dcread", chunks={}, options={"image_chunk_size": 20}
        ) as ds,
    ):
        stored = hd.image_chunk_size
        events = ds["image"].chunks[0]
        assert all(size % stored == 0 for size in events[:-1])
        np.testing.assert_array_equal(ds["image"].data.compute(), hd["image"][:])
        mean = ds["image"].mean(("y", "x")).compute()
        np.testing.assert_allclose(mean, hd["image"][:].mean(axis=(1, 2)))


def test_many_measurements_become_one(tmp_path: pathlib.Path) -> None:
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.rtdc")
        with h5py.File(paths[-1], "w") as h5:
            h5["events/deform"] = np.arange(4.0) + 10 * number
            h5["events/image"] = np.full((4, 3, 5), number, np.uint8)
    with xr.open_mfdataset(
        paths, engine="dcread", combine="nested", concat_dim="event"
    ) as ds:
        assert ds["deform"].values.tolist() == [
            10 * n + i for n in range(3) for i in range(4)
        ]
        assert (
            ds["image"].mean(("y", "x")).values.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        )


def test_pickles_are_small_and_open_again(demo: pathlib.Path) -> None:
    with xr.open_dataset(demo, engine="dcread", features=["image"]) as ds:
        blob = pickle.dumps(ds["image"])
        assert len(blob) < 4096
        again = pickle.loads(blob)
        np.testing.assert_array_equal(again[3:5].values, ds["image"][3:5].values)


@pytest.mark.slow
def test_a_cluster_of_two_workers_reads_the_same(demo: pathlib.Path) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
        ) as cluster,
        distributed.Client(cluster),
        xr.open_dataset(
            demo, engine="dcread", chunks={}, options={"image_chunk_size": 10}
        ) as ds,
        dcread.HDF5Data(demo) as hd,
    ):
        np.testing.assert_array_equal(
            ds["image"].sum(("y", "x")).values, hd["image"][:].sum(axis=(1, 2))
        )


def test_unreadable_features_are_named_and_left_out(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(4.0)
        h5["events/area_um"] = np.arange(4.0)
        h5["events/image"] = np.zeros((3, 2, 2), np.uint8)
    with (
        pytest.warns(UserWarning, match="left out: 'image'"),
        xr.open_dataset(path, engine="dcread") as ds,
    ):
        assert sorted(ds) == ["area_um", "deform"]
    with pytest.raises(dcread.DCReadError, match="image"):
        xr.open_dataset(path, engine="dcread", features=["image"])


def test_file_objects_can_be_opened(demo: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(4.0)
    with path.open("rb") as file, xr.open_dataset(file, engine="dcread") as ds:
        assert ds["deform"].values.tolist() == [0, 1, 2, 3]


@pytest.mark.skipif(
    any(map(importlib.util.find_spec, ("h5netcdf", "netCDF4"))),
    reason="xarray asks these engines first, and they take any HDF5 file",
)
def test_engine_is_found_by_the_name_of_the_file(demo: pathlib.Path) -> None:
    with xr.open_dataset(demo) as ds:
        assert "image" in ds


def test_no_measurement_is_a_named_error(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    path.write_bytes(b"nothing")
    with pytest.raises(FormatError, match=r"m\.rtdc"):
        xr.open_dataset(path, engine="dcread")


def test_closing_closes_the_measurement(demo: pathlib.Path, open_files) -> None:
    before = open_files()
    with xr.open_dataset(demo, engine="dcread") as ds:
        ds["image"][0].load()
        assert open_files() > before
    assert open_files() == before
