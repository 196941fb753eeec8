"""Memory of chunks goes round, but never while somebody looks at it."""

from __future__ import annotations

import threading
import time
from collections import deque

import h5py
import numpy as np
import pytest

from dcread.cache import HDF5ImageCache, ImageCorrCache
from dcread.engine import buffer_pool as engine_memory
from dcread.images.chunk_memory import ChunkMemory


@pytest.fixture
def stack():
    return np.random.default_rng(8).integers(0, 256, (400, 16, 16)).astype(np.uint8)


def caches(stack):
    image = HDF5ImageCache(stack, chunk_size=40)
    yield image, stack
    back = HDF5ImageCache(np.roll(stack, 1, 0), chunk_size=40)
    yield ImageCorrCache(image, back), stack.astype(np.int16) - np.roll(stack, 1, 0)


@pytest.mark.parametrize(
    "keep",
    [
        lambda chunk: chunk,
        lambda chunk: chunk[3:9],
        lambda chunk: chunk[5][2],
        lambda chunk: chunk.reshape(-1)[::-1],
        lambda chunk: np.asarray(memoryview(chunk)),
        lambda chunk: chunk.view(np.uint8).T,
    ],
)
def test_what_the_caller_keeps_is_never_overwritten(stack, keep):
    made = list(caches(stack))
    for cache, array in made:
        kept = [keep(cache.get_chunk(chunk)) for chunk in cache.iter_chunks()]
        for chunk in (3, 4, 5, 6, 0, 9, 1, 2, 3):
            cache.get_chunk(chunk)
        for chunk, found in enumerate(kept):
            expected = array[chunk * 40 : chunk * 40 + 40].copy()
            np.testing.assert_array_equal(found, keep(expected))
    for cache, _ in made:
        cache.close()


def test_scan_takes_no_more_than_its_chunks(stack):
    cache = HDF5ImageCache(stack, chunk_size=40, cache_size=2)
    for turn in range(3):
        for index in cache.iter_chunks():
            chunk = cache.get_chunk(index)
            assert np.array_equal(chunk, stack[index * 40 : index * 40 + 40]), turn
    cache._ahead_thread.join()
    assert len(cache._memory._blocks) == 2
    cache.close()


def test_who_keeps_all_chunks_does_not_wait(stack):
    cache = HDF5ImageCache(stack, chunk_size=40, cache_size=2)
    start = time.monotonic()
    kept = [cache.get_chunk(index) for index in cache.iter_chunks()]
    assert time.monotonic() - start < 1.5
    assert len(kept) == 10
    start = time.monotonic()
    cache.close()
    assert time.monotonic() - start < 1.5


def test_memory_goes_round():
    memory = ChunkMemory(64, limit=2)
    first = memory.new((4, 4), np.uint32)
    second = memory.new((8,), np.float64)
    address = first.ctypes.data
    view = first[1:, 2]
    del first
    assert memory.wait_for_new((64,), np.uint8, 0.01) is None
    del view
    third = memory.wait_for_new((2, 4), np.uint32, 0.01)
    assert third.ctypes.data == address
    assert third.shape == (2, 4)
    extra = memory.new((64,), np.uint8)  # beyond the limit, since it was asked for
    assert extra.ctypes.data not in {third.ctypes.data, second.ctypes.data}
    del extra
    assert memory.wait_for_new((1,), np.uint8, 0.01) is None


def test_memory_outlives_its_owner(monkeypatch):
    monkeypatch.setattr(engine_memory, "_store", deque())
    size = engine_memory.LEAST
    chunk = ChunkMemory(size, limit=1).new((size,), np.uint8)
    address = chunk.ctypes.data
    del chunk
    other = np.empty(size, np.uint8)  # would be given what the system got back
    assert other.ctypes.data != address
    again = ChunkMemory(size, limit=1).new((size,), np.uint8)
    assert again.ctypes.data == address


def test_memory_can_be_waited_for():
    memory = ChunkMemory(8, limit=1)
    held = [memory.new((8,), np.uint8)]
    got = []
    for ask in (held.clear, memory.give_up):
        thread = threading.Thread(
            target=lambda: got.append(memory.wait_for_new((8,), np.uint8, 20))
        )
        thread.start()
        time.sleep(0.02)
        ask()
        thread.join(10)
        assert not thread.is_alive()
    assert got[0].shape == (8,)
    assert got[1] is None


def test_real_images(data_dir):
    with h5py.File(data_dir / "cytoshot_full-features_2023.rtdc") as h5:
        image = HDF5ImageCache(h5["events/image"], chunk_size=8)
        kept = [image.get_chunk(k)[::3] for k in image.iter_chunks()]
        for k, found in enumerate(kept):
            expected = h5["events/image"][8 * k : 8 * k + 8][::3]
            np.testing.assert_array_equal(found, expected)
        image.close()
