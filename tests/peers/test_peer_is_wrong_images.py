"""Where dcnum.read is wrong, dcread is right, and the peer still is wrong.

A test here fails when a new version of the peer mends a fault: then the line in
the documentation goes, and the case moves to the tests of what is the same.
"""

from __future__ import annotations

import pathlib
import warnings
from typing import Any

import h5py
import numpy as np
import pytest

read = pytest.importorskip("dcnum.read", reason="the peers are not installed")

import dcread  # noqa: E402

SOURCE = "cytoshot_full-features_2023.rtdc"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, BaseException):
        return False
    return np.array_equal(np.asarray(one), np.asarray(other))


INDICES: dict[str, Any] = {
    "last three": slice(-3, None),
    "nothing": slice(0, 0),
    "none of them": slice(None, 0),
    "backwards": slice(None, None, -1),
    "all but one": slice(None, -1),
    "a mask": np.arange(40) % 3 == 0,
    "rows and columns": (slice(0, 2), slice(3, 5)),
    "one pixel": (0, 3, 4),
    "ellipsis": ...,
}


@pytest.mark.parametrize("name", INDICES)
def test_image_indices(
    name: str, data_dir: pathlib.Path, both: Any, images: np.ndarray, answer: Any
) -> None:
    ours, peer = both(data_dir / SOURCE)
    index = INDICES[name]
    expected = answer(lambda: images[index])
    found = answer(lambda: ours.image[index])
    np.testing.assert_array_equal(found, expected, strict=True)
    assert not _equal(answer(lambda: peer.image[index]), expected)


def test_small_integer_types(tmp_path: pathlib.Path, both: Any, answer: Any) -> None:
    """The chunk size does not fit into the index's type."""
    path = tmp_path / "long.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 300
        h5["events/image"] = np.arange(300 * 4, dtype=np.uint16).reshape(300, 2, 2)
    ours, peer = both(path, image_chunk_size=100)
    expected = np.arange(800, 804).reshape(2, 2)
    np.testing.assert_array_equal(ours.image[np.uint8(200)], expected)
    np.testing.assert_array_equal(ours.image[np.int8(-100)], expected)
    assert not _equal(answer(lambda: peer.image[np.int8(-100)]), expected)


def test_flicker_check_of_a_measurement(data_dir: pathlib.Path, both: Any) -> None:
    ours, peer = both(data_dir / SOURCE)
    assert dcread.detect_flickering(ours) is False
    with pytest.raises((TypeError, KeyError, AttributeError)):
        read.detect_flickering(peer._hd)


def test_flicker_check_gives_a_bool(images: np.ndarray) -> None:
    assert type(dcread.detect_flickering(images)) is bool
    assert type(read.detect_flickering(images)) is not bool


@pytest.mark.parametrize(
    ("mapping", "count"),
    [(slice(-5, None), 5), (slice(None, 4), 4), (slice(36, None), 4), (100, 40)],
    ids=str,
)
def test_index_mapping_with_open_bounds(  # noqa: PLR0917
    data_dir: pathlib.Path,
    both: Any,
    images: np.ndarray,
    mapping: Any,
    count: int,
    answer: Any,
) -> None:
    expected = images[mapping] if isinstance(mapping, slice) else images[:mapping]
    ours, peer = both(data_dir / SOURCE, index_mapping=mapping)
    assert len(ours) == count
    np.testing.assert_array_equal(ours.image[:], expected, strict=True)
    assert not _equal(answer(lambda: peer.image[:]), expected) or len(peer) != count


@pytest.mark.parametrize("mapping", [[0.5, 1.5], np.array([np.nan, 1.0])], ids=str)
def test_mapping_with_fractions(data_dir: pathlib.Path, mapping: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read.get_mapping_indices(mapping).dtype == np.uint32  # cut off
    with pytest.raises((IndexError, TypeError, ValueError)):
        dcread.get_mapping_indices(mapping)
    with pytest.raises((IndexError, TypeError, ValueError)):
        dcread.HDF5Data(data_dir / SOURCE, index_mapping=mapping)


def test_mapping_out_of_range(data_dir: pathlib.Path, both: Any) -> None:
    with pytest.raises(IndexError, match="40"):
        dcread.HDF5Data(data_dir / SOURCE, index_mapping=[0, 40])
    peer = read.HDF5Data(data_dir / SOURCE, index_mapping=[0, 40])
    assert len(peer) == 2  # one of them does not exist
    peer.close()


def test_repeated_rows_of_a_mapped_basin(
    data_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    both: Any,
    images: np.ndarray,
    answer: Any,
) -> None:
    from dcnum.write import HDF5Writer

    path = tmp_path / "referrer.rtdc"
    with HDF5Writer(path, mode="w") as hw:
        hw.h5.attrs["experiment:event count"] = 3
        hw.store_feature_chunk("deform", np.arange(3.0))
        hw.store_basin(
            "raw", [data_dir / SOURCE], ["image"], mapping=np.array([7, 7, 1])
        )
    ours, peer = both(path, index_mapping=[1, 0, 0, 2])
    np.testing.assert_array_equal(ours.image[:], images[[7, 7, 7, 1]])
    assert isinstance(answer(lambda: peer.image), TypeError)


def test_wide_mapping_indices_do_not_wrap(answer: Any) -> None:
    big = [2**32 + 5]
    assert dcread.get_mapping_indices(big).tolist() == big
    assert answer(lambda: read.get_mapping_indices(np.array(big)).tolist()) != big


def test_cached_mapping_cannot_be_spoiled() -> None:
    theirs = read.get_mapping_indices(7)
    theirs[0] = 3
    assert read.get_mapping_indices(7)[0] == 3
    theirs[0] = 0
    ours = dcread.get_mapping_indices(7)
    with pytest.raises(ValueError, match="read-only"):
        ours[0] = 3


def test_mapped_objects_take_tuples_and_nothing(
    data_dir: pathlib.Path, images: np.ndarray, answer: Any
) -> None:
    rows = [3, 0, 3]
    with h5py.File(data_dir / SOURCE) as h5:
        stored = h5["events/image"]
        ours = dcread.get_mapped_object(stored, rows)
        theirs = read.get_mapped_object(stored, rows)
        for index in ((slice(None), slice(0, 2)), slice(0, 0), []):
            expected = images[rows][index]
            np.testing.assert_array_equal(ours[index], expected)
            assert not _equal(answer(lambda i=index: theirs[i]), expected)
        assert ours.dtype == images.dtype
        assert not hasattr(theirs, "dtype")
        again = dcread.get_mapped_object(ours, [2, 1])
        np.testing.assert_array_equal(again[:], images[[3, 0]])
        assert isinstance(
            answer(lambda: read.get_mapped_object(theirs, [2, 1])), ValueError
        )
    np.testing.assert_array_equal(
        dcread.get_mapped_object(images, rows)[:], images[rows]
    )
    assert isinstance(answer(lambda: read.get_mapped_object(images, rows)), ValueError)


def test_changing_an_image_changes_nobody_elses(
    data_dir: pathlib.Path, both: Any, images: np.ndarray
) -> None:
    ours, peer = both(data_dir / SOURCE)
    for hd in (ours, peer):
        hd.image[0][:] = 0
    np.testing.assert_array_equal(ours.image[0], images[0])
    assert not peer.image[0].any()
