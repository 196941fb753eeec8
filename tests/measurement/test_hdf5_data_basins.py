"""Features from basins behave as own ones; the documented doors to basins."""

from __future__ import annotations

import gc
import json
import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, HDF5ImageCache, Policy
from dcread.errors import (
    BasinIdentifierMismatchError,
    ClosedError,
    FeatureNotFoundError,
    PolicyError,
)

MAP = [3, 0, 0, 9, 5]
Write = Callable[..., pathlib.Path]


def _store_basin(h5: h5py.File, key: str, definition: dict[str, Any]) -> None:
    lines = json.dumps(definition, indent=2).split("\n")
    h5[f"basins/{key}"] = np.array([line.encode() for line in lines])


@pytest.fixture
def source(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "fl_wide-channel_2023.rtdc"


@pytest.fixture
def write(tmp_path: pathlib.Path, source: pathlib.Path) -> Write:
    """Write a file with one basin, the real measurement."""

    def write(mapping: list[int] | None = None, **changes: Any) -> pathlib.Path:
        path = tmp_path / "referrer.rtdc"
        definition = {
            "name": "raw data",
            "type": "file",
            "format": "hdf5",
            "paths": [str(source)],
            "features": None,
            **({"mapping": "basinmap0"} if mapping is not None else {}),
            **changes,
        }
        with h5py.File(path, "w") as h5:
            if mapping is not None:
                h5["events/basinmap0"] = np.array(mapping, np.uint32)
                h5.attrs["experiment:event count"] = len(mapping)
            else:
                h5.create_group("events")
                h5.attrs["experiment:event count"] = 10
            _store_basin(h5, "one", definition)
        return path

    return write


@pytest.mark.parametrize("mapping", [None, MAP], ids=["unmapped", "mapped"])
@pytest.mark.parametrize("index_mapping", [None, [1, 4], slice(0, 3)], ids=repr)
def test_as_own_ones(
    write: Write,
    source: pathlib.Path,
    mapping: list[int] | None,
    index_mapping: list[int] | slice | None,
) -> None:
    rows = np.arange(10) if mapping is None else np.array(mapping)
    rows = rows if index_mapping is None else rows[index_mapping]
    with (
        HDF5Data(write(mapping), index_mapping=index_mapping) as data,
        HDF5Data(source) as own,
    ):
        assert len(data) == len(rows)
        assert set(own.keys()) <= set(data.keys())
        for name in own:
            found, stored = data[name], own[name]
            assert type(found) is type(stored)
            assert data[name] is found
            if name == "trace":
                for trace in stored:
                    np.testing.assert_array_equal(
                        found[trace][:], stored[trace][:][rows]
                    )
            elif name == "contour":
                assert len(found) == len(rows)
                for event, row in enumerate(rows):
                    np.testing.assert_array_equal(found[event], stored[int(row)])
            else:
                np.testing.assert_array_equal(found[:], stored[:][rows])
                assert found.dtype == stored.dtype
        assert isinstance(data.image, HDF5ImageCache)
        with pytest.raises(ValueError, match="read-only"):
            data["deform"][0] = 1
        assert data.problems == []
        assert [status.available for status in data.basin_status()] == [True]


def test_equal_to_dcnum(write: Write, source: pathlib.Path) -> None:
    peer = pytest.importorskip("dcnum.read")
    path = write(MAP)
    with peer.HDF5Data(path, index_mapping=slice(1, 4)) as theirs:
        group, features, mapping = theirs.get_basin_data(0)
        expected = group.name, features, mapping.tolist()
        deform, keys = theirs["deform"][:], theirs.keys()
        basins = list(theirs.basins)
    with HDF5Data(path, index_mapping=slice(1, 4)) as data:
        group, features, mapping = data.get_basin_data(0)
        assert (group.name, features, np.asarray(mapping).tolist()) == expected
        assert data.get_basin_data(0)[0] is group
        np.testing.assert_array_equal(data["deform"], deform)
        assert data.keys() == keys
        assert data.basins == basins
        with h5py.File(path, locking=False) as h5:
            assert HDF5Data.extract_basin_dicts(h5) == basins
            assert HDF5Data.extract_basin_dicts(h5, check=False) == basins
        found, names = data._get_basin_data_file(basins[0])
        assert found["deform"].shape == (10,)
        assert names == expected[1]


def test_internal_basin(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "internal.rtdc"
    images = np.arange(2 * 12, dtype=np.uint8).reshape(2, 3, 4)
    definition = {
        "name": "background",
        "type": "internal",
        "format": "h5dataset",
        "paths": ["basin_events"],
        "features": ["image_bg"],
        "mapping": "basinmap0",
    }
    with h5py.File(path, "w") as h5:
        h5["events/image"] = np.full((4, 3, 4), 200, np.uint8)
        h5["events/basinmap0"] = np.array([1, 0, 0, 1])
        h5["basin_events/image_bg"] = images
        _store_basin(h5, "one", definition)
    with HDF5Data(path) as data:
        np.testing.assert_array_equal(data.image_bg[:], images[[1, 0, 0, 1]])
        np.testing.assert_array_equal(
            data.image_corr[:], 200 - images[[1, 0, 0, 1]].astype(np.int16)
        )
        group, features, mapping = data.get_basin_data(0)
        assert (group.name, features) == ("/basin_events", ["image_bg"])
        assert mapping.tolist() == [1, 0, 0, 1]
        found, names = data._get_basin_data_internal(definition)
        assert (found.name, names) == ("/basin_events", ["image_bg"])
        with pytest.raises(ValueError, match="'features' must be defined"):
            data._get_basin_data_internal({**definition, "features": None})


def test_reasons_are_named(write: Write) -> None:
    path = write(paths=["/absent/raw.rtdc"], features=["deform"])
    with HDF5Data(path) as data:
        assert "deform" not in data
        with pytest.raises(FeatureNotFoundError) as caught:
            data["deform"]
        message = str(caught.value)
        assert message.startswith("Feature 'deform' not found in ")
        for part in ("is not stored here", "raw data", "no file at /absent/raw.rtdc"):
            assert part in message
        assert data.get("deform") is None
        assert data._get_basin_data_file(data.basins[0]) == (None, [])
        status = data.basin_status()[0]
        assert (status.name, status.available) == ("raw data", False)


def test_another_measurement_is_refused(write: Write) -> None:
    with HDF5Data(write(MAP, identifier="somebody-elses")) as data:
        assert data["basinmap0"].tolist() == MAP
        assert data.keys() == ["basinmap0"]
        with pytest.raises(BasinIdentifierMismatchError, match="does not match"):
            data["deform"]
        with pytest.raises(BasinIdentifierMismatchError, match="does not match"):
            data.get_basin_data(0)


def test_the_policy_is_kept(write: Write, source: pathlib.Path) -> None:
    path = write()
    with HDF5Data(path, policy=Policy(local="beside")) as data:
        assert "deform" not in data
        with pytest.raises(FeatureNotFoundError, match="local"):
            data["deform"]
    inside = Policy(local="roots", roots=(source.parent,))
    with HDF5Data(path, policy=inside) as data:
        assert data["deform"].shape == (10,)
    assert issubclass(PolicyError, PermissionError)


@pytest.mark.parametrize("mapped", [False, True])
def test_length_from_a_basin(write: Write, mapped: bool) -> None:
    path = write()
    with h5py.File(path, "a") as h5:
        del h5.attrs["experiment:event count"]
    with HDF5Data(path, index_mapping=slice(2, 5) if mapped else None) as data:
        assert data["deform"].shape == ((3,) if mapped else (10,))
        assert len(data) == (3 if mapped else 10)


def test_given_definitions(write: Write, source: pathlib.Path) -> None:
    given = [
        {"name": "mine", "type": "file", "paths": [source], "features": ["deform"]}
    ]
    with HDF5Data(write(paths=["/absent"]), basins=given) as data:
        assert data.keys() == ["deform"]
        data.basins = [{**given[0], "features": ["area_um"]}]
        assert data.keys() == ["area_um"]
        assert data["area_um"].shape == (10,)


def test_definitions_that_somebody_changed_count(
    write: Write, source: pathlib.Path
) -> None:
    """Those of the file are parsed when they are read: what changes later is seen."""
    with HDF5Data(write(MAP, paths=["nowhere.rtdc"])) as data, HDF5Data(source) as own:
        data.basins[0]["paths"].append(str(source))
        assert np.array_equal(data["deform"], own["deform"][MAP])
    with HDF5Data(write(MAP)) as data:
        del data.basins[:]
        with pytest.raises(FeatureNotFoundError):
            data["deform"]


def test_a_forgotten_measurement_lets_go_of_its_basins(
    write: Write,
    source: pathlib.Path,
    tmp_path: pathlib.Path,
    open_files: Callable[[], set[pathlib.Path]],
) -> None:
    copy = tmp_path / "basin.rtdc"
    copy.write_bytes(source.read_bytes())
    path = write(paths=[copy.name])
    data = HDF5Data(path)
    assert data["deform"].shape == (10,)
    assert len(data.basin_status()) == 1
    assert {path, copy} <= open_files()
    del data
    gc.collect()
    assert {path, copy}.isdisjoint(open_files())


def test_closing_closes_the_basins(
    write: Write,
    source: pathlib.Path,
    tmp_path: pathlib.Path,
    open_files: Callable[[], set[pathlib.Path]],
) -> None:
    copy = tmp_path / "basin.rtdc"
    copy.write_bytes(source.read_bytes())
    path = write(paths=[copy.name])
    with HDF5Data(path) as data:
        image, deform = data.image, data["deform"]
        assert image[0].shape == (100, 1010)
        trace = data["trace"]["fl1_raw"]
        contour = data["contour"]
        assert {path, copy} <= open_files()
    assert {path, copy}.isdisjoint(open_files())
    for ask in (lambda: image[1], lambda: trace[0], lambda: contour[0]):
        with pytest.raises(ClosedError):
            ask()
    assert deform.shape == (10,)
