"""Scalar features are shared and read-only; a selection of them is the caller's."""

from __future__ import annotations

import pathlib
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dcread


@pytest.fixture
def values(data_dir: pathlib.Path) -> Any:
    with dcread.HDF5Data(data_dir / "cytoshot_full-features_2023.rtdc") as hd:
        yield hd["deform"]


def test_a_slice_can_be_changed_and_the_feature_not(values: Any) -> None:
    before = np.array(values)
    mine = values[:]
    mine -= mine[0]
    assert mine[0] == 0
    assert before[0] != 0
    np.testing.assert_array_equal(values, before)
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1


def test_the_feature_stays_read_only(values: Any) -> None:
    for view in (values, values.view(np.ndarray), values.reshape(-1, 1), values.T):
        assert memoryview(view).readonly
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.setflags(write=True)


@pytest.mark.parametrize(
    "index", [slice(None), slice(3, 1), slice(None, None, -2), [2, 0], ..., None]
)
def test_selections_are_plain_arrays_of_their_own(values: Any, index: Any) -> None:
    found = values[index]
    assert type(found) is np.ndarray
    assert not np.shares_memory(found, values)
    np.testing.assert_array_equal(found, np.asarray(values)[index])


def test_single_values_are_numbers(values: Any) -> None:
    assert type(values[3]) is np.float64
    assert type(values.mean()) is np.float64
    assert [type(value) for value in values][:2] == [np.float64, np.float64]


@pytest.mark.parametrize(
    "compute",
    [lambda x: x * 2, np.cumsum, lambda x: x > 0, np.sqrt, lambda x: x + x],
)
def test_what_is_computed_is_a_plain_array(
    values: Any, compute: Callable[[Any], Any]
) -> None:
    found = compute(values)
    assert type(found) is np.ndarray
    assert found.flags.writeable
    np.testing.assert_array_equal(found, compute(np.asarray(values)))


def test_copies_and_pickles_hold_the_values(values: Any) -> None:
    copied = values.copy()
    copied[0] = 7
    assert values[0] != 7
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(values)), values)
