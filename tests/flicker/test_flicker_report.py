"""The report: slow drift told from flicker, and words that a scientist reads."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest

from dcread import FlickerReport, detect_flickering, flicker_report
from dcread.flicker.drift import running_median


def frames_of(values):
    """Frames of one brightness each, with a little noise that medians remove."""
    values = np.asarray(values, float)
    noise = np.random.default_rng(4).normal(0, 1, (len(values), 10, 31))
    return values[:, None, None] + noise


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def test_numbers_of_a_flickering_light():
    values = np.full(200, 150, np.uint8)
    values[[3, 50, 51, 120, 199]] += 4
    images = np.broadcast_to(values[:, None, None], (200, 12, 16))
    report = flicker_report(images)
    assert isinstance(report, FlickerReport)
    np.testing.assert_array_equal(report.medians, values)
    np.testing.assert_array_equal(report.offsets, values - 150.0)
    assert report.flickering_frames.tolist() == [3, 50, 51, 120, 199]
    assert report.flickering_frames_without_drift.tolist() == [3, 50, 51, 120, 199]
    assert (report.frames, report.count, report.count_without_drift) == (200, 5, 5)
    assert report.flickering is True
    assert report.flickering_without_drift is True
    assert report.drifting is False
    assert report.drift_range == 0
    assert (report.roi_height, report.brightness_threshold) == (10, 2.5)
    assert (report.count_threshold, report.drift_window) == (5, 101)


def test_drifting_steady_light_is_told_from_flicker():
    report = flicker_report(frames_of(180 - np.linspace(0, 12, 1000)))
    assert report.flickering is True  # by the documented definition
    assert report.flickering_without_drift is False
    assert report.count_without_drift == 0
    assert report.drifting is True
    assert 10.5 < report.drift_range <= 12.5
    assert np.abs(report.offsets_without_drift).max() < 1


def test_drift_and_flicker_together(rng):
    values = 180 - np.linspace(0, 12, 1000)
    flickers = np.sort(rng.choice(1000, 30, replace=False))
    values[flickers] += rng.choice([-5, 5], 30)
    report = flicker_report(frames_of(values))
    assert report.drifting is True
    assert report.flickering_without_drift is True
    assert report.flickering_frames_without_drift.tolist() == flickers.tolist()


FRAMES = np.arange(1000)


@pytest.mark.parametrize("size", [60, 100, 101, 150, 1000])
@pytest.mark.parametrize("step", [-0.6, 0.2, 1.5])
def test_steep_drift_is_followed_to_both_ends(size, step):
    report = flicker_report(frames_of(180 + step * FRAMES[:size]))
    assert report.drifting is True
    assert report.flickering is True
    assert report.count_without_drift == 0
    assert report.drift_range == pytest.approx(abs(step) * (size - 1), abs=1.5)


@pytest.mark.parametrize(
    "light",
    [20 * np.exp(-FRAMES / 100), 20 * np.sin(FRAMES / 100)],
    ids=["warming up", "swaying"],
)
def test_curved_drift_is_told_from_flicker(light, rng):
    values = 150 + light
    report = flicker_report(frames_of(values))
    assert report.drifting is True
    assert report.flickering_without_drift is False
    flickers = np.sort(rng.choice(1000, 60, replace=False))
    flickers[[0, -1]] = 0, 999
    values[flickers] += rng.choice([-8, 8], 60)
    found = flicker_report(frames_of(values)).flickering_frames_without_drift
    assert found.tolist() == flickers.tolist()


def test_grey_values_that_are_integers(rng):
    steady = 150 - (FRAMES // 40)
    flickers = np.sort(rng.choice(1000, 60, replace=False))
    values = steady.copy()
    values[flickers] += rng.choice([-6, 6], 60)
    images = np.broadcast_to(values.astype("u1")[:, None, None], (1000, 10, 3))
    found = flicker_report(images).flickering_frames_without_drift
    assert found.tolist() == flickers.tolist()


def test_a_wide_window_takes_little_memory():
    images = np.broadcast_to(0.01 * np.arange(9000)[:, None, None], (9000, 2, 3))
    tracemalloc.start()
    try:
        report = flicker_report(images, drift_window=8001, max_frames=None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.frames == 9000
    assert report.count_without_drift == 0
    assert peak < 64 << 20


def test_lasting_step_is_drift():
    values = np.full(600, 150.0)
    values[300:] += 6
    report = flicker_report(frames_of(values))
    assert report.flickering is True
    assert report.drifting is True
    assert report.flickering_without_drift is False


def test_window_decides_what_is_slow():
    values = np.full(600, 150.0)
    values[200:240] += 6
    assert flicker_report(frames_of(values)).count_without_drift == 40
    slow = flicker_report(frames_of(values), drift_window=21)
    assert slow.count_without_drift == 0
    assert slow.drift_window == 21
    assert slow.drifting is True


@pytest.mark.parametrize("window", [0, -1, 2, 100])
def test_window_must_have_a_middle(window):
    with pytest.raises(ValueError, match="drift_window must be an odd number"):
        flicker_report(frames_of([1, 2]), drift_window=window)


def test_report_and_decision_agree(rng):
    for _ in range(30):
        values = 100 + rng.integers(-4, 5, rng.integers(1, 30))
        images = np.broadcast_to(
            values.astype("u1")[:, None, None], (len(values), 5, 3)
        )
        count = int(rng.integers(0, 9))
        report = flicker_report(images, 3, -2, count, -1)
        assert report.flickering is detect_flickering(images, 3, -2, count, -1)
        assert report.count == len(report.flickering_frames)
        assert report.brightness_threshold == 2


def test_no_frames():
    report = flicker_report(np.empty((0, 80, 320), np.uint8), count_threshold=0)
    assert report.flickering is False
    assert report.flickering_without_drift is False
    assert report.drifting is False
    assert report.frames == report.count == 0
    assert "no images" in str(report)


def test_nan_frames_do_not_spoil_the_drift():
    values = np.full(300, 50.0)
    images = frames_of(values)
    images[7] = np.nan
    report = flicker_report(images)
    assert report.flickering is detect_flickering(images)
    assert np.isnan(report.medians[7])
    only = flicker_report(np.full((4, 5, 5), np.nan))
    assert np.isnan(only.drift).all()
    assert only.drift_range == 0


def test_report_cannot_be_changed():
    report = flicker_report(frames_of([1, 2, 3]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.flickering = True
    with pytest.raises(ValueError, match="read-only"):
        report.medians[0] = 3


def test_text_for_each_case():
    steady = str(flicker_report(frames_of(np.full(300, 9.0))))
    assert "300 images" in steady
    assert "not flickering" in steady
    assert "0 images off" in steady
    drifting = str(flicker_report(frames_of(np.linspace(0, 12, 1000))))
    assert "drifts but is steady" in drifting
    values = np.full(300, 90.0)
    values[::10] += 5
    text = str(flicker_report(frames_of(values), roi_height=1, max_frames=250))
    assert "250 images" in text
    assert "first 1 row of each" in text
    assert "25 images" in text
    assert "sparsemed" in text


@pytest.mark.parametrize(
    ("size", "window"), [(1, 5), (7, 3), (7, 1), (40, 9), (9000, 5)]
)
def test_running_median_by_its_definition(size, window, rng):
    values = rng.normal(size=size)
    values[rng.random(size) < 0.1] = np.nan
    half = window // 2
    expected = []
    for i in range(size):
        part = values[max(0, i - half) : i + half + 1]
        part = part[np.isfinite(part)]
        expected.append(np.median(part) if len(part) else np.nan)
    np.testing.assert_array_equal(running_median(values, window), expected)


def test_repr_is_one_short_line():
    light = np.full((3000, 10, 16), 180, np.uint8)
    light[::10] += 5
    shown = repr(flicker_report(light, max_frames=None))
    assert shown == (
        "<FlickerReport of 3000 images: flickering (300 images), not drifting "
        "(0.00 grey values)>"
    )
    assert "of 0 images: not flickering" in repr(flicker_report(light[:0]))
