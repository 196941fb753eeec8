"""The decision: same answer as the definition, whatever the images come in."""

from __future__ import annotations

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dcread
from dcread import detect_flickering


def stack_with(offsets, level=180, shape=(12, 16), dtype=np.uint8):
    """Frames of one brightness each."""
    values = level + np.asarray(offsets)
    return np.broadcast_to(
        values.astype(dtype)[:, None, None], (len(offsets), *shape)
    ).copy()


def by_definition(images, roi_height, brightness, count, max_frames):
    roi = np.asarray(images[:max_frames])[:, :roi_height, :]
    medians = np.median(roi, axis=(1, 2))
    offsets = medians - np.median(medians)
    return bool(np.sum(np.abs(offsets) >= abs(brightness)) >= count)


def test_five_frames_are_flickering_and_four_are_not():
    for number, expected in ((4, False), (5, True)):
        images = stack_with([0] * 50)
        images[5 : 5 + number] += 3
        assert detect_flickering(images) is expected


def test_threshold_is_inclusive_and_its_sign_is_ignored():
    images = stack_with([0] * 50)
    images[:5] += 3
    assert detect_flickering(images, brightness_threshold=3) is True
    assert detect_flickering(images, brightness_threshold=-3) is True
    assert detect_flickering(images, brightness_threshold=3.01) is False


def test_only_the_roi_counts():
    images = stack_with([0] * 50)
    images[:20, 10:] += 50
    assert detect_flickering(images, roi_height=10) is False
    images[:20, :6] += 50
    assert detect_flickering(images, roi_height=10) is True


def test_taller_roi_uses_the_image():
    images = stack_with([0] * 40)
    images[:20, :7] += 50  # 7 of 12 rows
    assert detect_flickering(images, roi_height=12) is True
    assert detect_flickering(images, roi_height=10_000) is True


@pytest.mark.parametrize("max_frames", [None, 0, 1, 7, 30, 31, 1000, -1, -25, -1000])
def test_max_frames_counts_like_a_slice(max_frames):
    images = stack_with([9] * 8 + [0] * 22)
    expected = False
    if len(images[:max_frames]):
        expected = by_definition(images, 10, 2.5, 5, max_frames)
    assert detect_flickering(images, max_frames=max_frames) is expected
    assert detect_flickering(list(images), max_frames=max_frames) is expected


@pytest.mark.parametrize("count_threshold", [0, -3])
def test_no_frames_are_not_flickering(count_threshold):
    for empty in (np.empty((0, 80, 320), np.uint8), [], stack_with([0] * 3)[:0]):
        assert detect_flickering(empty, count_threshold=count_threshold) is False


def test_count_threshold_of_nothing_is_always_reached():
    assert detect_flickering(stack_with([0] * 3), count_threshold=0) is True


def test_nan_threshold_is_never_reached():
    images = stack_with([0, 50] * 20)
    assert detect_flickering(images) is True
    assert detect_flickering(images, brightness_threshold=float("nan")) is False


@pytest.mark.parametrize("roi_height", [0, -1])
def test_roi_without_rows_is_refused(roi_height):
    with pytest.raises(ValueError, match="roi_height must be at least 1"):
        detect_flickering(stack_with([0] * 9), roi_height=roi_height)


@pytest.mark.parametrize("roi_height", [2.0, "10", None])
def test_roi_height_must_be_an_integer(roi_height):
    with pytest.raises(TypeError):
        detect_flickering(stack_with([0] * 9), roi_height=roi_height)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((5, 6)),
        np.zeros(5),
        np.zeros((5, 6, 7, 3)),
        np.zeros((5, 6, 7), complex),
        np.array([["a"]]),
        [np.zeros((4, 5)), np.zeros((4, 6))],
        [1, 2, 3],
        np.zeros((5, 0, 7)),
        "a path.rtdc",
        7,
        None,
    ],
)
def test_what_is_no_image_stack_is_refused(bad):
    with pytest.raises(ValueError, match=r"expected|pixels"):
        detect_flickering(bad)


