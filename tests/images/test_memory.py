"""What an image cache holds in memory stays within its bound; nobody waits for it."""

from __future__ import annotations

import sysconfig
import threading
import time

import h5py
import numpy as np
import pytest

from dcread.cache import BaseImageChunkCache, HDF5ImageCache, ImageCorrCache

BLOCK = 8
STACK = np.random.default_rng(8).integers(0, 256, (400, 16, 16)).astype(np.uint8)
IMAGE = 256  # bytes

# Free-threaded Python frees an object of another thread when that thread gets to it.
FREED_AT_ONCE = not sysconfig.get_config_var("Py_GIL_DISABLED")


def caches():
    image = HDF5ImageCache(STACK, chunk_size=40)
    yield image, STACK
    back = HDF5ImageCache(np.roll(STACK, 1, 0), chunk_size=40)
    yield ImageCorrCache(image, back), STACK.astype(np.int16) - np.roll(STACK, 1, 0)


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
def test_what_the_caller_keeps_is_never_overwritten(keep):
    made = list(caches())
    for cache, array in made:
        kept = [keep(cache.get_chunk(chunk)) for chunk in cache.iter_chunks()]
        for chunk in (3, 4, 5, 6, 0, 9, 1, 2, 3):
            cache.get_chunk(chunk)
        for chunk, found in enumerate(kept):
            expected = array[chunk * 40 : chunk * 40 + 40].copy()
            np.testing.assert_array_equal(found, keep(expected))
    for cache, _ in made:
        cache.close()


def test_who_keeps_all_chunks_does_not_wait():
    made = [cache for cache, _ in caches()]
    start = time.monotonic()
    for cache in made:
        kept = [cache.get_chunk(index) for index in cache.iter_chunks()]
        assert len(kept) == 10
    for cache in made:
        cache.close()
    assert time.monotonic() - start < 1


def in_order(cache):
    for index in range(len(cache)):
        cache[index]


def at_random(cache):
    for index in np.random.default_rng(3).permutation(len(cache)).tolist():
        cache[index]


def by_chunks(cache):
    for chunk in cache.iter_chunks():
        cache.get_chunk(chunk)


def by_slices(cache):
    for start in range(0, len(cache), 10):
        cache[start : start + 10]


WALKS = [in_order, at_random, by_chunks, by_slices]


@pytest.mark.parametrize("blocks", [1, 3, 20])
@pytest.mark.parametrize("first", WALKS)
@pytest.mark.parametrize("then", WALKS)
def test_all_that_is_held_stays_within_max_bytes(slow, first, then, blocks):
    source = slow(STACK)
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)
    assert cache.max_bytes == 80 * IMAGE
    cache.max_bytes = blocks * BLOCK * IMAGE
    for walk in (first, then):
        walk(cache)
        source.settle()
        assert source.held <= cache.max_bytes
    # of what is read for the caller, a chunk or slice is his
    own = 40 if by_chunks in (first, then) else 10 if by_slices in (first, then) else 0
    if FREED_AT_ONCE:
        assert source.most_held <= cache.max_bytes + max(own, BLOCK) * IMAGE
    cache.close()
    assert source.held == 0


def test_a_chunk_that_was_looked_at_leaves_as_others_do(slow, wait_for):
    source = slow(STACK)
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)
    for index in range(3):
        cache.get_chunk(index)
        rows = 40 * (index + 2 if index else 1)  # in order: one is ahead
        wait_for(lambda rows=rows: source.rows_read == rows)
        source.settle()
        if index == 1:
            np.testing.assert_array_equal(cache[45], STACK[45])
    wait_for(lambda: source.held <= cache.max_bytes)
    cache.close()


def test_a_smaller_bound_holds_at_once(slow):
    source = slow(STACK)
    cache = HDF5ImageCache(source, chunk_size=80, cache_size=2)
    for index in range(30):
        cache[index]
    source.settle()
    assert source.held > BLOCK * IMAGE
    cache.max_bytes = 0
    assert source.held == 0
    np.testing.assert_array_equal(cache[3], STACK[3])
    assert source.held == BLOCK * IMAGE  # one HDF5 chunk is always held
    cache.close()


@pytest.mark.parametrize("threads", [2, 8])
def test_threads_keep_within_max_bytes_together(slow, threads, in_threads):
    source = slow(STACK, delay=0.001)
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=3)

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            chunk, index = int(rng.integers(10)), int(rng.integers(400))
            assert np.array_equal(cache[index], STACK[index])
            cache.get_chunk(chunk)

    in_threads(work, range(threads))
    source.settle()
    assert source.held <= cache.max_bytes
    # each thread may have a chunk that the cache does not hold any more
    if FREED_AT_ONCE:
        assert source.most_held <= cache.max_bytes + threads * 40 * IMAGE
    assert source.most <= 3 * 40
    cache.close()


def test_chunks_of_a_subclass_are_never_more_than_cache_size(in_threads):
    class Own(BaseImageChunkCache):
        loading = most = 0
        lock = threading.Lock()

        def _get_chunk_data(self, chunk_slice):
            with self.lock:
                self.loading += 1
                self.most = max(self.most, self.loading)
            time.sleep(0.001)
            with self.lock:
                self.loading -= 1
            return STACK[chunk_slice]

    cache = Own(STACK.shape, chunk_size=10, cache_size=2)

    def work(seed):
        for chunk in np.random.default_rng(seed).integers(0, 40, 30).tolist():
            found = cache.get_chunk(chunk)
            assert np.array_equal(found, STACK[chunk * 10 : chunk * 10 + 10])
            assert len(cache.cache) <= 2

    in_threads(work, range(6))
    assert cache.most <= 2


def test_chunks_that_are_larger_than_the_bound_are_handed_out(slow):
    source = slow(STACK)
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)
    cache.max_bytes = 39 * IMAGE
    for chunk in (0, 1, 2, 2):
        found = cache.get_chunk(chunk)
        np.testing.assert_array_equal(found, STACK[chunk * 40 : chunk * 40 + 40])
        assert not found.flags.writeable
    del found
    assert source.held == 0
    assert list(cache.cache) == [1, 2]
    np.testing.assert_array_equal(cache.cache[1], STACK[40:80])
    cache.close()


def test_real_images(data_dir):
    with h5py.File(data_dir / "cytoshot_full-features_2023.rtdc") as h5:
        image = HDF5ImageCache(h5["events/image"], chunk_size=8)
        kept = [image.get_chunk(k)[::3] for k in image.iter_chunks()]
        for k, found in enumerate(kept):
            expected = h5["events/image"][8 * k : 8 * k + 8][::3]
            np.testing.assert_array_equal(found, expected)
        image.close()
