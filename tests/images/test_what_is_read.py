"""What image caches read: HDF5 chunks, runs, chunks ahead; by threads, in forks."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dcread.cache import HDF5ImageCache, ImageCorrCache
from dcread.errors import FormatError
from dcread.mapped import MappedHDF5Dataset

BLOCK = 8


@pytest.fixture
def stack():
    return np.random.default_rng(8).integers(0, 256, (400, 4, 3)).astype(np.uint8)


def test_a_random_image_costs_one_block(slow, stack):
    source = slow(stack)
    cache = HDF5ImageCache(source, chunk_size=200, cache_size=2)
    for index in (399, 3, 117, 250):
        source.asked.clear()
        np.testing.assert_array_equal(cache[index], stack[index])
        start = index // BLOCK * BLOCK
        (rows,) = source.asked
        assert rows.tolist() == list(range(start, min(start + BLOCK, 400)))
    source.asked.clear()
    for index in (396, 117, 118, 5, 251):
        np.testing.assert_array_equal(cache[index], stack[index])
    assert not source.asked
    assert not source.ahead
    assert set(cache.cache) <= {0, 1}


def test_a_random_image_behind_a_mapping_costs_one_block(slow, stack):
    source = slow(stack)
    order = np.random.default_rng(1).permutation(400)
    cache = HDF5ImageCache(MappedHDF5Dataset(source, order))
    np.testing.assert_array_equal(cache[7], stack[order[7]])
    neighbour = int(np.flatnonzero(order == (order[7] ^ 1))[0])
    np.testing.assert_array_equal(cache[neighbour], stack[order[7] ^ 1])
    assert source.rows_read == BLOCK


def test_a_correction_costs_one_block_of_each(slow, stack):
    image, back = slow(stack), slow(stack[::-1].copy())
    corr = ImageCorrCache(HDF5ImageCache(image), HDF5ImageCache(back))
    expected = stack.astype(np.int16) - stack[::-1]
    np.testing.assert_array_equal(corr[77], expected[77])
    np.testing.assert_array_equal(corr.image[78], stack[78])
    assert (image.rows_read, back.rows_read) == (BLOCK, BLOCK)


def test_a_correction_uses_the_chunks_that_are_held(slow, stack):
    image, back = slow(stack), slow(stack[::-1].copy())
    corr = ImageCorrCache(
        HDF5ImageCache(image, chunk_size=50), HDF5ImageCache(back, chunk_size=50)
    )
    corr.image.get_chunk(3)
    corr.image_bg.get_chunk(3)
    read = image.rows_read + back.rows_read
    expected = stack.astype(np.int16) - stack[::-1]
    np.testing.assert_array_equal(corr.get_chunk(3), expected[150:200])
    assert image.rows_read + back.rows_read == read == 100
    corr.image.get_chunk(6)
    np.testing.assert_array_equal(corr.get_chunk(6), expected[300:350])
    assert (image.rows_read, back.rows_read) == (100, 100)


def test_images_of_a_held_chunk_are_not_read(slow, stack):
    source = slow(stack)
    cache = HDF5ImageCache(source, chunk_size=100)
    cache.get_chunk(2)
    for expr in (
        205,
        slice(210, 290),
        slice(290, 210, -7),
        [299, 200],
        np.s_[201:204, 1],
    ):
        np.testing.assert_array_equal(cache[expr], stack[expr])
    assert source.rows_read == 100


@pytest.mark.parametrize("mapping", [None, slice(0, 400, 3), slice(None, None, -1)])
def test_images_in_order_read_each_block_once_and_ahead(slow, stack, mapping):
    source = slow(stack)
    view, expected = source, stack
    if mapping is not None:
        rows = np.arange(400)[mapping]
        view, expected = MappedHDF5Dataset(source, rows), stack[rows]
    cache = HDF5ImageCache(view, chunk_size=200, cache_size=2)
    cache.max_bytes = 12 * BLOCK * 12
    for index in range(len(cache)):
        np.testing.assert_array_equal(cache[index], expected[index])
        time.sleep(0.0002)  # the caller works
    read = np.concatenate(source.asked)
    assert len(read) == len(np.unique(read))
    assert len(read) <= len(cache) + BLOCK
    assert source.ahead
    cache.close()


def test_chunks_in_order_are_made_ahead(slow, stack, wait_for):
    source = slow(stack)
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)
    for chunk in (0, 1):
        cache.get_chunk(chunk)
    wait_for(lambda: len(source.asked) == 3 and not source.reading)
    assert source.asked[2].tolist() == list(range(80, 120))
    assert list(cache.cache) == [0, 1]  # what is ahead is not there yet
    np.testing.assert_array_equal(cache.get_chunk(2), stack[80:120])
    wait_for(lambda: len(source.asked) == 4)
    np.testing.assert_array_equal(cache.cache[1], stack[40:80])
    cache.close()


@pytest.mark.parametrize(
    ("order", "cache_size"), [([0, 2, 4, 1, 9, 3, 7], 2), ([0, 1, 2, 3], 1)]
)
def test_nothing_ahead(slow, stack, order, cache_size):
    source = slow(stack)
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=cache_size)
    for chunk in order:
        cache.get_chunk(chunk)
    time.sleep(0.05)
    assert len(source.asked) == len(order)
    assert not source.ahead


def test_close_ends_what_runs_ahead(slow, stack, wait_for):
    for ask in (
        lambda cache: (cache.get_chunk(0), cache.get_chunk(1)),
        lambda cache: [cache[index] for index in range(12)],
    ):
        source = slow(stack, delay=0.05)
        cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)
        cache.max_bytes = 90 * 12
        ask(cache)
        wait_for(lambda source=source: source.ahead)
        cache.close()
        assert not source.reading
        asked = len(source.asked)
        time.sleep(0.1)
        assert len(source.asked) == asked
        assert source.held == 0


def test_error_ahead_surfaces_when_the_chunk_is_asked_for(slow, stack, wait_for):
    source = slow(stack)
    source.bad = 90
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)
    cache.get_chunk(0)
    cache.get_chunk(1)
    wait_for(lambda: len(source.asked) == 3 and not source.reading)
    np.testing.assert_array_equal(cache.get_chunk(0), stack[:40])
    for _ in range(2):
        with pytest.raises(FormatError, match="row 90 is damaged"):
            cache.get_chunk(2)
        with pytest.raises(FormatError, match="row 90 is damaged"):
            cache[91]
    np.testing.assert_array_equal(cache[80], stack[80])
    source.bad = None
    np.testing.assert_array_equal(cache.get_chunk(2), stack[80:120])
    cache.close()


def test_threads_get_the_right_images_within_the_bound(slow, stack, in_threads):
    source = slow(stack, delay=0.0005)
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            chunk, index = int(rng.integers(10)), int(rng.integers(400))
            assert np.array_equal(cache[index], stack[index])
            found = cache.get_chunk(chunk)
            assert np.array_equal(found, stack[chunk * 40 : chunk * 40 + 40])

    in_threads(work, range(8))
    assert source.most <= 2 * 40
    cache.close()


def test_one_thread_makes_a_chunk_or_block(slow, stack, in_threads):
    source = slow(stack, delay=0.1)
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)
    for ask, number in ((cache.get_chunk, 7), (cache.__getitem__, 3)):
        source.asked.clear()
        in_threads(ask, 6 * [number])
        assert len(source.asked) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_fork_while_something_is_made_ahead(slow, stack, in_forked_child):
    source = slow(stack, delay=0.2)
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)
    cache.get_chunk(0)
    cache.get_chunk(1)  # chunk 2 is being made by a thread that the child lacks
    source.delay = 0

    def check():
        same = np.array_equal(cache.get_chunk(2), stack[80:120])
        cache.close()
        return same

    in_forked_child(check)
    np.testing.assert_array_equal(cache.get_chunk(2), stack[80:120])
    cache.close()


def test_going_through_the_chunks_while_others_read(stack):
    cache = HDF5ImageCache(stack, chunk_size=10, cache_size=4)
    done = threading.Event()

    def look(seed):
        rng = np.random.default_rng(seed)
        while not done.is_set():
            cache.get_chunk(int(rng.integers(40)))
            cache[int(rng.integers(400))]

    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(look, seed) for seed in range(3)]
        try:
            for _ in range(500):
                for index in (
                    *cache.cache,
                    *cache.cache.keys(),
                    *reversed(cache.cache),
                ):
                    assert 0 <= index < 40
                assert len(list(cache.cache)) <= 4
        finally:
            done.set()
        for future in futures:
            future.result()


def test_a_random_image_costs_what_it_needs_of_a_block(slow, stack):
    """Where the reader can end early, blocks are read once a second row is wanted."""
    source = slow(stack)
    source.stops_early = True
    cache = HDF5ImageCache(source, chunk_size=200, cache_size=2)

    def costs(index, first, count):
        source.asked.clear()
        np.testing.assert_array_equal(cache[index], stack[index])
        assert [rows.tolist() for rows in source.asked] == (
            [list(range(first, first + count))] if count else []
        )

    costs(399, 399, 1)  # far from the one before
    costs(117, 117, 1)
    costs(118, 112, BLOCK)  # a second one of the same block
    costs(119, 0, 0)
    costs(125, 120, BLOCK)  # a block next to the last one
    costs(398, 392, BLOCK)  # and one that was met before
    costs(5, 5, 1)
    costs(112, 0, 0)
    assert not source.ahead


def test_rows_that_lie_apart_behind_a_mapping(slow, stack):
    source = slow(stack)
    source.stops_early = True
    order = np.arange(0, 400, 3 * BLOCK)[::-1]
    cache = HDF5ImageCache(MappedHDF5Dataset(source, order))
    for index in (0, 9, 4, 2):
        np.testing.assert_array_equal(cache[index], stack[order[index]])
    assert source.rows_read == 4
    np.testing.assert_array_equal(cache[9], stack[order[9]])
    assert source.rows_read == 4 + BLOCK


def test_many_threads_and_rows_that_lie_apart(slow, stack, in_threads):
    """One thread reads of a block at a time, the others find it or read it whole."""
    source = slow(stack, delay=0.001)
    source.stops_early = True
    cache = HDF5ImageCache(source, chunk_size=200, cache_size=4)
    wanted = np.random.default_rng(5).integers(0, 400, (8, 60))

    def look(part):
        for i in part:
            assert np.array_equal(cache[i], stack[i])

    in_threads(look, wanted)
    # each block at the most once as a row and once whole, as all of them may stay
    assert source.rows_read <= 50 * (1 + BLOCK)
