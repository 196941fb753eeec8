"""Images that were read once are not read again within the bound."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from dcread import get_mapped_object
from dcread.cache import HDF5ImageCache, ImageCorrCache
from dcread.engine import open_dataset, open_file
from dcread.errors import ClosedError

STACK = np.random.default_rng(9).integers(0, 256, (800, 40, 40)).astype(np.uint8)


def test_walking_again_reads_nothing(slow):
    source = slow(STACK)
    cache = HDF5ImageCache(source, chunk_size=400, cache_size=2)
    for _ in range(3):
        for index in range(400):
            np.testing.assert_array_equal(cache[index], STACK[index])
    for index in np.random.default_rng(1).permutation(400).tolist():
        np.testing.assert_array_equal(cache[index], STACK[index])
    source.settle()
    assert source.rows_read <= 800
    cache.close()


def test_random_images_again_read_nothing(slow):
    source = slow(STACK)
    cache = HDF5ImageCache(source, chunk_size=400, cache_size=2)
    picks = np.random.default_rng(2).permutation(800)[:100].tolist()
    for index in picks:
        cache[index]
    before = source.rows_read
    for index in picks:
        np.testing.assert_array_equal(cache[index], STACK[index])
    assert source.rows_read == before
    cache.close()


def test_a_mapping_walks_again_without_reading(slow):
    source = slow(STACK)
    rows = np.random.default_rng(3).permutation(800)[:300]
    cache = HDF5ImageCache(get_mapped_object(source, rows), chunk_size=400)
    cache.max_bytes = STACK.nbytes
    for turn in range(3):
        if turn == 1:
            source.settle()
            before = source.rows_read
        for index in range(300):
            np.testing.assert_array_equal(cache[index], STACK[rows[index]])
    assert source.rows_read == before
    cache.close()


def test_single_images_are_the_callers_own():
    for boolean in (False, True):
        cache = HDF5ImageCache(STACK, boolean=boolean)
        for _ in range(2):
            for index in (5, 6, 7, -1, 799):
                image = cache[index]
                expected = STACK[index] != 0 if boolean else STACK[index]
                assert image.flags.writeable
                assert image.flags.owndata
                np.testing.assert_array_equal(image, expected, strict=True)
                image[...] = 7 if not boolean else ~image
        cache.close()


def test_the_order_of_use_is_kept(slow):
    cache = HDF5ImageCache(slow(STACK), chunk_size=20, cache_size=3)
    cache.max_bytes = STACK.nbytes
    for index, expected in (
        (0, [0]),
        (1, [0]),
        (19, [0]),
        (20, [0, 1]),
        (21, [0, 1]),
        (2, [1, 0]),
        (22, [0, 1]),
        (41, [0, 1, 2]),
        (3, [1, 2, 0]),
    ):
        cache[index]
        assert list(cache.cache) == expected
    cache.get_chunk(2)
    assert list(cache.cache) == [1, 0, 2]
    cache[4]
    assert list(cache.cache) == [1, 2, 0]
    cache[42:44]
    assert list(cache.cache) == [1, 0, 2]
    cache[5]
    assert list(cache.cache) == [1, 2, 0]
    cache.close()


def test_no_image_after_the_end(image_path, images):
    background = np.roll(images, 1, axis=0)
    for end in ("cache", "handle"):
        handle = open_file(image_path)
        image = HDF5ImageCache(open_dataset(handle, "events/image"))
        corr = ImageCorrCache(
            image, HDF5ImageCache(open_dataset(handle, "events/image_bg"))
        )
        for _ in range(3):
            np.testing.assert_array_equal(image[3], images[3])
            expected = images[3].astype(np.int16) - background[3]
            np.testing.assert_array_equal(corr[3], expected, strict=True)
        (image if end == "cache" else handle).close()
        for cache in (image, corr):
            with pytest.raises(ClosedError):
                cache[3]
        handle.close()


def test_no_image_after_the_owner_closed_the_file(image_path, images):
    with h5py.File(image_path) as h5:
        image = HDF5ImageCache(h5["events/image"])
        for _ in range(3):
            np.testing.assert_array_equal(image[3], images[3])
    with pytest.raises(ClosedError):
        image[3]


def test_threads_walk_together(slow, in_threads, wait_for):
    source = slow(STACK)
    cache = HDF5ImageCache(source, chunk_size=80, cache_size=2)

    def walk(start):
        for i in (*range(start, 800), *range(start)):
            assert np.array_equal(cache[i], STACK[i])

    in_threads(walk, range(0, 600, 100))
    wait_for(lambda: source.held <= cache.max_bytes)
    cache.close()
