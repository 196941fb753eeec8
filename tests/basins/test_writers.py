"""Files as dcnum and dclab write them."""

from __future__ import annotations

import pathlib
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import dclab
import dcnum.read
import dcnum.write
import h5py
import numpy as np
import pytest

Open = Callable[..., Any]

NAME = "cytoshot_full-features_legacy_allev_2023.rtdc"
LENGTH = 11
MAP = np.array([3, 3, 10, 0, 7])


@pytest.fixture
def source(data_dir: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "src.rtdc"
    shutil.copyfile(data_dir / NAME, path)
    return path


@pytest.fixture
def expected(source: pathlib.Path) -> dict[str, Any]:
    with h5py.File(source) as h5:
        return {name: h5["events"][name][:] for name in ("deform", "image", "mask")}


def _with_metadata(source: pathlib.Path, path: pathlib.Path, length: int) -> h5py.File:
    h5 = h5py.File(path, "w")
    with h5py.File(source) as src:
        for key, value in src.attrs.items():
            h5.attrs[key] = value
    h5.attrs["experiment:event count"] = length
    h5.require_group("events")
    return h5


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("absolute", [False, True])
def test_file_basin_by_dcnum(
    mapped: bool,
    absolute: bool,
    source: pathlib.Path,
    expected: dict[str, Any],
    open_basins: Open,
) -> None:
    path = source.with_name("ref.rtdc")
    with _with_metadata(source, path, len(MAP) if mapped else LENGTH) as h5:
        writer = dcnum.write.HDF5Writer(h5)
        writer.store_basin(
            name="n",
            paths=["fake.rtdc", source if absolute else source.name],
            mapping=MAP if mapped else None,
        )
    opened = open_basins(path, length=len(MAP) if mapped else LENGTH)
    rows = MAP if mapped else slice(None)
    for name, values in expected.items():
        assert np.array_equal(opened.values(name), values[rows])
    with dcnum.read.HDF5Data(path) as hd:
        assert opened.features() | ({"basinmap0"} & set(hd.keys())) == set(hd.keys())
        assert np.array_equal(opened.values("image"), hd["image"][:])


def test_internal_basin_by_dcnum(source: pathlib.Path, open_basins: Open) -> None:
    path = source.with_name("ref.rtdc")
    images = np.arange(2 * 3 * 4, dtype="u1").reshape(2, 3, 4)
    rows = np.arange(LENGTH) % 2
    with _with_metadata(source, path, LENGTH) as h5:
        writer = dcnum.write.HDF5Writer(h5)
        writer.store_basin(name="bg", mapping=rows, internal_data={"image_bg": images})
    opened = open_basins(path, length=LENGTH)
    assert np.array_equal(opened.values("image_bg"), images[rows])
    with dcnum.read.HDF5Data(path) as hd:
        assert np.array_equal(opened.values("image_bg"), hd["image_bg"][:])


def test_create_with_basins_of_a_file_with_an_internal_basin(
    source: pathlib.Path, open_basins: Open
) -> None:
    # The list of features has the internal ones of the basin as well, which the
    # peer does not find again.
    rows = np.arange(LENGTH) % 2
    temp = np.array([1.5, 2.5])
    with h5py.File(source, "r+") as h5:
        writer = dcnum.write.HDF5Writer(h5)
        writer.store_basin(name="i", mapping=rows, internal_data={"temp": temp})
    path = source.with_name("ref.rtdc")
    dcnum.write.create_with_basins(path, [[source, source.name]])
    opened = open_basins(path, length=LENGTH)
    assert "temp" in opened.features()
    assert np.array_equal(opened.values("temp"), temp[rows])
    assert opened.status("src.rtdc").reason == ""


@pytest.fixture
def store_with_dclab(source: pathlib.Path) -> Callable[..., pathlib.Path]:
    def store(length: int, **basin: Any) -> pathlib.Path:
        path = source.with_name("ref.rtdc")
        _with_metadata(source, path, length).close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with dclab.RTDCWriter(path, mode="append") as writer:
                writer.store_basin(**basin)
        return path

    return store


def test_unmapped_file_basin_by_dclab_is_seen(
    source: pathlib.Path,
    expected: dict[str, Any],
    store_with_dclab: Callable[..., pathlib.Path],
    open_basins: Open,
) -> None:
    path = store_with_dclab(
        LENGTH,
        basin_name="n",
        basin_type="file",
        basin_format="hdf5",
        basin_locs=[source],
    )
    opened = open_basins(path, length=LENGTH)
    for name, values in expected.items():
        assert np.array_equal(opened.values(name), values)
    # The peer takes "same" for a missing feature and drops the basin.
    with dcnum.read.HDF5Data(path) as hd:
        assert "image" not in hd
    with dclab.new_dataset(path) as ds:
        assert np.array_equal(ds["deform"], expected["deform"])
        assert np.array_equal(ds["image"][3], opened.values("image")[3])


def test_mapped_file_basin_by_dclab(
    source: pathlib.Path,
    expected: dict[str, Any],
    store_with_dclab: Callable[..., pathlib.Path],
    open_basins: Open,
) -> None:
    path = store_with_dclab(
        len(MAP),
        basin_name="n",
        basin_type="file",
        basin_format="hdf5",
        basin_locs=[source],
        basin_feats=["deform", "image"],
        basin_map=MAP.astype(np.int64),
    )
    opened = open_basins(path, length=len(MAP))
    assert np.array_equal(opened.values("image"), expected["image"][MAP])
    assert opened.values("mask") is None
    assert opened.status("n").features == ("deform", "image")
    with dclab.new_dataset(path) as ds:
        assert np.array_equal(ds["deform"], opened.values("deform"))


def test_internal_basin_by_dclab(
    store_with_dclab: Callable[..., pathlib.Path], open_basins: Open
) -> None:
    rows = np.arange(LENGTH) % 2
    path = store_with_dclab(
        LENGTH,
        basin_name="n",
        basin_type="internal",
        basin_format="h5dataset",
        basin_locs=["basin_events"],
        basin_feats=["userdef1"],
        basin_map=rows.astype(np.int64),
        internal_data={"userdef1": np.array([5.0, 6.0])},
    )
    opened = open_basins(path, length=LENGTH)
    assert opened.values("userdef1").tolist() == (rows + 5.0).tolist()


def test_remote_basin_by_dclab_is_not_contacted_unasked(
    store_with_dclab: Callable[..., pathlib.Path], open_basins: Open
) -> None:
    path = store_with_dclab(
        LENGTH,
        basin_name="n",
        basin_type="remote",
        basin_format="http",
        basin_locs=["https://example.org/a.rtdc"],
        verify=False,
    )
    opened = open_basins(path, length=LENGTH)
    assert opened.features() == set()
    assert opened.status("n").available is None
    assert opened.basins.find("image") is None
    assert opened.status("n").available is False
    assert "DCREAD_OFFLINE" in opened.reasons("image")[0]
