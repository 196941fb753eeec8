"""The same decision whatever serves the images: measurements, caches, mappings."""

from __future__ import annotations

import h5py
import hdf5plugin
import numpy as np
import pytest

from dcread import (
    HDF5Data,
    detect_flickering,
    errors,
    flicker_report,
    get_mapped_object,
)
from dcread.cache import HDF5ImageCache


@pytest.fixture(scope="module", params=["chunked", "spatial", "contiguous"])
def measurement(request, tmp_path_factory):
    """A file with a flickering light, and its images."""
    rng = np.random.default_rng(8)
    images = rng.integers(90, 110, (400, 24, 40)).astype("u1")
    images[rng.choice(400, 40, replace=False)] += 9
    path = tmp_path_factory.mktemp("flicker") / f"{request.param}.rtdc"
    options = {
        "chunked": {"chunks": (32, 24, 40), "fletcher32": True, **hdf5plugin.Zstd()},
        "spatial": {"chunks": (7, 9, 16), "compression": "gzip"},
        "contiguous": {},
    }[request.param]
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 400
        h5.create_dataset("events/image", data=images, **options)
        h5["events/image_bg"] = np.full_like(images, 90)
        h5["events/deform"] = np.arange(400.0)
    return path, images


@pytest.mark.parametrize("max_frames", [None, 1000, 301, 33, 1, 0, -380])
def test_every_view_gives_the_medians_of_the_array(measurement, max_frames):
    path, images = measurement
    expected = np.array([np.median(image[:10]) for image in images[:max_frames]])
    with HDF5Data(path) as data:
        views = [
            data,
            data.image,
            data.h5["events/image"],
            HDF5ImageCache(data.h5["events/image"], chunk_size=50),
            get_mapped_object(data.h5["events/image"], None),
            get_mapped_object(data.h5["events/image"], slice(0, 400)),
            images,
            list(images),
        ]
        for view in views:
            report = flicker_report(view, max_frames=max_frames)
            np.testing.assert_array_equal(report.medians, expected)
            assert detect_flickering(view, max_frames=max_frames) is report.flickering
        corrected = flicker_report(data.image_corr, max_frames=max_frames)
        np.testing.assert_array_equal(corrected.medians, expected - 90)


def test_mapped_measurements(measurement):
    path, images = measurement
    order = np.random.default_rng(3).integers(0, 400, 250)
    for mapping in (order, slice(7, 300, 3), 50, [5, 5, 399]):
        rows = images[:mapping] if isinstance(mapping, int) else images[mapping]
        expected = np.median(rows[:, :6], axis=(1, 2))
        with HDF5Data(path, index_mapping=mapping) as data:
            report = flicker_report(data, roi_height=6)
            np.testing.assert_array_equal(report.medians, expected)
            view = get_mapped_object(data.h5["events/image"], mapping)
            np.testing.assert_array_equal(
                flicker_report(view, roi_height=6).medians, expected
            )


def test_measurement_without_images(tmp_path):
    path = tmp_path / "none.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 3
        h5["events/deform"] = np.arange(3.0)
    with HDF5Data(path) as data:
        with pytest.raises(errors.FeatureNotFoundError, match="image") as info:
            detect_flickering(data)
        assert str(path) in str(info.value)
        with pytest.raises(ValueError, match=r"expected a stack of grey images"):
            detect_flickering(data.h5["events/deform"])


def test_measurement_that_is_closed(measurement):
    data = HDF5Data(measurement[0])
    cache = data.image
    data.close()
    for view in (data, cache):
        with pytest.raises(errors.ClosedError):
            detect_flickering(view)


def test_damaged_chunk_is_an_error(tmp_path):
    path = tmp_path / "damaged.rtdc"
    images = np.random.default_rng(1).integers(0, 255, (40, 12, 16)).astype("u1")
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 40
        ds = h5.create_dataset(
            "events/image", data=images, chunks=(10, 12, 16), fletcher32=True
        )
        info = ds.id.get_chunk_info(2)
    with open(path, "r+b") as file:
        file.seek(info.byte_offset + 50)
        file.write(b"xyz")
    with HDF5Data(path) as data:
        assert detect_flickering(data, max_frames=20, brightness_threshold=200) is False
        with pytest.raises(errors.ChecksumError, match="image") as info:
            detect_flickering(data)
        assert str(path) in str(info.value)
