"""Inputs that do not fit: the error names file and feature, nothing is left."""

from __future__ import annotations

import json
import os

import h5py
import numpy as np
import pytest

from dcread import concatenated_hdf5_data, errors


@pytest.fixture
def refused(tmp_path):
    """Check that a concatenation fails and leaves nothing; return the message."""

    def check(paths, kind=ValueError, **kwargs):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        kwargs.setdefault("path_out", out / "o.rtdc")
        with pytest.raises(kind) as info:
            concatenated_hdf5_data(paths, **kwargs)
        assert os.listdir(out) == []
        return str(info.value)

    return check


def test_missing_feature(measurement, refused):
    a = measurement("a.rtdc", userdef1=np.arange(10.0))
    b = measurement("b.rtdc")
    message = refused([a, b])
    assert f"File {a} contains more features than {b}" in message
    assert "userdef1" in message


def test_feature_that_nobody_has(measurement, refused):
    a = measurement("a.rtdc")
    message = refused([a, a], features=["deform", "no_such"])
    assert "contains more features than" in message
    assert "no_such" in message
    assert str(a) in message


@pytest.mark.parametrize("in_basin", [False, True])
def test_names_that_are_not_text_are_left_out(measurement, join, refused, in_basin):
    path = measurement("a.rtdc")
    with h5py.File(path, "a") as h5:
        h5[b"events/trace/fl\xff"] = np.ones((10, 3))
        h5["events/trace/fl1_raw"] = np.ones((10, 3))
        h5[b"logs/\xff"] = [b"line"]
        if in_basin:
            basin = {"name": "b", "type": "internal", "format": "h5dataset"}
            listed = {"paths": ["inside"], "features": ["tilt\udcff"]}
            h5["basins/b"] = json.dumps({**basin, **listed}).encode()
        h5[b"inside/tilt\xff" if in_basin else b"events/tilt\xff"] = np.arange(10)
    with pytest.warns(UserWarning, match="expected a name in UTF-8"):
        joined = join([path, path])
    assert "tilt\udcff" not in joined
    assert list(joined["trace"]) == ["fl1_raw"]
    assert len(joined["deform"]) == 20
    assert joined.logs["src-#2_\udcff"] == ["line"]
    message = refused([path] * 2, errors.FormatError, features=["tilt\udcff"])
    assert "expected a name in UTF-8" in message


def test_basins_whose_place_is_not_text_are_copied(measurement, join, tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.mkdir(folder)
    with h5py.File(os.path.join(folder, "b.rtdc"), "w") as h5:
        h5["events/tilt"] = np.arange(10) * 2
    path = measurement("a.rtdc")
    with h5py.File(path, "a") as h5:
        basin = {"name": "b", "type": "file", "format": "hdf5", "features": ["tilt"]}
        paths = {"paths": [os.path.join(folder, "b.rtdc")]}
        h5["basins/b"] = json.dumps({**basin, **paths}).encode()
    with pytest.warns(UserWarning, match="would have to be copied"):
        assert "tilt" not in join([path, path])
    joined = join([path, path], features=["deform", "tilt"])
    assert joined["tilt"].tolist() == [*range(0, 20, 2)] * 2


def test_times_that_are_no_numbers(measurement, refused):
    texts = measurement("t.rtdc", time=np.full(10, b"noon"))
    message = refused([texts, texts], errors.FormatError)
    assert str(texts) in message
    assert "'time': expected seconds" in message


def test_later_files_may_have_more(measurement, join):
    a, b = measurement("a.rtdc"), measurement("b.rtdc", userdef1=np.arange(10.0))
    assert "userdef1" not in join([a, b])


@pytest.mark.parametrize(
    "image", [np.zeros((10, 4, 7), "u1"), np.zeros((10, 24), "u1"), np.zeros(10, "u1")]
)
def test_images_of_another_shape(measurement, refused, image):
    a, b = measurement("a.rtdc"), measurement("b.rtdc", image=image)
    message = refused([a, b], errors.ShapeMismatchError)
    assert str(b) in message
    assert "'image'" in message
    assert str(image.shape) in message


def test_features_of_another_length(measurement, refused):
    ragged = measurement("r.rtdc", deform=np.arange(9.0))
    message = refused([ragged, ragged], errors.ShapeMismatchError)
    assert str(ragged) in message
    assert "'deform'" in message


def test_frames_of_another_length(measurement, refused):
    ragged = measurement("r.rtdc", frame=np.arange(9))
    assert "'frame'" in refused([ragged] * 2, errors.ShapeMismatchError)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("u1", "u2", "u2"),
        ("u2", "u1", "u2"),
        ("f4", "f8", "f8"),
        ("i4", "f4", "f8"),
        (">f8", ">f8", ">f8"),
        (">i2", "<i2", "i2"),
        ("?", "u1", "u1"),
        ("?", "?", "?"),
        ("i1", "u1", "i2"),
    ],
)
@pytest.mark.parametrize("path_out", [True, None])
def test_types_promote(*, measurement, join, one, other, expected, path_out):
    values = np.array([0, 1, 1, 0, 1, 1, 0, 0, 1, 0])
    larger = values * (100 if other != "?" else 1)
    a = measurement("a.rtdc", userdef1=values.astype(one))
    b = measurement("b.rtdc", userdef1=larger.astype(other))
    data = join([a, b], path_out=path_out)
    assert data.h5["events/userdef1"].dtype == np.dtype(expected)
    assert data["userdef1"].dtype == np.dtype(expected)
    np.testing.assert_array_equal(data["userdef1"], [*values, *larger])


