"""What an index mapping stands for."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcread import get_mapping_indices


def test_integer_is_the_first_rows():
    found = get_mapping_indices(5)
    assert found.dtype == np.arange(5).dtype
    np.testing.assert_array_equal(found, np.arange(5))
    np.testing.assert_array_equal(get_mapping_indices(np.uint8(3)), [0, 1, 2])


def test_slice():
    np.testing.assert_array_equal(get_mapping_indices(slice(2, 9, 3)), [2, 5, 8])
    np.testing.assert_array_equal(get_mapping_indices(slice(9, 2, -3)), [9, 6, 3])
    assert get_mapping_indices(slice(np.int64(1), np.int64(3))).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ([4, 2, 4], [4, 2, 4]),
        ((4, 2), [4, 2]),
        (range(8, 2, -3), [8, 5]),
        (np.array([7, 0], np.int8), [7, 0]),
        ([True, False, True], [0, 2]),
        (np.array([False, True]), [1]),
        ([], []),
        (range(0), []),
    ],
    ids=repr,
)
def test_sequences_are_uint32(given_, expected):
    found = get_mapping_indices(given_)
    assert found.dtype == np.uint32
    assert found.tolist() == expected


def test_large_values_are_never_wrapped():
    for values in ([2**32], [2**32 + 5, 1], np.array([2**40], np.uint64)):
        found = get_mapping_indices(values)
        assert found.tolist() == list(values)
        assert found.dtype.itemsize == 8
    for values in ([2**63], np.array([2**64 - 1], np.uint64), [2**70], [-(2**70)]):
        with pytest.raises(IndexError, match="index"):
            get_mapping_indices(values)


@given(
    st.integers(0, 60),
    st.integers(0, 60) | st.just(2**80),
    st.integers(-9, 9).filter(bool) | st.just(2**80),
    st.integers(0, 40),
)
def test_slices_are_those_of_numpy(start, stop, step, size):
    part = slice(start, stop, step)
    expected = np.arange(size)[part]
    found = get_mapping_indices(part, size=size)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    if stop < 2**80 and step < 2**80:
        bare = get_mapping_indices(part)
        np.testing.assert_array_equal(bare, np.arange(start, stop, step))


def test_large_results_are_not_kept():
    found = weakref.ref(get_mapping_indices(2**20 + 1))
    assert found() is None
    assert get_mapping_indices(2**20) is get_mapping_indices(2**20)


def test_cached_results_are_read_only_and_right_afterwards():
    found = get_mapping_indices(slice(0, 4))
    assert get_mapping_indices(slice(0, 4)) is found
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 9
    mine = get_mapping_indices([1, 2])
    mine[0] = 9
    assert get_mapping_indices([1, 2]).tolist() == [1, 2]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 12), st.data())
def test_size_gives_numpys_rules(size, data):
    bound = st.none() | st.integers(-15, 15)
    step = st.sampled_from([None, 1, 2, -1, -3])
    part = slice(data.draw(bound), data.draw(bound), data.draw(step))
    rows = np.arange(size)
    np.testing.assert_array_equal(get_mapping_indices(part, size), rows[part])
    number = data.draw(st.integers(0, 30))
    np.testing.assert_array_equal(get_mapping_indices(number, size), rows[:number])
    items = data.draw(st.lists(st.integers(-14, 14), max_size=4))
    try:
        expected = rows[np.array(items, int)]
    except IndexError:
        with pytest.raises(IndexError, match="out of bounds"):
            get_mapping_indices(items, size)
    else:
        np.testing.assert_array_equal(get_mapping_indices(items, size), expected)


def test_hundred_of_eleven_is_eleven():
    assert len(get_mapping_indices(100, size=11)) == 11
    assert get_mapping_indices(slice(-5, None), 11).tolist() == [6, 7, 8, 9, 10]


@pytest.mark.parametrize("part", [slice(None, 5), slice(3, None), slice(None)])
def test_open_slice_needs_the_size(part):
    with pytest.raises(NotImplementedError, match="must have start and stop defined"):
        get_mapping_indices(part)


@pytest.mark.parametrize("given_", [[0, -1], -3, slice(-3, -1), range(-2, 3)])
def test_negative_needs_the_size(given_):
    with pytest.raises(IndexError, match="`size`"):
        get_mapping_indices(given_)


@pytest.mark.parametrize(
    "given_",
    [
        1.0,
        np.float64(3),
        True,
        np.True_,
        "12",
        None,
        {1, 2},
        [0.5],
        [1.0, 2.0],
        np.array([1.0]),
        np.array([np.nan]),
        np.array([]),
        [[1, 2], [3, 4]],
        [[1, 2], [3]],
        [True, 2],
        [None],
        np.array(3),
        slice(0.5, 3),
        [2**63, -1.5],
    ],
    ids=repr,
)
@pytest.mark.parametrize("size", [None, 11])
def test_what_is_no_mapping(given_, size):
    with pytest.raises(ValueError, match="Invalid type for `index_mapping`"):
        get_mapping_indices(given_, size)


def test_step_zero():
    with pytest.raises(ValueError, match="cannot be zero"):
        get_mapping_indices(slice(0, 5, 0))


@pytest.mark.parametrize("mask", [[True], np.ones(12, bool)])
def test_mask_of_another_length(mask):
    with pytest.raises(IndexError, match="11 events"):
        get_mapping_indices(mask, 11)


def test_out_of_range():
    for given_ in ([11], [-12], np.array([3, 99], np.uint8), range(12)):
        with pytest.raises(IndexError, match="out of bounds for 11 events"):
            get_mapping_indices(given_, 11)
