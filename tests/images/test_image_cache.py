"""Image caches: what the documented names do, and NumPy as the judge."""

from __future__ import annotations

import pathlib
import warnings
from collections import OrderedDict

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

from dcread import get_mapped_object
from dcread.arrays.dataset_view import FeatureView
from dcread.cache import (
    BaseImageChunkCache,
    EmptyDatasetWarning,
    HDF5ImageCache,
    ImageCorrCache,
)
from dcread.errors import ClosedError, ShapeMismatchError


class Third(BaseImageChunkCache):
    """What a third party may write."""

    def __init__(self, array, **kwargs):
        super().__init__(array.shape, **kwargs)
        self.array = array
        self.made = []

    def _get_chunk_data(self, chunk_slice):
        self.made.append(chunk_slice)
        return self.array[chunk_slice]


class Brighter(HDF5ImageCache):
    """A subclass that makes its own chunks."""

    def _get_chunk_data(self, chunk_slice):
        return self.h5ds[chunk_slice] // 2


def make(kind, h5, images, **kwargs):
    """Return a cache and the array that it should equal."""
    events = h5["events"]
    image = HDF5ImageCache(events["image"], **kwargs)
    back = HDF5ImageCache(events["image_bg"], chunk_size=9)
    mapped = get_mapped_object(events["image"], slice(37, 2, -3))
    third = Third(images, **kwargs)
    mask = HDF5ImageCache(events["mask"], boolean=True, **kwargs)
    wide_mask = HDF5ImageCache(events["wide"], boolean=True, **kwargs)
    difference = images.astype(np.int16) - np.roll(images, 1, axis=0)
    return {
        "image": (image, images),
        "third": (third, images),
        "subclass": (Brighter(events["image"], **kwargs), images // 2),
        "mask": (mask, images > 100),
        "wide mask": (wide_mask, images > 0),
        "mapped": (HDF5ImageCache(mapped, **kwargs), images[37:2:-3]),
        "corr": (ImageCorrCache(image, back), difference),
        "corr of third": (ImageCorrCache(third, back), difference),
    }[kind]


KINDS = [
    "image",
    "third",
    "subclass",
    "mask",
    "wide mask",
    "mapped",
    "corr",
    "corr of third",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("chunk_size", "cache_size"), [(7, 2), (1, 3), (100, 1)])
def test_answers_like_an_array(request, kind, chunk_size, cache_size):
    h5, images = map(request.getfixturevalue, ("h5", "images"))
    expressions, judge = map(request.getfixturevalue, ("expressions", "judge"))
    cache, array = make(kind, h5, images, chunk_size=chunk_size, cache_size=cache_size)

    @settings(max_examples=25, deadline=None)
    @given(expressions(array.shape))
    def check(expr):
        judge(cache, array, expr)
        assert len(cache.cache) <= cache_size

    check()
    for chunk in cache.iter_chunks():
        expected = array[cache.get_chunk_slice(chunk)]
        np.testing.assert_array_equal(cache.get_chunk(chunk), expected)
        assert cache.get_chunk_size(chunk) == len(expected)
    for found, image in zip(cache, array, strict=True):
        np.testing.assert_array_equal(found, image)
    np.testing.assert_array_equal(np.asarray(cache), array)
    cache.close()


def test_documented_attributes(h5):
    cache = HDF5ImageCache(h5["events/image"], chunk_size=16, cache_size=2)
    assert cache.h5ds == h5["events/image"]
    assert cache.boolean is False
    assert (cache.shape, cache.image_shape) == ((40, 6, 5), (6, 5))
    assert (cache.chunk_size, cache.chunk_shape) == (16, (16, 6, 5))
    assert (cache.cache_size, cache.num_chunks, len(cache)) == (2, 3, 40)
    assert isinstance(cache.cache, OrderedDict)
    assert list(cache.iter_chunks()) == [0, 1, 2]
    assert [cache.get_chunk_size(k) for k in range(3)] == [16, 16, 8]
    assert cache.get_chunk_slice(2) == slice(32, 48)
    assert cache._get_chunk_index_for_index(-1) == (2, 7)
    np.testing.assert_array_equal(
        cache._get_chunk_data(slice(32, 48)), h5["events/image"][32:]
    )
    assert HDF5ImageCache(h5["events/image"]).chunk_size == 40


def test_least_recently_used_leaves_first(h5, images):
    cache = HDF5ImageCache(h5["events/image"], chunk_size=10, cache_size=2)
    cache.get_chunk(0)
    cache.get_chunk(2)
    cache.get_chunk(0)
    cache.get_chunk(3)
    assert list(cache.cache) == [0, 3]
    assert cache.get_chunk(0) is cache.get_chunk(0)
    # single images count as use of their chunk, which is read when looked at
    cache[15]
    assert list(cache.cache) == [0, 1]
    np.testing.assert_array_equal(cache.cache[1], images[10:20])
    np.testing.assert_array_equal(dict(cache.cache.items())[0], images[:10])
    assert cache.cache.get(3) is None
    assert [len(chunk) for chunk in cache.cache.values()] == [10, 10]


def test_chunks_are_read_only_and_images_are_mine(h5, images):
    for kind in ("image", "third", "corr", "mask"):
        cache, array = make(kind, h5, images, chunk_size=10)
        expected = array[3].copy()
        cache[3][:] = 0
        cache[0:4][:] = 0
        cache[[3, 3]][:] = 0
        with pytest.raises(ValueError, match="read-only"):
            cache.get_chunk(0)[:] = 0
        cache[3][:] = 0
        cache[0:4][:] = 0
        np.testing.assert_array_equal(cache[3], expected)
        np.testing.assert_array_equal(cache.get_chunk(0)[3], expected)
        assert cache[3].flags.owndata
        assert cache[3].flags.writeable
    assert images.flags.writeable


@pytest.mark.parametrize("index", [40, -41, 2**70, np.uint8(200), [3, 40]])
def test_image_out_of_range(h5, index):
    for cache in (HDF5ImageCache(h5["events/image"]), Third(np.zeros((40, 2, 2)))):
        with pytest.raises(IndexError):
            cache[index]
    if index != 2**70:
        with pytest.raises(IndexError, match="out of bounds for HDF5ImageCache"):
            HDF5ImageCache(h5["events/image"])[index]


@pytest.mark.parametrize("chunk", [-1, 4, 99])
def test_chunk_out_of_range(h5, chunk):
    cache = HDF5ImageCache(h5["events/image"], chunk_size=10)
    with pytest.raises(IndexError, match="out of bounds for HDF5ImageCache"):
        cache.get_chunk(chunk)
    with pytest.raises(IndexError, match="only has 4 chunks"):
        cache.get_chunk_size(chunk)
    with pytest.raises(TypeError):
        cache.get_chunk(1.0)


@pytest.mark.parametrize("wrong", [{"chunk_size": 0}, {"cache_size": 0}])
def test_sizes_below_one(h5, wrong):
    for value in (0, -1):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"`{name}` must be at least 1"):
            HDF5ImageCache(h5["events/image"], **{name: value})


