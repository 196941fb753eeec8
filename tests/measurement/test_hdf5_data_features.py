"""`HDF5Data` as a dictionary of features: images, scalars, traces, contours."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from dcread import HDF5Data
from dcread.errors import FeatureNotFoundError


@pytest.fixture
def path(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "cytoshot_full-features_2023.rtdc"


def test_scalars_are_read_once_and_protected(path: pathlib.Path) -> None:
    with HDF5Data(path) as data:
        assert data["deform"] is data["deform"]
        with pytest.raises(ValueError, match="read-only"):
            data["deform"][0] = 1


def test_absent_features(path: pathlib.Path) -> None:
    with HDF5Data(path) as data:
        assert "peter" not in data
        assert 5 not in data
        assert data.get("peter") is None
        assert data.get("peter", 3) == 3
        with pytest.raises(KeyError, match="Feature 'peter' not found in"):
            data["peter"]
        with pytest.raises(FeatureNotFoundError, match=path.name):
            data["peter"]
        with pytest.raises(KeyError):
            data["image_corr"]
        assert data.get_image_cache("peter") is None


def test_an_absent_feature_gives_names_spelled_alike_before_a_few_others(
    path: pathlib.Path,
) -> None:
    with HDF5Data(path) as data:
        count = len(data.keys())
        with pytest.raises(FeatureNotFoundError) as caught:
            data["deformation"]
        text = str(caught.value)
        assert "did you mean 'deform'" in text
        assert f"and {count - 6} more; keys() lists all {count}" in text
        assert len(text) < 500
        with pytest.raises(FeatureNotFoundError) as caught:
            data["qqqq"]
        assert "did you mean" not in str(caught.value)


def test_images_that_are_not_there(data_dir: pathlib.Path) -> None:
    with HDF5Data(data_dir / "raw-cytoshot-exported.rtdc") as data:
        assert data.image is not None
        assert data.image_bg is None
        assert data.image_corr is None
        assert data.mask is None
        with pytest.raises(KeyError, match="'mask'"):
            data["mask"]


def test_image_corr(path: pathlib.Path) -> None:
    with HDF5Data(path) as data:
        expected = data.image[:].astype(np.int16) - data.image_bg[:]
        np.testing.assert_array_equal(data.image_corr[:], expected)
        assert data.image_corr.dtype == np.int16
        assert data.image_corr is data.image_corr
        assert "image_corr" not in data


def test_like_a_dictionary_of_features(path: pathlib.Path) -> None:
    with HDF5Data(path) as data:
        assert list(data) == data.keys() == sorted(data.keys())
        assert "deform" in data
        assert all(name in data for name in data)
        pairs = dict(data.items())
        assert list(pairs) == data.keys()
        np.testing.assert_array_equal(pairs["deform"], data["deform"])
        assert sum(1 for _ in data.values()) == len(data.keys())
        data.keys().append("mine")
        assert "mine" not in data


def test_contours_are_a_sequence(data_dir: pathlib.Path) -> None:
    with HDF5Data(data_dir / "fl_wide-channel_2023.rtdc") as data:
        contour = data["contour"]
        assert contour[0].shape == (163, 2)
        np.testing.assert_array_equal(contour[-1], contour[9])
        assert [len(one) for one in contour[1:3]] == [256, 186]
        assert [len(one) for one in contour[[2, 0]]] == [186, 163]
        assert [len(one) for one in contour[np.arange(10) == 1]] == [256]
        for wrong in (10, -11):
            with pytest.raises(IndexError):
                contour[wrong]
        for wrong in (None, [[0]], 1.5):
            with pytest.raises(IndexError):
                contour[wrong]


def test_traces_are_a_mapping(data_dir: pathlib.Path) -> None:
    with HDF5Data(data_dir / "fl_2018.rtdc") as data:
        trace = data["trace"]
        assert len(trace) == 6
        assert "fl1_raw" in trace
        assert trace["fl1_raw"].shape == (7, 177)
        assert trace["fl1_raw"][2:4, 5].shape == (2,)
        assert "fl1_raw" in repr(trace)
        assert trace._ipython_key_completions_() == list(trace)
        with pytest.raises(KeyError, match="fl9_raw"):
            trace["fl9_raw"]
