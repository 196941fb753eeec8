"""Any index expression: NumPy is the judge."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcread.arrays import index_expression as indexing
from dcread.arrays.index_expression import select
from dcread.arrays.index_items import normal_slice
from dcread.engine import ArrayReader, reader_for

SHAPES = [(7,), (0,), (5, 4), (6, 3, 6), (3, 3, 3), (0, 4, 3), (5, 0, 2)]


class Rows:
    """A reader that counts the rows and values that it was asked for."""

    def __init__(self, array):
        self.inner = ArrayReader(array)
        self.shape, self.dtype = self.inner.shape, self.inner.dtype
        self.name, self.filename, self.block_rows = "image", "a file", 2
        self.asked = []
        self.values = 0

    def __getitem__(self, expr):
        return select(self, expr)

    def read(self, rows, out=None, window=None):
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        assert count >= 0
        self.asked.append(rows)
        data = self.inner.read(rows, out, window)
        self.values += data.size
        return data

    def map_blocks(self, rows, func, window=None):
        raise NotImplementedError


def stack(shape):
    return np.arange(int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize("block_bytes", [0, 16 << 20])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_expression(shape, block_bytes, expressions, judge, monkeypatch):
    monkeypatch.setattr(indexing, "BLOCK_BYTES", block_bytes)
    array = stack(shape)
    rows = Rows(array)

    @settings(max_examples=100, deadline=None)
    @given(expressions(shape))
    def check(expr):
        judge(rows, array, expr)

    check()


@pytest.mark.parametrize(
    "expr",
    [
        np.uint8(200),
        slice(-3, None),
        slice(None, 0),
        slice(None, None, -1),
        slice(250, 3, -60),
        [],
        [[1, 299], [0, 0]],
        np.array([299, 0, 0, 5]),
        np.arange(300) % 7 == 0,
        (slice(None), slice(None, 2)),
        (slice(None), slice(None, 10), slice(None)),
        (..., 1),
        (None, [3, 1], slice(None), 0),
        ([4, 4], slice(None), [1, 2]),
        (slice(3, 9), [0, 3], [1, 1]),
        np.array(17),
        np.array([2**64 - 1], np.uint64),
        (),
        ...,
        None,
        True,
        range(4, 290, 50),
        (5, 3, 2),
        np.timedelta64(1, "s"),
        np.float64(2),
        {1: 2},
    ],
    ids=repr,
)
def test_examples(expr, judge):
    array = stack((300, 4, 3))
    judge(Rows(array), array, expr)


def test_mask_of_all_axes(judge):
    array = stack((20, 4, 3))
    for axes in (2, 3):
        mask = np.random.default_rng(1).random(array.shape[:axes]) < 0.3
        judge(Rows(array), array, mask)
        judge(Rows(array), array, np.zeros_like(mask))


def test_fields_of_a_table(judge):
    table = np.zeros(6, [("a", "f8"), ("b", "i4"), ("c", "u1")])
    table["b"] = np.arange(6)
    for expr in ("b", ["c", "a"], "missing", ["a", "missing"], 3, slice(1, 3)):
        judge(Rows(table), table, expr)


def test_reads_only_what_is_needed():
    rows = Rows(stack((50, 6, 5)))
    for expr, values in [
        ((slice(None), slice(None, 2)), 50 * 2 * 5),
        ((7, 2), 5),
        ((slice(None, None, 10), 1, 3), 5),
        (([3, 48], slice(2, 4), slice(-1, None)), 4),
        ((slice(None), [1, 3], [0, 0]), 50 * 3),
        (([9, 9, 9, 8], [0, 1, 2, 3], 0), 8),
        (slice(3, 3), 0),
    ]:
        rows.values = 0
        rows[expr]
        assert rows.values == values, expr


def test_result_is_new_memory():
    array = stack((5, 4))
    reader = reader_for(array)
    for expr in (2, slice(None), [1, 2], (slice(None), 1), ..., (slice(None), [1])):
        found = select(reader, expr)
        found[...] = -1
    assert array.min() == 0


def test_errors_name_file_and_object():
    rows = Rows(stack((5, 4)))
    for expr in (9, [9], (0, 9), "deform"):
        with pytest.raises(IndexError, match="'image' in a file"):
            rows[expr]


def test_memory_of_a_narrow_selection():
    array = np.broadcast_to(np.uint8(3), (20_000, 100, 100))
    reader = Rows(array)
    for expr in (np.s_[:, ::50, ::50], np.s_[::-1, [0, 99], [0, 99]]):
        tracemalloc.start()
        found = reader[expr]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.shape == array[expr].shape
        assert peak < 3 * indexing.BLOCK_BYTES < array.size / 3


def test_rows_out_of_order_are_read_by_blocks_in_order(monkeypatch):
    monkeypatch.setattr(indexing, "BLOCK_BYTES", 64)
    array = stack((64, 4))
    rows = Rows(array)
    order = np.random.default_rng(2).permutation(64)
    np.testing.assert_array_equal(rows[order, ::3], array[order, ::3])
    read = np.concatenate(rows.asked)
    np.testing.assert_array_equal(read, np.arange(64))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 12), st.data())
def test_normal_slice(length, data):
    bound = st.none() | st.integers(-15, 15)
    step = st.sampled_from([None, 1, 2, 5, -1, -3])
    part = slice(data.draw(bound), data.draw(bound), data.draw(step))
    rows, turned = normal_slice(part, length)
    found = list(range(rows.start, rows.stop, rows.step))
    assert found[:: -1 if turned else 1] == list(range(length))[part]
