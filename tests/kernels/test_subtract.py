"""Image minus background, in exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread.images.difference import difference_dtype, subtract_images
from dcread_ext.subtract import subtract


def _exact(image: Any, background: Any) -> Any:
    return np.asarray(image.astype(object) * 1 - background.astype(object) * 1)


@given(data=st.data())
def test_any_pair_of_types(data: Any, arrays: Any, number_types: Any) -> None:
    left = np.dtype(data.draw(st.sampled_from(number_types)))
    right = np.dtype(data.draw(st.sampled_from(number_types)))
    shape = tuple(data.draw(st.lists(st.integers(0, 5), max_size=4)))
    image = data.draw(arrays(left, shape))
    background = data.draw(arrays(right, shape))
    wanted = difference_dtype(left, right)
    if wanted.kind == "f":
        with np.errstate(all="ignore"):
            result = subtract_images(image, background)
            expected = image.astype(wanted) - background.astype(wanted)
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == wanted
        return
    exact = _exact(image, background)
    if any(not -(2**63) <= number < 2**63 for number in exact.flat):
        with pytest.raises(OverflowError, match="does not fit int64"):
            subtract_images(image, background)
        return
    result = subtract_images(image, background)
    assert result.dtype == wanted
    assert result.tolist() == exact.tolist()


@pytest.mark.parametrize("left", [np.uint8, np.uint16])
@pytest.mark.parametrize("right", [np.uint8, np.uint16])
@given(data=st.data())
def test_kernel_on_any_strides(left: Any, right: Any, data: Any, arrays: Any) -> None:
    shape = data.draw(st.tuples(*[st.integers(0, 9)] * 3))
    image = data.draw(arrays(left, shape))
    background = data.draw(arrays(right, shape))
    out = data.draw(arrays(difference_dtype(image.dtype, background.dtype), shape))
    out = out if out.flags.writeable else out.copy()
    assert subtract_images(image, background, out) is out
    assert out.tolist() == _exact(image, background).tolist()


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [
        ("u1", "u1", "i2"),
        ("?", "?", "i2"),
        ("i1", "u1", "i2"),
        ("u2", "u1", "i4"),
        ("i2", "i2", "i4"),
        ("i2", "?", "i4"),
        ("u4", "u1", "i8"),
        ("u8", "u8", "i8"),
        ("f2", "u1", "f4"),
        ("f4", "u1", "f4"),
        ("f4", "i4", "f8"),
        (">u2", ">u2", "i4"),
        (">f8", "f4", "f8"),
    ],
)
def test_result_types(left: str, right: str, wanted: str) -> None:
    found = difference_dtype(np.dtype(left), np.dtype(right))
    assert found == np.dtype(wanted)
    assert found.isnative


def test_extremes_do_not_overflow() -> None:
    for dtype in ("u1", "i1", "u2", "i2", "u4", "i4"):
        info = np.iinfo(dtype)
        low, high = np.array([info.min], dtype), np.array([info.max], dtype)
        assert subtract_images(low, high).tolist() == [info.min - info.max]
        assert subtract_images(high, low).tolist() == [info.max - info.min]


@pytest.mark.parametrize("name", ["i8", "u8"])
def test_64_bits_are_exact_or_an_error(name: str) -> None:
    info = np.iinfo(name)
    high, low = np.array([info.max], name), np.array([info.min], name)
    near = np.array([info.max - 3], name)
    assert subtract_images(near, high).tolist() == [-3]
    with pytest.raises(OverflowError, match=f"{high.dtype}.*does not fit int64"):
        subtract_images(high, low)


@pytest.mark.parametrize("signed", ["i1", "i8"])
def test_more_than_64_bits_apart(signed: str) -> None:
    """The difference modulo 2**64 has the right sign, and yet is another one."""
    large = np.array([2**64 - 1], "u8")
    below = np.array([np.iinfo(signed).min], signed)
    for image, background in ((large, below), (below, large)):
        with pytest.raises(OverflowError, match="does not fit int64"):
            subtract_images(image, background)
    fine = np.array([2**63 - 1], "u8")
    assert subtract_images(-np.ones(1, signed), fine).tolist() == [-(2**63)]


def test_wider_outputs() -> None:
    image, background = np.array([3], np.uint8), np.array([5], np.uint8)
    for name in ("i4", ">i4", "i8", "f4"):
        out = np.zeros(1, name)
        assert subtract_images(image, background, out)[0] == -2
    with pytest.raises(TypeError, match="uint8 cannot hold int16"):
        subtract_images(image, background, np.zeros(1, np.uint8))
    wide = np.array([2**53 + 1], np.int64)
    swapped = np.zeros(1, ">i8")
    assert subtract_images(wide, wide * 0, swapped)[0] == 2**53 + 1
    with pytest.raises(TypeError, match="float64 cannot hold int64"):
        subtract_images(wide, wide, np.zeros(1))
    with pytest.raises(OverflowError, match="does not fit int64"):
        subtract_images(np.array([-(2**63)]), wide, swapped)


def test_output_that_overlaps_an_input() -> None:
    memory = np.arange(40, dtype=np.int16)
    image = memory.view(np.uint8)[::2].reshape(4, 10)
    background = np.full((4, 10), 50, np.uint8)
    expected = _exact(image, background).tolist()
    out = memory[:40].reshape(4, 10)
    assert subtract_images(image, background, out).tolist() == expected


def test_what_does_not_fit() -> None:
    image = np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"\(2, 3\) and background of shape \(3,\)"):
        subtract_images(image, image[0])
    with pytest.raises(ValueError, match="output of shape"):
        subtract_images(image, image, np.zeros(3, np.int16))
    with pytest.raises(TypeError, match="complex128"):
        subtract_images(image, image * 1j)
    locked = np.zeros((2, 3), np.int16)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        subtract_images(image, image, locked)


def test_kernel_checks_what_it_is_given() -> None:
    image = np.ones((1, 2, 3), np.uint16)
    with pytest.raises(ValueError, match="wider output"):
        subtract(image, image, np.zeros((1, 2, 3), np.int16))
    with pytest.raises(ValueError, match="differ in shape"):
        subtract(image, image[:, :1], np.zeros((1, 2, 3), np.int32))
    with pytest.raises(ValueError, match="differ in shape"):
        subtract(image, image, np.zeros((1, 2, 2), np.int32))


def test_from_many_threads_into_one_output(in_threads: Callable[..., Any]) -> None:
    rng = np.random.default_rng(1)
    image, background = rng.integers(0, 256, (2, 80, 20, 30), np.uint8)
    out = np.zeros(image.shape, np.int16)
    in_threads(
        lambda n: subtract_images(image[n::8], background[n::8], out[n::8]), range(8)
    )
    np.testing.assert_array_equal(out, image.astype(int) - background)