def test_empty_dataset(h5):
    with pytest.warns(EmptyDatasetWarning, match="has zero length") as caught:
        cache = HDF5ImageCache(h5["events/none"])
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(cache.iter_chunks()) == []
        assert cache[:].shape == (0, 6, 5)
        assert (len(cache), cache.num_chunks) == (0, 0)
        assert cache.dtype == np.uint8
        assert list(cache) == []
        corrected = ImageCorrCache(cache, cache)
        for one in (cache, corrected):
            for ask in (one.__getitem__, one.get_chunk):
                for index in (0, -1):
                    with pytest.raises(IndexError, match="out of bounds"):
                        ask(index)


def test_dtype_without_reading(h5):
    third = Third(np.zeros((0, 2, 2), np.float32))
    assert third.dtype == np.float32
    for name, boolean, dtype in (("wide", False, "u2"), ("mask", True, "?")):
        cache = HDF5ImageCache(h5[f"events/{name}"], boolean=boolean)
        assert cache.dtype == dtype
        assert len(cache.cache) == 0


def test_correction_never_overflows(h5, images):
    wide = HDF5ImageCache(h5["events/wide"])
    back = HDF5ImageCache(np.full_like(images, 255, np.uint16) * 257)
    corr = ImageCorrCache(wide, back)
    expected = images.astype(np.int64) * 257 - 65535
    assert expected.min() < -(2**15)
    np.testing.assert_array_equal(corr[:], expected)
    np.testing.assert_array_equal(corr[11], expected[11])
    assert corr.dtype == corr[0].dtype == np.int32
    assert ImageCorrCache(*2 * [HDF5ImageCache(images)]).dtype == np.int16


