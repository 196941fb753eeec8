"""Frames and times go on from file to file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dcread.concat.frame_time import continue_frames, continue_times, frame_interval
from dcread.errors import FormatError


def frames(*parts, dtype=np.int64):
    arrays = [np.array(part, dtype) for part in parts]
    joined = continue_frames(arrays, [f"file {i}" for i in range(len(parts))])
    assert joined.dtype == np.uint64
    return joined.tolist()


def test_frames_start_at_one_and_go_on():
    assert frames([101, 102, 105], [7, 8]) == [1, 2, 5, 6, 7]


def test_unsorted_frames_keep_their_order():
    assert frames([105, 101, 103], [9, 7]) == [5, 1, 3, 8, 6]


@pytest.mark.parametrize("dtype", ["i4", "u4", "u8", "f4", "f8", ">i8", "u1", "f2"])
def test_types_of_frames(dtype):
    assert frames([101, 103], [7, 7, 8], dtype=dtype) == [1, 3, 4, 4, 5]


def test_unsigned_frames_never_wrap():
    assert frames([200, 5, 100], [255, 1], dtype=np.uint8) == [196, 1, 96, 451, 197]


def test_float32_frames_stay_exact():
    start = 2**24 - 3
    values = [start, start + 1, start + 2]
    assert frames([1, 2**24 - 1], values, values, dtype=np.float32) == [
        1,
        2**24 - 1,
        2**24,
        2**24 + 1,
        2**24 + 2,
        2**24 + 3,
        2**24 + 4,
        2**24 + 5,
    ]


def test_negative_and_huge_frames():
    low, high = -(2**63), 2**63 - 1
    with pytest.raises(FormatError, match="beyond 64 bits"):
        frames([low, high], [3])
    assert frames([low, 0], [5]) == [1, 2**63 + 1, 2**63 + 2]


def test_empty_parts_count_for_nothing():
    assert frames([], [5, 6], [], [1]) == [1, 2, 3]
    assert frames([], []) == []


@pytest.mark.parametrize(
    ("bad", "found"), [(np.nan, "nan"), (np.inf, "inf"), (1.5, "1.5"), (1e30, "1e")]
)
def test_frames_that_are_no_numbers_of_frames(bad, found):
    with pytest.raises(FormatError, match=r"frame.*event 1") as info:
        continue_frames([np.array([1.0, bad])], ["bad.rtdc"])
    assert "bad.rtdc" in str(info.value)
    assert found in str(info.value)
    assert "compute_frame=False" in str(info.value)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        hnp.arrays(
            st.sampled_from([np.uint8, np.int32, np.int64, np.uint64]),
            st.integers(0, 8),
            elements={"max_value": 100},
        ).map(lambda a: a.astype(a.dtype)),
        max_size=5,
    )
)
def test_gaps_within_files_stay_and_files_follow_each_other(parts):
    try:
        joined = continue_frames(parts, ["x"] * len(parts))
    except FormatError:
        ranges = [int(p.max()) - int(p.min()) + 1 for p in parts if len(p)]
        assert sum(ranges) > 2**64 - 1
        return
    place, last = 0, 0
    for part in parts:
        now = [int(frame) for frame in joined[place : place + len(part)]]
        place += len(part)
        if now:
            assert min(now) == last + 1
            assert [n - now[0] for n in now] == [int(p) - int(part[0]) for p in part]
            last = max(now)


def test_times_go_on_one_frame_interval_later():
    parts = [np.array([5.0, 6.0]), np.array([2.0, 4.0]), np.array([0.0])]
    joined = continue_times(parts, [0.5, 0.25, 1.0])
    assert joined.tolist() == [5.0, 6.0, 6.5, 8.5, 8.75]


def test_times_of_any_order_and_type():
    joined = continue_times([np.array([6, 5], "f4"), np.array([9, 8], "i4")], [1, 1])
    assert joined.dtype == np.float64
    assert joined.tolist() == [6, 5, 8, 7]


def test_times_that_are_unknown_stay_unknown():
    nan = np.nan
    parts = [[nan, 1.0], [nan, nan], [3.0, nan, 4.0], [], [np.inf, 0.0]]
    joined = continue_times([np.array(part) for part in parts], [0.5] * 5)
    expected = [nan, 1.0, nan, nan, 1.5, nan, 2.5, np.inf, 3.0]
    np.testing.assert_array_equal(joined, expected)


def test_unknown_interval_takes_that_of_the_next_file():
    parts = [np.array([1.0]), np.array([8.0])]
    assert continue_times(parts, [0.0, 0.25]).tolist() == [1.0, 1.25]
    assert continue_times(parts, [0.0, 0.0]).tolist() == [1.0, 1.0]
    assert continue_times([], []).tolist() == []


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (2000, 0.0005),
        (np.float32(4), 0.25),
        ("50", 0.02),
        *((unknown, 0.1) for unknown in (0, -3, None, np.nan, "fast", np.inf)),
    ],
)
def test_frame_interval(rate, expected):
    numbers, times = np.array([1, 3, 11]), np.array([0.5, 0.7, 1.5])
    assert frame_interval(rate, numbers, times) == pytest.approx(expected)


def test_frame_interval_that_nothing_tells():
    one = np.array([1.0])
    assert frame_interval(None, None, one) == 0
    assert frame_interval(None, one, one) == 0
    assert frame_interval(None, np.array([1, 2, 3]), one) == 0
    assert frame_interval(None, np.array([1.0, np.nan]), np.array([np.nan, 2.0])) == 0
