"""Datasets behind an index mapping."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcread import MappedHDF5Dataset, get_mapped_object, get_mapping_indices
from dcread.arrays.dataset_view import FeatureView
from dcread.arrays.mapped_dataset import MappedReader
from dcread.errors import ClosedError, ShapeMismatchError

MAPPINGS = [
    12,
    slice(5, 33),
    slice(3, 38, 4),
    slice(-5, None),
    [39, 0, 0, 17, 8, 8],
    np.random.default_rng(3).permutation(40),
    range(39, -1, -7),
    np.arange(40) % 3 == 0,
    [],
]


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda m: repr(m)[:40])
def test_answers_like_an_array(h5, images, mapping, expressions, judge):
    for name in ("image", "plain"):
        dataset = h5["events"][name]
        check_answers(dataset, images, mapping, expressions, judge)


def check_answers(dataset, images, mapping, expressions, judge):
    rows = get_mapping_indices(mapping, 40)
    view = get_mapped_object(dataset, mapping)
    array = images[rows]
    assert isinstance(view, MappedHDF5Dataset)
    assert (view.shape, view.dtype, view.ndim) == (array.shape, array.dtype, 3)
    assert (view.size, view.nbytes, len(view)) == (array.size, array.nbytes, len(rows))
    np.testing.assert_array_equal(np.asarray(view), array)
    for found, image in zip(view, array, strict=True):
        np.testing.assert_array_equal(found, image)

    @settings(max_examples=40, deadline=None)
    @given(expressions(array.shape))
    def check(expr):
        judge(view, array, expr)

    check()


@pytest.mark.parametrize("dtype", ["u1", "i1", ">u2", "u4", "i8", "u8"])
def test_rows_of_any_integer_type(dtype, tmp_path):
    images = (np.arange(600 * 20) % 251).astype("u1").reshape(600, 4, 5)
    rows = np.array([3, 100, 7], dtype)
    with h5py.File(tmp_path / "x.h5", "w") as h5:
        h5.create_dataset("image", data=images, chunks=(300, 4, 5), compression="gzip")
        h5["deform"] = np.arange(600.0)
    with h5py.File(tmp_path / "x.h5") as h5:
        view = get_mapped_object(h5["image"], rows)
        np.testing.assert_array_equal(view, images[rows])
        np.testing.assert_array_equal(view[1], images[100])
        np.testing.assert_array_equal(view[np.array([2, 1], dtype)], images[[7, 100]])
        assert view.mapping_indices.dtype == np.int64
        assert get_mapped_object(h5["deform"], rows)[:].tolist() == [3, 100, 7]


def test_what_it_tells(h5):
    dataset = h5["events/image"]
    view = MappedHDF5Dataset(dataset, np.array([2, 1]))
    assert view.h5ds is dataset
    assert view.mapping_indices.tolist() == [2, 1]
    assert view.name == "/events/image"
    assert view.file.filename == h5.filename
    assert dict(view.attrs) == {"CLASS": "IMAGE"}
    assert view.file.id.valid
    assert "/events/image" in repr(view)
    assert "(2, 6, 5)" in repr(view)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-40, 39), min_size=1, max_size=9),
    st.lists(st.integers(0, 8), max_size=9),
)
def test_composes(images, outer, inner):
    inner = [row % len(outer) for row in inner]
    view = get_mapped_object(get_mapped_object(images, outer), inner)
    np.testing.assert_array_equal(view[:], images[outer][inner])
    assert not isinstance(view.reader.base, MappedReader)
    assert view.h5ds.h5ds is images


class Plugin:
    """What a plugin may offer: shape, dtype and slices of the first axis."""

    shape, dtype, name = (6, 2), np.dtype("f4"), "userdef1"

    def __getitem__(self, part):
        assert isinstance(part, slice)
        return np.arange(12, dtype="f4").reshape(6, 2)[part]


def test_arrays_and_plugins():
    view = get_mapped_object(Plugin(), [5, 0])
    np.testing.assert_array_equal(view[:], [[10, 11], [0, 1]])
    assert view.file is None
    assert dict(view.attrs) == {}
    array = np.arange(5)
    assert get_mapped_object(array, slice(None, None, -2))[:].tolist() == [4, 2, 0]
    assert get_mapped_object(array) is array


def test_changing_the_indices_changes_nothing(images):
    indices = np.array([1, 2])
    view = MappedHDF5Dataset(images, indices)
    indices[0] = 39
    np.testing.assert_array_equal(view[0], images[1])
    with pytest.raises(ValueError, match="read-only"):
        view.mapping_indices[0] = 39


def test_out_of_range_names_object_and_file(h5):
    for mapping in ([40], [-41], np.array([3, 2**40])):
        with pytest.raises(IndexError, match=r"'/events/image' in .*images\.rtdc"):
            get_mapped_object(h5["events/image"], mapping)
        with pytest.raises(IndexError, match="out of bounds for 40 events"):
            MappedHDF5Dataset(h5["events/image"], np.asarray(mapping))


@pytest.mark.parametrize("mapping", [[0.5], np.ones((2, 2), int), np.array([np.nan])])
def test_no_mapping(h5, mapping):
    with pytest.raises(ValueError, match="Invalid type for `index_mapping`"):
        get_mapped_object(h5["events/image"], mapping)
    with pytest.raises(ValueError, match="Invalid type for `index_mapping`"):
        MappedHDF5Dataset(h5["events/image"], mapping)


def test_no_dataset(h5):
    for obj in (h5["events"], "image", 3):
        with pytest.raises(ValueError, match="No recipe to convert object of type"):
            get_mapped_object(obj, 3)
    with pytest.raises(ShapeMismatchError, match="single value"):
        get_mapped_object(h5["events/single"], [])


def test_closed(image_path):
    with h5py.File(image_path) as h5:
        view = get_mapped_object(h5["events/image"], 3)
        whole = FeatureView(h5["events/deform"])
    for closed in (view, whole):
        for ask in (lambda v: v[0], np.asarray, lambda v: v.attrs, lambda v: v.file):
            with pytest.raises(ClosedError, match=r"images\.rtdc"):
                ask(closed)


def test_view_without_a_mapping(h5, images, judge):
    view = FeatureView(h5["events/image"])
    assert view.h5ds == h5["events/image"]
    assert view.chunks == (8, 6, 5)
    assert view.file == h5
    judge(view, images, np.s_[3:9, [1, 2]])
    assert np.asarray(view, dtype=np.int16).dtype == np.int16
    with pytest.raises(ValueError, match="copy"):
        view.__array__(copy=False)  # np.asarray(copy=...) came with NumPy 2
    with pytest.raises(ShapeMismatchError, match="single value"):
        FeatureView(h5["events/single"])


def test_blocks(h5, images):
    window = (slice(0, 2), slice(1, 5))
    for mapping in (slice(5, 33), slice(0, 40, 3), [39, 0, 0, 17], []):
        view = get_mapped_object(h5["events/image"], mapping)
        array = images[get_mapping_indices(mapping, 40)]
        start = min(2, len(view))
        found = np.zeros((len(view), 2, 4), np.uint8)

        def put(first, block, found=found):
            found[first : first + len(block)] = block

        view.reader.map_blocks(slice(start, len(view), 1), put, window)
        np.testing.assert_array_equal(found[start:], array[start:, :2, 1:5])


def test_real_files(real_file, judge):
    with h5py.File(real_file) as h5:
        for name in ("image", "mask", "deform"):
            if name not in h5["events"]:
                continue
            array = h5["events"][name][:]
            count = len(array)
            for mapping in (slice(None, None, -1), 3, np.arange(count) % 2 == 1):
                rows = get_mapping_indices(mapping, count)
                view = get_mapped_object(h5["events"][name], mapping)
                for expr in (slice(None), slice(1, 3), [0, 0, -1], (..., 0), 1):
                    judge(view, array[rows], expr)