def test_correction_of_another_shape(h5, images):
    image = HDF5ImageCache(h5["events/image"])
    for other in (images[:39], images[:, :3]):
        with pytest.raises(ShapeMismatchError, match=r"images\.rtdc.*\(40, 6, 5\)"):
            ImageCorrCache(image, HDF5ImageCache(other))


def test_closed(image_path, images):
    h5 = h5py.File(image_path)
    caches = [make(kind, h5, images)[0] for kind in ("image", "corr", "mapped")]
    caches.append(HDF5ImageCache(FeatureView(h5["events/image"])))
    for cache in caches:
        cache.get_chunk(0)
        cache[1]
    h5.close()
    for cache in caches:
        for ask in (cache.get_chunk, cache.__getitem__, np.asarray):
            with pytest.raises(ClosedError):
                ask(cache if ask is np.asarray else 0)
        cache.close()
        cache.close()
        assert len(cache.cache) == 0
        with pytest.raises(ClosedError, match=r"HDF5ImageCache|ImageCorrCache"):
            cache[0]


def test_peers_wrong_cases(h5, images):
    """Each of these gave wrong images or an error in dcnum.read 0.31.0."""
    cache = HDF5ImageCache(h5["events/image"], chunk_size=7)
    for expr in np.s_[-3:, :0, ::-1, ..., 3:-1, :-30]:
        np.testing.assert_array_equal(cache[expr], images[expr])
    np.testing.assert_array_equal(cache[:, :2], images[:, :2])
    np.testing.assert_array_equal(
        cache[images[:, 0, 0] > 99], images[images[:, 0, 0] > 99]
    )
    long = HDF5ImageCache(np.arange(300).reshape(300, 1, 1))
    assert long[np.uint8(200)] == 200
    assert cache[np.int8(-1)].tolist() == images[-1].tolist()


def test_real_files(real_file):
    with h5py.File(real_file) as h5:
        for name in {"image", "image_bg", "mask"} & set(h5["events"]):
            array = h5["events"][name][:]
            if not len(array):
                continue
            cache = HDF5ImageCache(
                h5["events"][name], chunk_size=4, boolean=name == "mask"
            )
            array = array != 0 if name == "mask" else array
            for index in (0, len(array) - 1, 2):
                np.testing.assert_array_equal(cache[index], array[index])
            for chunk in cache.iter_chunks():
                np.testing.assert_array_equal(
                    cache.get_chunk(chunk), array[4 * chunk : 4 * chunk + 4]
                )
            np.testing.assert_array_equal(cache[::-2], array[::-2])
            cache.close()


@pytest.mark.parametrize("chunks", [(7, 8, 10), (7, 4, 10), None])
def test_chunks_and_nbytes(tmp_path: pathlib.Path, chunks) -> None:
    images = np.random.default_rng(5).integers(0, 200, (23, 8, 10), np.uint8)
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        for name, data in (("image", images), ("image_bg", images // 2)):
            h5.create_dataset(f"events/{name}", data=data, chunks=chunks)
        h5.create_dataset(
            "events/mask", data=(images > 9) * np.uint8(255), chunks=chunks
        )
        image, back, mask = (h5[f"events/{n}"] for n in ("image", "image_bg", "mask"))
        stored = HDF5ImageCache(image, chunk_size=7), HDF5ImageCache(back, chunk_size=7)
        difference = ImageCorrCache(*stored)
        masks = HDF5ImageCache(mask, boolean=True)
        for one in (*stored, difference, masks):
            assert one.chunks == chunks
            assert one.nbytes == one[:].nbytes
        some = HDF5ImageCache(get_mapped_object(image, [5, 3]))
        assert some.chunks is None
        assert some.nbytes == 160
    assert Third(images).chunks is None
    assert Third(images).nbytes == images.nbytes
    assert HDF5ImageCache(images).chunks is None
