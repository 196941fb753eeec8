"""Slices of image caches, one after the other: what is read, and that it is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread.cache import HDF5ImageCache, ImageCorrCache
from dcread.errors import ClosedError
from dcread.mapped import MappedHDF5Dataset

BLOCK = 8
LENGTH = 400
IMAGES = np.random.default_rng(4).integers(0, 3, (LENGTH, 4, 3)).astype(np.uint8)
BACKGROUND = IMAGES[::-1].copy()


def pieces(length, step):
    return [slice(start, start + step) for start in range(0, length, step)]


def blocks_decoded(source):
    return sum(len(np.unique(rows // BLOCK)) for rows in source.asked)


@pytest.mark.parametrize("step", [9, 10, 12, 20, 27])
def test_pieces_in_order_decode_each_block_once(slow, step):
    source = slow(IMAGES)
    cache = HDF5ImageCache(source, chunk_size=200, cache_size=2)
    for piece in pieces(LENGTH, step):
        np.testing.assert_array_equal(cache[piece], IMAGES[piece])
    cache.close()
    # the first piece was not known to be one of many
    assert blocks_decoded(source) <= LENGTH // BLOCK + 2 + step // BLOCK


def test_pieces_of_whole_blocks_are_not_copied(slow):
    source = slow(IMAGES)
    cache = HDF5ImageCache(source, chunk_size=200, cache_size=2)
    for piece in pieces(LENGTH, 2 * BLOCK):
        np.testing.assert_array_equal(cache[piece], IMAGES[piece])
    assert blocks_decoded(source) == LENGTH // BLOCK
    assert not source.ahead
    cache.close()


def test_a_piece_here_and_there_reads_no_further(slow):
    source = slow(IMAGES)
    cache = HDF5ImageCache(source, chunk_size=200, cache_size=2)
    for start in (301, 20, 155, 90):
        source.asked.clear()
        piece = slice(start, start + 12)
        np.testing.assert_array_equal(cache[piece], IMAGES[piece])
        assert source.rows_read == 12
    assert not source.ahead
    cache.close()


@pytest.mark.parametrize("step", [3, 10, 21])
def test_pieces_of_a_correction_decode_each_block_once(slow, step):
    image, background = slow(IMAGES), slow(BACKGROUND)
    corr = ImageCorrCache(HDF5ImageCache(image), HDF5ImageCache(background))
    expected = IMAGES.astype(np.int16) - BACKGROUND
    for piece in pieces(LENGTH, step):
        np.testing.assert_array_equal(corr[piece], expected[piece])
    for cache in (corr, corr.image, corr.image_bg):
        cache.close()
    for source in (image, background):
        assert blocks_decoded(source) <= LENGTH // BLOCK + 4 + step // BLOCK


def test_the_chunks_of_pieces_count_as_used(slow):
    cache = HDF5ImageCache(slow(IMAGES), chunk_size=40, cache_size=2)
    for piece in (slice(0, 12), slice(12, 24), slice(24, 36), slice(36, 48)):
        np.testing.assert_array_equal(cache[piece], IMAGES[piece])
    assert list(cache.cache) == [0, 1]
    cache.close()


def test_pieces_of_a_closed_cache(slow):
    cache = HDF5ImageCache(slow(IMAGES))
    for piece in pieces(100, 10):
        np.testing.assert_array_equal(cache[piece], IMAGES[piece])
    cache.close()
    with pytest.raises(ClosedError, match="closed"):
        cache[100:110]


starts = st.integers(0, LENGTH - 1)
walks = st.lists(
    st.tuples(st.none() | starts, st.integers(0, 40), st.integers(1, 3)), max_size=12
)


@pytest.mark.parametrize("kind", ["image", "mask", "mapped", "sorted", "corr"])
@given(walk=walks, window=st.booleans(), height=st.integers(1, 13))
def test_any_walk_in_pieces_is_that_of_numpy(slow, kind, walk, window, height):
    """A piece starts where the last one ended, or anywhere."""
    rows = np.random.default_rng(2).permutation(LENGTH)[: LENGTH - 40]
    array: np.ndarray = IMAGES
    source = slow(IMAGES, block_rows=height)
    if kind in ("mapped", "sorted"):
        rows = np.sort(rows) if kind == "sorted" else rows
        source, array = MappedHDF5Dataset(source, rows), IMAGES[rows]
    cache = HDF5ImageCache(source, chunk_size=50, boolean=kind == "mask")
    if kind == "mask":
        array = IMAGES != 0
    if kind == "corr":
        other = HDF5ImageCache(slow(BACKGROUND, block_rows=height), chunk_size=50)
        cache = ImageCorrCache(cache, other)
        array = IMAGES.astype(np.int16) - BACKGROUND
    position = 0
    for start, count, step in walk:
        first = position if start is None else start
        position = first + count
        expr = (slice(first, position, step),)
        if window:
            expr = (*expr, slice(1, 3), slice(0, 2))
        found = cache[expr]
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array[expr])
        found[...] = 0  # nobody else sees that
    cache.close()
