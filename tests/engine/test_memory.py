"""Outputs whose memory is used again: never while anybody can still see it."""

from __future__ import annotations

import gc
import pathlib

import numpy as np
import pytest

from dcread.engine import buffer_pool as memory
from dcread.engine import open_dataset

SHAPE = (5, 2**20)
U1 = np.dtype("u1")


@pytest.fixture(autouse=True)
def store():
    gc.collect()  # what tests before this one have left in cycles comes back now
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
    place = address(memory.empty(SHAPE, U1))
    assert len(store) == 1
    a_little_smaller = memory.empty((SHAPE[0] * SHAPE[1] - 100,), U1)
    assert len(store) == 0
    assert address(a_little_smaller) == place
    del a_little_smaller
    much_smaller = memory.empty((2**22,), U1)
    assert much_smaller.nbytes == 2**22
    # what lay idle makes room for new memory
    assert len(store) == 0


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


def test_threads(store, in_threads):
    def work(number):
        for _ in range(60):
            array = memory.empty(SHAPE, U1)
            array[:, ::4096] = number
            assert (array[:, ::4096] == number).all()

    in_threads(work, range(8))
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


@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="no /proc")
def test_buffers_of_idle_decoders_are_bounded(tmp_path, run_python):
    """Chunks of 15 MB are decoded by eight threads; hardly a buffer is left."""
    script = """
import gc, pathlib, resource, sys
import h5py, numpy as np, dcread

def used():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20

dcread.set_num_threads(8)
chunk = np.random.default_rng(0).integers(0, 2**15, 15 * 2**19, dtype="u2")
layout = {"chunks": chunk.shape, "compression": "gzip", "compression_opts": 1}
with h5py.File(sys.argv[1], "w") as h5:
    shape = (12 * len(chunk),)
    layout |= {"shuffle": True, "fletcher32": True}
    values = h5.create_dataset("x", shape, "u2", **layout)
    for first in range(0, len(values), len(chunk)):
        values[first : first + len(chunk)] = chunk
del values, chunk
gc.collect()
before = used()
with h5py.File(sys.argv[1]) as h5:
    rows = np.arange(0, len(h5["x"]), 1000)
    for _ in range(3):
        dcread.get_mapped_object(h5["x"], rows)[:]
gc.collect()
print(used() - before < 100)
"""
    done = run_python(script, tmp_path / "x.h5", timeout=100)
    assert (done.stdout, done.stderr) == ("True\n", "")