def test_images_promote(measurement, join):
    deep = np.full((10, 4, 6), 40_000, "u2")
    data = join([measurement("a.rtdc"), measurement("b.rtdc", image=deep)])
    assert data.image.dtype == np.uint16
    assert data.image[3, 0, 0] == 53
    assert data.image[13, 0, 0] == 40_000


def test_numbers_and_text_do_not_fit(measurement, refused):
    a = measurement("a.rtdc", userdef1=np.arange(10))
    b = measurement("b.rtdc", userdef1=np.array([b"x"] * 10))
    message = refused([a, b], errors.FormatError)
    assert str(b) in message
    assert "'userdef1'" in message


def test_inputs_that_are_no_measurements(measurement, refused, tmp_path):
    a = measurement("a.rtdc")
    text = tmp_path / "text.rtdc"
    text.write_text("hello")
    with h5py.File(tmp_path / "none.rtdc", "w") as h5:
        h5["other"] = 3
    os.mkfifo(tmp_path / "fifo")
    for name, kind in (
        ("text.rtdc", errors.FormatError),
        ("none.rtdc", errors.DCReadError),
        ("gone.rtdc", errors.FileMissingError),
        ("fifo", errors.NotAFileError),
        (".", errors.NotAFileError),
    ):
        assert str(tmp_path / name) in refused([a, tmp_path / name], kind)
        refused([tmp_path / name, a], kind)


def test_groups_warn_once_and_are_left_out(measurement, join):
    paths = [measurement("a.rtdc"), measurement("b.rtdc", seed=2)]
    for path in paths:
        with h5py.File(path, "a") as h5:
            h5["events/contour/0"] = np.zeros((5, 2))
            h5["events/odd/0"] = np.zeros(5)
    with pytest.warns(UserWarning, match="Ignoring") as caught:
        data = join(paths)
    texts = [str(one.message) for one in caught]
    assert "Ignoring contour; not implemented yet!" in texts
    assert sum("Ignoring odd" in text for text in texts) == 1
    assert len(texts) == 2
    assert data.keys() == ["deform", "frame", "image", "time"]
    with pytest.warns(UserWarning, match="Ignoring contour; not implemented yet!"):
        data = join(paths, features=["deform", "contour"])
    assert data.keys() == ["deform", "frame"]


def test_nothing_to_concatenate(tmp_path, refused):
    path = tmp_path / "c.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/contour/0"] = np.zeros((5, 2))
    with pytest.warns(UserWarning, match="Ignoring contour"):
        assert "no features" in refused([path, path])


def test_interrupted_by_the_progress_callback(measurement, refused):
    def stop(done):
        if done > 0.6:
            raise KeyboardInterrupt

    refused([measurement("a.rtdc")] * 2, KeyboardInterrupt, progress=stop)


def test_external_link_is_not_followed(measurement, join, tmp_path):
    secret = measurement("secret.rtdc", seed=9)
    a = measurement("a.rtdc")
    with h5py.File(a, "a") as h5:
        h5["events/userdef1"] = h5py.ExternalLink(str(secret), "events/deform")
    with pytest.warns(UserWarning, match="Ignoring userdef1"):
        assert "userdef1" not in join([a, a])
    with pytest.raises(errors.PolicyError, match="external link"):
        concatenated_hdf5_data([a, a], features=["userdef1"])