@pytest.mark.parametrize(
    "dtype", ["u1", "u2", "i2", "u4", "i8", "f4", "f8", ">u2", ">f8", "f2"]
)
def test_dtypes(dtype):
    images = stack_with([0] * 30, dtype=dtype)
    assert detect_flickering(images) is False
    images[3:30:6] += np.array(3, dtype)
    assert detect_flickering(images) is True


def test_boolean_images():
    images = np.zeros((20, 12, 16), bool)
    images[:6] = True
    assert detect_flickering(images, brightness_threshold=1) is True


def test_strided_and_read_only_views():
    images = stack_with([0] * 60)
    images[::4] += 7
    images.flags.writeable = False
    assert detect_flickering(images[::4]) is False
    assert detect_flickering(images[::-1, ::-1, ::3]) is True
    assert detect_flickering(np.asfortranarray(images)) is True


@pytest.mark.parametrize("chunks", [None, (7, 12, 16), (3, 5, 6)])
def test_datasets_and_files(tmp_path, chunks):
    images = stack_with([0] * 60)
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 60
        h5.create_dataset("events/image", data=images, chunks=chunks)
        h5["events/deform"] = np.zeros(60)
        images[::10] += 5
        h5.create_dataset("events/other", data=images, chunks=chunks)
    with h5py.File(path) as h5:
        assert detect_flickering(h5["events/image"]) is False
        assert detect_flickering(h5["events/other"]) is True
        assert detect_flickering(h5["events/other"], max_frames=0) is False


def test_only_the_needed_rows_are_read():
    class Rows:
        shape, dtype = (3000, 80, 320), np.dtype("u1")

        def __init__(self):
            self.asked = []

        def __getitem__(self, item):
            self.asked.append(item)
            return np.full(self.shape, 7, np.uint8)[item]

    rows = Rows()
    assert detect_flickering(rows, max_frames=20) is False
    first = [item[0] if isinstance(item, tuple) else item for item in rows.asked]
    assert first
    assert all(isinstance(part, slice) and part.stop <= 20 for part in first)


def test_same_answer_as_the_peer_on_real_files(real_file):
    peer = pytest.importorskip("dcnum.read")
    with h5py.File(real_file) as h5:
        if "image" not in h5["events"]:
            pytest.skip("no images")
        dataset = h5["events/image"]
        images = dataset[:]
        for brightness in (0.5, 1, 2.5, 10):
            for count in (1, 2, 5):
                kwargs = {"brightness_threshold": brightness, "count_threshold": count}
                ours = detect_flickering(dataset, **kwargs)
                assert ours is detect_flickering(images, **kwargs)
                if len(images):
                    assert ours == peer.detect_flickering(images, **kwargs)
                else:
                    assert ours is False


@settings(max_examples=60, deadline=None)
@given(
    offsets=st.lists(st.integers(-6, 6), min_size=1, max_size=40),
    seed=st.integers(0, 2**16),
    roi=st.integers(1, 12),
    brightness=st.sampled_from([0, 0.5, 1, 2.5, -2, 3]),
    count=st.integers(0, 8),
    max_frames=st.one_of(st.none(), st.integers(1, 45), st.integers(-40, -1)),
)
def test_the_definition_is_met(*, offsets, seed, roi, brightness, count, max_frames):
    noise = np.random.default_rng(seed).integers(-4, 5, (len(offsets), 9, 7))
    images = (100 + np.array(offsets)[:, None, None] + noise).astype(np.uint8)
    ours = detect_flickering(images, roi, brightness, count, max_frames)
    if len(images[:max_frames]):
        assert ours is by_definition(images, roi, brightness, count, max_frames)
    else:
        assert ours is False


def test_it_is_public():
    assert dcread.detect_flickering is detect_flickering
