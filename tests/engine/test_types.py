"""Types of elements that h5py reads come back as h5py gives them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import dcread
from dcread.errors import DCReadError, FormatError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 8
        h5["events/deform"] = np.arange(8.0)
    return path


@pytest.mark.parametrize("chunks", [None, (3,)])
@pytest.mark.parametrize("inner", [(3,), (4, 5)])
def test_elements_that_are_arrays_keep_their_axes(path, chunks, inner):
    values = np.arange(8 * np.prod(inner), dtype="f4").reshape(8, *inner)
    with h5py.File(path, "a") as h5:
        kind = np.dtype(("f4", inner))
        h5.create_dataset("events/userdef1", (8,), kind, chunks=chunks)
        h5["events/userdef1"][...] = values
        expected = h5["events/userdef1"][:]
        assert expected.shape == values.shape
    with dcread.HDF5Data(path) as hd:
        with pytest.warns(UserWarning, match="not cached"):
            view = hd["userdef1"]
        assert view.shape == expected.shape
        assert view.dtype == expected.dtype
        for index in (slice(None), 3, [5, 0, 0], (slice(1, 7, 2), 1), (..., 2)):
            assert np.array_equal(view[index], expected[index])
    mapped = dcread.get_mapped_object(h5py.File(path)["events/userdef1"], [2, 1])
    assert np.array_equal(mapped[:], expected[[2, 1]])


def test_dates_are_dates(path):
    dates = np.arange("2020-01-01", "2020-01-09", dtype="M8[D]").astype("M8[ns]")
    with h5py.File(path, "a") as h5:
        kind = h5py.opaque_dtype(dates.dtype)
        h5.create_dataset("events/userdef1", data=dates.astype(kind), chunks=(3,))
    with dcread.HDF5Data(path) as hd:
        assert hd["userdef1"].dtype == dates.dtype
        assert np.array_equal(hd["userdef1"][:], dates)


@pytest.mark.parametrize("dtype", [">u2", "<u2", ">f8", "u1", "?"])
@pytest.mark.parametrize("boolean", [False, True])
def test_single_numbers_of_an_image_cache(tmp_path, dtype, boolean):
    values = np.array([5, 300, 0, 7]).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w") as h5:
        h5.create_dataset("a", data=values, chunks=(2,))
    with h5py.File(tmp_path / "x.h5") as h5:
        cache = dcread.HDF5ImageCache(h5["a"], boolean=boolean)
        expected = (values != 0 if boolean else values).tolist()
        for _ in range(2):
            found = [cache[index] for index in range(4)]
            assert [value.item() for value in found] == expected
            is_bool = boolean or dtype == "?"
            assert all(isinstance(value, np.bool_) == is_bool for value in found)
        cache.close()


def with_filter(path, number, mask):
    block = np.ones((4, 4, 5), "u1")
    with h5py.File(path, "a") as h5:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(block.shape)
        plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((8, 4, 5))
        group, kind = h5["events"].id, h5py.h5t.NATIVE_UINT8
        image = h5py.h5d.create(group, b"image", kind, space, plist)
        for first in (0, 4):
            image.write_direct_chunk((first, 0, 0), block.tobytes(), mask)


@pytest.mark.parametrize(
    ("number", "name"), [(32099, "no package"), (32020, "vbz-h5py-plugin")]
)
def test_a_filter_that_is_not_installed_is_named(path, number, name):
    with_filter(path, number, 0)
    with dcread.HDF5Data(path) as hd:
        for index in (slice(None), 3):
            with pytest.raises(
                FormatError, match=rf"image.*{number} \(.*{name}"
            ) as info:
                hd["image"][index]
            assert "damaged" not in str(info.value)


def test_a_filter_that_was_not_used_is_not_needed(path):
    with_filter(path, 32099, 1)
    with dcread.HDF5Data(path) as hd:
        assert (hd["image"][:] == 1).all()


def test_types_without_a_conversion_say_so(tmp_path):
    layout = h5py.VirtualLayout((8,), "S5")
    layout[:] = h5py.VirtualSource(".", "deform", (8,))
    with h5py.File(tmp_path / "v.h5", "w") as h5:
        h5["deform"] = np.arange(8.0)
        h5.create_virtual_dataset("x", layout)
    with h5py.File(tmp_path / "v.h5") as h5:
        view = dcread.get_mapped_object(h5["x"], slice(0, 8))
        with pytest.raises(DCReadError, match="cannot be converted"):
            view[:]
