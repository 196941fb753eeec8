"""Outputs whose memory is used again: never while anybody can still see it."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from dcread.engine import buffer_pool as memory
from dcread.engine import open_dataset

SHAPE = (5, 2**20)
U1 = np.dtype("u1")


@pytest.fixture(autouse=True)
def store():
    memory._store.clear()
    yield memory._store
    memory._store.clear()


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_comes_back_when_the_last_view_is_gone(store):
    first = memory.empty(SHAPE, U1)
    place = address(first)
    row = first[2, 5:9]
    flat = row.view("u4")
    del first
    gc.collect()
    assert len(store) == 0
    del row
    assert len(store) == 0
    del flat
    assert len(store) == 1
    second = memory.empty((SHAPE[0] * SHAPE[1] // 8,), np.dtype("f8"))
    assert address(second) == place
    assert len(store) == 0
    second[:] = 1.5
    assert type(second) is np.ndarray
    assert second.flags.c_contiguous
    assert second.flags.writeable


def test_another_size_gets_other_memory(store):
    del (large := {"array": memory.empty(SHAPE, U1)})["array"]
    assert large == {}
    assert len(store) == 1
    much_smaller = memory.empty((2**22,), U1)
    assert len(store) == 1
    a_little_smaller = memory.empty((SHAPE[0] * SHAPE[1] - 100,), U1)
    assert len(store) == 0
    assert len(much_smaller) + 100 < len(a_little_smaller)


@pytest.mark.parametrize("size", [0, 10, memory.LEAST - 1, memory.STORE + 1])
def test_small_and_huge_arrays_are_ordinary(store, size):
    array = memory.empty((size,), U1)
    assert array.shape == (size,)
    assert array.base is None
    del array
    assert len(store) == 0


def test_store_is_bounded(store):
    arrays = [memory.empty((memory.STORE // 4,), U1) for _ in range(9)]
    arrays.clear()
    assert len(store) == 4
    assert sum(item.nbytes for item in store) <= memory.STORE


def test_threads(store):
    errors = []

    def work(number):
        for _ in range(60):
            array = memory.empty(SHAPE, U1)
            array[:, ::4096] = number
            if not (array[:, ::4096] == number).all():
                errors.append(number)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    assert sum(item.nbytes for item in store) <= memory.STORE


def test_reads_use_it(tools, tmp_path, opened, store):
    data = np.random.default_rng(0).integers(0, 9, (5, 1024, 1024)).astype("u1")
    path = tools.make_dataset(tmp_path / "a.h5", data, (1, 1024, 1024), (3,))
    reader = open_dataset(opened(path), "x")
    kept = reader.read(slice(0, 5))
    passing = reader.read(slice(0, 5))
    assert not np.shares_memory(kept, passing)
    del passing
    assert len(store) == 1
    assert np.array_equal(reader.read(slice(0, 5)), data)
    assert np.array_equal(kept, data)
