"""Rows by index against NumPy's own indexing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread.engine.kernels import gather_rows, scatter_rows
from dcread_ext.gather import gather, scatter

INDEX_TYPES = ("u1", "i1", "u2", "i4", "u4", "i8", "u8", ">i4", ">u8")
ROW_TYPES = ("?", "u1", "i2", "f4", "f8", ">f8", "c16", "M8[s]", "S5", "V3", "u1,f4")


def _rows(data: Any, arrays: Any, count: int, row: tuple[int, ...], dtype: Any) -> Any:
    if dtype.kind == "b":
        return data.draw(arrays(dtype, (count, *row)))
    plain = data.draw(arrays(f"V{dtype.itemsize}", (count, *row), few=False))
    return plain.view(dtype)


def _same(left: Any, right: Any) -> None:
    assert left.dtype == right.dtype
    assert left.shape == right.shape
    assert left.tobytes() == right.tobytes()


@given(data=st.data())
def test_gather_as_numpy(data: Any, arrays: Any) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(ROW_TYPES)))
    row = tuple(data.draw(st.lists(st.integers(0, 4), max_size=3)))
    count = data.draw(st.integers(0, 9))
    source = _rows(data, arrays, count, row, dtype)
    picks = data.draw(
        st.lists(st.integers(0, max(count - 1, 0)), max_size=20 if count else 0)
    )
    indices = np.array(picks, data.draw(st.sampled_from(INDEX_TYPES)))
    out = _rows(data, arrays, len(picks), row, dtype).copy()
    gather_rows(source, indices, out)
    _same(out, source[indices.astype(int)])


@given(data=st.data())
def test_gather_into_strided_output(data: Any, arrays: Any) -> None:
    source = data.draw(arrays("u2", (7, 3)))
    target = np.zeros((10, 4), np.uint16)
    start, step = data.draw(st.sampled_from([(0, 1), (1, 2), (9, -2)]))
    columns = data.draw(st.sampled_from([slice(0, 3), slice(3, 0, -1)]))
    picks = np.array(data.draw(st.lists(st.integers(0, 6), min_size=5, max_size=5)))
    expected = target.copy()
    expected[start::step, columns][:5] = source[picks]
    gather_rows(source, picks, target[start::step, columns][:5])
    _same(target, expected)


@given(data=st.data())
def test_scatter_as_numpy(data: Any, arrays: Any) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(ROW_TYPES)))
    row = tuple(data.draw(st.lists(st.integers(0, 4), max_size=2)))
    source = _rows(data, arrays, 6, row, dtype)
    pairs = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8))))
    picks = np.array([pick for pick, _ in pairs], np.uint32)
    places = np.array([place for _, place in pairs], np.int16)
    out = np.zeros((9, *row), dtype)
    expected = out.copy()
    for pick, place in pairs:
        expected[place] = source[pick]
    scatter_rows(source, picks, out, places)
    _same(out, expected)


@pytest.mark.parametrize("row", [(), (2, 3), (2, 0)], ids=str)
@pytest.mark.parametrize("step", [1, 2, -1])
@pytest.mark.parametrize(
    ("bad", "dtype"),
    [
        (-1, "i8"),
        (4, "i8"),
        (2**63 - 1, "i8"),
        (-(2**63), "i8"),
        (2**63, "u8"),
        (2**64 - 1, "u8"),
        (2**32 - 1, "u4"),
        (-128, "i1"),
    ],
)
def test_out_of_bounds_writes_nothing(
    row: Any, step: int, bad: int, dtype: str
) -> None:
    source = np.ones((4 * abs(step), *row), np.float32)[::step]
    indices = np.array([0, 3, bad, 1], dtype)
    out = np.zeros((4, *row), np.float32)
    with pytest.raises(
        IndexError, match=rf"index {bad} at position 2 is out of bounds"
    ):
        gather_rows(source, indices, out)
    with pytest.raises(
        IndexError, match=rf"index {bad} at position 2 is out of bounds"
    ):
        scatter_rows(source, indices, out, np.arange(4))
    with pytest.raises(
        IndexError, match=rf"index {bad} at position 2 is out of bounds"
    ):
        scatter_rows(source, np.arange(4), out, indices)
    assert not out.any()


def test_no_rows_to_take_from() -> None:
    source = np.empty((0, 3), np.uint8)
    gather_rows(source, np.empty(0, int), source.copy())
    out = np.full((1, 3), 7, np.uint8)
    with pytest.raises(IndexError, match="out of bounds for 0 rows of the source"):
        gather_rows(source, np.array([0]), out)
    assert (out == 7).all()


def test_overlap_of_source_and_output() -> None:
    rows = np.arange(12).reshape(6, 2)
    expected = rows[[5, 0, 1, 2]].copy()
    gather_rows(rows, np.array([5, 0, 1, 2]), rows[2:])
    np.testing.assert_array_equal(rows[2:], expected)
    rows = np.arange(6)
    scatter_rows(rows, np.arange(5), rows, np.arange(1, 6))
    assert rows.tolist() == [0, 0, 1, 2, 3, 4]


def test_what_does_not_fit() -> None:
    source, out = np.zeros((4, 3)), np.zeros((2, 3))
    picks = np.array([1, 2])
    with pytest.raises(TypeError, match="float64 cannot be copied to dtype float32"):
        gather_rows(source, picks, out.astype(np.float32))
    with pytest.raises(TypeError, match="object"):
        gather_rows(source.astype(object), picks, out.astype(object))
    with pytest.raises(ValueError, match=r"\(3,\) do not fit rows of \(2,\)"):
        gather_rows(source, picks, out[:, :2])
    with pytest.raises(ValueError, match="2 indices for an output of 1 rows"):
        gather_rows(source, picks, out[:1])
    with pytest.raises(ValueError, match="2 source indices for 1 places"):
        scatter_rows(source, picks, out, picks[:1])
    with pytest.raises(ValueError, match="at least one dimension"):
        gather_rows(np.array(1.0), picks, out)
    for wrong in (picks * 1.0, picks > 1, picks[None]):
        with pytest.raises(IndexError, match="1-D array of integers"):
            gather_rows(source, wrong, out)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        gather_rows(source, picks, out)
    assert not out.any()


def test_kernel_checks_what_it_is_given() -> None:
    source, out = np.ones((4, 3), np.uint8), np.zeros((2, 3), np.uint8)
    picks = np.array([1, 4])
    with pytest.raises(IndexError, match="index 4 at position 1"):
        gather(source, picks, out)
    with pytest.raises(IndexError, match=r"index 4 at position 1.*rows of the output"):
        scatter(source, picks - 1, out, picks - np.array([1, 0]))
    with pytest.raises(ValueError, match="rows of 3 bytes do not fit rows of 2 bytes"):
        gather(source, picks, out[:, :2])
    with pytest.raises(ValueError, match="side by side"):
        gather(source[:, ::-1], picks, out)
    with pytest.raises(ValueError, match="2 indices for 1 output rows"):
        gather(source, picks, out[:1])
    with pytest.raises(ValueError, match="2 source indices for 1 output indices"):
        scatter(source, picks, out, picks[:1])
    assert not out.any()


def test_from_many_threads_into_one_output(in_threads: Callable[..., Any]) -> None:
    source = np.arange(8000).reshape(1000, 8)
    picks = np.random.default_rng(0).permutation(1000)
    out = np.zeros_like(source)
    in_threads(lambda n: gather_rows(source, picks[n::8], out[n::8]), range(8))
    np.testing.assert_array_equal(out, source[picks])
