"""What basins give to the inputs is joined, or one warning tells what is left out."""

from __future__ import annotations

import json
import warnings

import h5py
import numpy as np
import pytest

import dcread
from dcread import HDF5Data, concatenated_hdf5_data


@pytest.fixture
def mapped(measurement):
    """Return a function that writes files with few own features and a mapped basin."""

    def write(name, rows, *, features=("image", "area_um"), source=None, **more):
        raw = source or measurement(
            f"raw-{name}", n=40, seed=len(name), area_um=np.arange(40.0)
        )
        path = measurement(name, n=len(rows), image=None)
        definition = {
            "name": "raw",
            "type": "file",
            "format": "hdf5",
            "paths": [str(raw)],
            "features": list(features),
            "mapping": "basinmap3",
            **more,
        }
        with h5py.File(path, "r+") as h5:
            h5["events/basinmap3"] = np.array(rows, np.uint8)
            text = json.dumps(definition).encode()
            h5["basins/key"] = np.array([text])
        return path, raw

    return write


def rows_of(raw, rows):
    with HDF5Data(raw) as hd:
        return hd["image"][:][rows], hd["area_um"][rows]


def test_mapped_features_are_referred_to_not_copied(mapped, join, tmp_path):
    (a, raw_a), (b, raw_b) = mapped("a.rtdc", [39, 0, 7]), mapped("bb.rtdc", [1, 1])
    out = tmp_path / "joined.rtdc"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = join([a, b], path_out=out)
    images, areas = zip(rows_of(raw_a, [39, 0, 7]), rows_of(raw_b, [1, 1]), strict=True)
    assert data.keys() == [
        *("area_um", "basinmap0", "deform", "frame", "image", "time")
    ]
    np.testing.assert_array_equal(data["image"][:], np.concatenate(images))
    np.testing.assert_array_equal(data["area_um"], np.concatenate(areas))
    assert data["basinmap0"].tolist() == [39, 0, 7, 41, 41]
    assert data.problems == []
    sources = {one.split(" ")[1] for one in data.logs["dcread-concat"] if "src" in one}
    assert sources == {str(a), str(b)}
    data.close()
    raw_b.unlink()
    with pytest.raises(dcread.FileMissingError, match=raw_b.name):
        HDF5Data(out)


def test_stored_and_mapped_rows_of_one_feature(mapped, measurement, join):
    a = measurement("stored.rtdc", area_um=np.arange(100.0, 110.0))
    b, raw = mapped("bb.rtdc", [1, 5], features=["area_um", "image"])
    data = join([a, b])
    images, areas = rows_of(raw, [1, 5])
    assert data["area_um"].tolist() == [*np.arange(100.0, 110.0), *areas]
    np.testing.assert_array_equal(data["image"][10:], images)
    with HDF5Data(a) as hd:
        np.testing.assert_array_equal(data["image"][:10], hd["image"][:])


def test_features_by_different_maps(mapped, measurement, join):
    path, raw = mapped("a.rtdc", [4, 2, 0], features=["image"])
    with h5py.File(path, "r+") as h5:
        h5["events/basinmap8"] = np.array([1.0, 1.0, 3.0])
        definition = json.loads(h5["basins/key"][0])
        definition |= {"features": ["area_um"], "mapping": "basinmap8"}
        h5["basins/other"] = np.array([json.dumps(definition).encode()])
    data = join([path, path])
    images, _ = rows_of(raw, [4, 2, 0])
    assert data["area_um"].tolist() == [1, 1, 3] * 2
    np.testing.assert_array_equal(data["image"][:], np.concatenate([images, images]))
    maps = [name for name in data if name.startswith("basinmap")]
    assert maps == ["basinmap0", "basinmap1"]


def test_joined_files_are_joined_again(mapped, join, tmp_path):
    path, raw = mapped("a.rtdc", [4, 2, 0])
    join([path, path], path_out=tmp_path / "one.rtdc").close()
    data = join([tmp_path / "one.rtdc", path])
    images, areas = rows_of(raw, [4, 2, 0] * 3)
    np.testing.assert_array_equal(data["image"][:], images)
    np.testing.assert_array_equal(data["area_um"], areas)


def test_other_programs_read_the_joined_file(mapped, join, tmp_path):
    peer = pytest.importorskip("dcnum.read")
    dclab = pytest.importorskip("dclab")
    (a, raw_a), (b, raw_b) = mapped("a.rtdc", [39, 0, 7]), mapped("bb.rtdc", [1, 1])
    out = tmp_path / "joined.rtdc"
    join([a, b], path_out=out).close()
    images, areas = zip(rows_of(raw_a, [39, 0, 7]), rows_of(raw_b, [1, 1]), strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with peer.HDF5Data(out) as hd:
            np.testing.assert_array_equal(hd["image"][:], np.concatenate(images))
            np.testing.assert_array_equal(hd["area_um"], np.concatenate(areas))
        with dclab.new_dataset(out) as ds:
            np.testing.assert_array_equal(ds["image"][:], np.concatenate(images))
            np.testing.assert_array_equal(ds["area_um"][:], np.concatenate(areas))
            with HDF5Data(out) as hd:
                for name in ("deform", "frame", "time"):
                    np.testing.assert_array_equal(ds[name][:], hd[name])


def test_one_warning_names_what_not_all_have(mapped, measurement, join):
    a, _ = mapped("a.rtdc", [3, 4])
    b, raw = mapped("bb.rtdc", [1, 5])
    raw.unlink()
    with pytest.warns(
        UserWarning, match=r"Ignoring area_um, image; .*bb\.rtdc"
    ) as seen:
        data = join([a, b])
    assert len(seen) == 1
    assert data.keys() == ["deform", "frame", "time"]
    log = "\n".join(data.logs["dcread-concat"])
    assert "feature 'image': left out" in log
    assert "feature 'area_um': left out" in log


def test_images_of_another_shape_are_left_out(mapped, measurement, join):
    a, _ = mapped("a.rtdc", [3, 4])
    raw = measurement(
        "other.rtdc", n=40, image=np.zeros((40, 5, 5), "u1"), area_um=np.arange(40.0)
    )
    b, _ = mapped("bb.rtdc", [1, 5], source=raw)
    with pytest.warns(UserWarning, match=r"Ignoring image; .*shape"):
        data = join([a, b])
    assert data["area_um"].tolist() == [3, 4, 1, 5]
    with pytest.raises(dcread.ShapeMismatchError, match="image"):
        concatenated_hdf5_data([a, b], features=["image"])


def test_index_maps_of_the_inputs_are_not_copied(measurement, join):
    path = measurement("a.rtdc", basinmap0=np.arange(10), basinmap12=np.arange(10))
    assert join([path, path]).keys() == ["deform", "frame", "image", "time"]
