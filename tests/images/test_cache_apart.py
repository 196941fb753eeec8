"""Images far from the last one: no more of their block than they need."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from dcread.cache import HDF5ImageCache
from dcread.mapped import MappedHDF5Dataset

BLOCK = 8


@pytest.fixture
def stack():
    return np.random.default_rng(8).integers(0, 256, (400, 4, 3)).astype(np.uint8)


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


def test_pairs_of_images_keep_one_block(slow):
    """The second image of a block that was just met is no reason to keep more."""
    stack = np.random.default_rng(2).integers(0, 256, (80, 80, 500)).astype(np.uint8)
    source = slow(stack)
    source.stops_early = True
    cache = HDF5ImageCache(source, chunk_size=40, cache_size=2)
    block = BLOCK * 80 * 500
    for index in (40, 8, 56, 24, 72):
        for row in (index, index + 1):
            np.testing.assert_array_equal(cache[row], stack[row])
        assert cache._blocks.nbytes == block
    np.testing.assert_array_equal(cache[8], stack[8])  # from far, and met before
    assert cache._blocks.nbytes == 2 * block


def test_rows_that_lie_apart_behind_a_mapping(slow, stack):
    source = slow(stack)
    source.stops_early = True
    order = np.arange(0, 400, 3 * BLOCK)[::-1]
    cache = HDF5ImageCache(MappedHDF5Dataset(source, order))
    for index in (0, 9, 4, 2):
        np.testing.assert_array_equal(cache[index], stack[order[index]])
    assert source.rows_read == 4
    np.testing.assert_array_equal(cache[2], stack[order[2]])
    assert source.rows_read == 4 + BLOCK


def test_many_threads_and_rows_that_lie_apart(slow, stack):
    """One thread reads of a block at a time, the others find it or read it whole."""
    source = slow(stack, delay=0.001)
    source.stops_early = True
    cache = HDF5ImageCache(source, chunk_size=200, cache_size=4)
    wanted = np.random.default_rng(5).integers(0, 400, (8, 60))
    failed = []

    def look(part):
        failed.extend(i for i in part if not np.array_equal(cache[i], stack[i]))

    threads = [threading.Thread(target=look, args=(part,)) for part in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    # each block at the most once as a row and once whole, as all of them may stay
    assert source.rows_read <= 50 * (1 + BLOCK)
