"""Medians against `numpy.median`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread.engine import set_num_threads
from dcread.flicker.roi_medians import roi_medians
from dcread_ext.roi_median import roi_median
from dcread_ext.roi_select import roi_select


def _expected(stack: Any, roi_height: int) -> Any:
    if stack[:, :roi_height].size == 0:  # NumPy gives NaN or raises, by the axis
        return np.full(len(stack), np.nan)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.median(stack[:, :roi_height], axis=(1, 2)).astype(np.float64)


@given(data=st.data())
def test_any_stack_as_numpy(data: Any, arrays: Any, number_types: Any) -> None:
    dtype = data.draw(st.sampled_from(number_types))
    shape = data.draw(st.tuples(*[st.integers(0, 12)] * 3))
    stack = data.draw(arrays(dtype, shape))
    roi_height = data.draw(st.integers(1, 15))
    result = roi_medians(stack, roi_height)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, _expected(stack, roi_height))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(data=st.data())
def test_counting_real_sized_frames(dtype: Any, data: Any) -> None:
    # Long enough for lanes to overflow, with medians that move or stand still.
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    top = np.iinfo(dtype).max
    centre = rng.uniform(0, top, (6, 1, 1))
    if data.draw(st.booleans()):
        centre[2:] = centre[1]
    noise = data.draw(st.sampled_from([0, 0.3, 5, 300, 20_000]))
    width = data.draw(st.sampled_from([1, 17, 400, 401, 5000]))
    frames = rng.normal(centre, noise, (6, 5, width)).clip(0, top).astype(dtype)
    roi_height = data.draw(st.integers(1, 5))
    np.testing.assert_array_equal(
        roi_medians(frames, roi_height), _expected(frames, roi_height)
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lanes_do_not_overflow(dtype: Any) -> None:
    # A 16-byte vector counts to 255 or 65535 in each lane before it is drained.
    lanes = 16 // np.dtype(dtype).itemsize
    size = lanes * (np.iinfo(dtype).max + 2) + 3
    stack = np.full((2, 1, size), 7, dtype)
    stack[1, 0, : size // 2 + 1] = 3
    np.testing.assert_array_equal(roi_medians(stack, 1), [7, 3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_data_made_to_be_slow(dtype: Any) -> None:
    top = np.iinfo(dtype).max
    powers = top >> np.arange(16)
    frames = np.empty((40, 4, 33), dtype)
    for number, frame in enumerate(frames):
        frame[...] = np.resize(np.roll(powers, number)[: 2 + number % 14], frame.shape)
        if number % 2:
            frame[...] = top - frame
    np.testing.assert_array_equal(roi_medians(frames, 4), _expected(frames, 4))


def test_two_middle_values_are_averaged() -> None:
    stack = np.array([[[0, 255]], [[254, 255]], [[3, 3]]], np.uint8)
    assert roi_medians(stack, 1).tolist() == [127.5, 254.5, 3.0]
    wide = np.array([[[2**62, 2**62 + 2**12]]], np.int64)
    assert roi_medians(wide, 1).tolist() == [float(2**62 + 2**11)]


@pytest.mark.parametrize("dtype", ["f2", ">u2", "g"])
def test_types_that_go_block_by_block(dtype: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("dcread.flicker.roi_medians._BLOCK_BYTES", 1000)
    stack = np.random.default_rng(2).normal(90, 9, (53, 4, 9)).astype(dtype)
    np.testing.assert_array_equal(roi_medians(stack, 3), _expected(stack, 3))


def test_nan_anywhere_makes_nan_without_a_warning() -> None:
    stack = np.zeros((3, 2, 4), np.float32)
    stack[1, 1, 3] = -np.nan
    np.testing.assert_array_equal(roi_medians(stack, 2), [0, np.nan, 0])
    np.testing.assert_array_equal(roi_medians(stack, 1), [0, 0, 0])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g"])
def test_infinities_as_numpy_without_a_warning(dtype: str) -> None:
    stack = np.array([[[-np.inf, np.inf]], [[np.inf, np.inf]], [[1, np.inf]]], dtype)
    np.testing.assert_array_equal(roi_medians(stack, 1), [np.nan, np.inf, np.inf])


def test_frames_without_pixels() -> None:
    assert np.isnan(roi_medians(np.empty((2, 0, 3), np.uint8), 1)).all()
    assert roi_medians(np.empty((0, 2, 3), np.uint8), 1).shape == (0,)


def test_wrong_arguments() -> None:
    stack = np.zeros((2, 3, 4), np.uint8)
    with pytest.raises(ValueError, match=r"stack of images.*shape \(3, 4\)"):
        roi_medians(stack[0], 1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        roi_medians(stack, 0)
    with pytest.raises(TypeError, match="complex64"):
        roi_medians(stack.astype(np.complex64), 1)


@pytest.mark.parametrize(
    ("kernel", "scratch"),
    [(roi_median, np.empty(12, np.uint8)), (roi_select, np.empty(12, np.uint64))],
)
def test_kernels_check_sizes(kernel: Any, scratch: Any) -> None:
    stack = np.zeros((2, 3, 4), np.uint8 if kernel is roi_median else np.int8)
    out = np.full(2, np.nan)
    with pytest.raises(ValueError, match="scratch for 11 pixels, frames have 12"):
        kernel(stack, scratch[:11], out)
    with pytest.raises(ValueError, match="1 results for 2 frames"):
        kernel(stack, scratch, out[:1])
    with pytest.raises(ValueError, match="without pixels"):
        kernel(stack[:, :0], scratch, out)
    assert np.isnan(out).all()
    kernel(stack, scratch, out)
    assert out.tolist() == [0, 0]


def test_from_many_threads_on_parts_of_one_stack(
    in_threads: Callable[..., Any],
) -> None:
    rng = np.random.default_rng(3)
    stack = rng.integers(0, 256, (64, 10, 100), np.uint8)
    stack.flags.writeable = False
    found = in_threads(lambda part: roi_medians(part, 7), np.split(stack, 8))
    np.testing.assert_array_equal(np.concatenate(found), _expected(stack, 7))


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("frames", [1, 3, 701])
def test_large_stacks_are_shared_among_threads(threads: int, frames: int) -> None:
    rng = np.random.default_rng(frames)
    stack = rng.integers(0, 999, (frames, 30, 2**21 // (20 * frames)), np.uint16)
    set_num_threads(threads)
    try:
        found = roi_medians(stack, 20)
    finally:
        set_num_threads(None)
    np.testing.assert_array_equal(found, _expected(stack, 20))
