"""On every real measurement dcread answers as dcnum.read does."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

read = pytest.importorskip("dcnum.read", reason="the peers are not installed")

import dcread  # noqa: E402

IMAGES = ("image", "image_bg", "mask")
MAPPINGS = [
    None,
    3,
    slice(1, 5),
    slice(0, 5, 2),
    [0, 2, 1, 4],
    np.array([3, 0, 1]),
    np.array([4, 2], dtype=np.uint8),
]


def _event_names(hd: Any) -> list[str]:
    """Features that are datasets: the peer serves no others."""
    names = list(hd.keys())
    return [feat for feat in names if hasattr(hd.h5["events"].get(feat), "shape")]


def test_contents(real_file: pathlib.Path, both: Any, assert_same: Any) -> None:
    ours, peer = both(real_file)
    assert len(ours) == len(peer)
    assert ours.keys() == peer.keys()
    for name in ("meta", "meta_nest", "logs", "tables", "basins"):
        assert_same(getattr(ours, name), getattr(peer, name), name)
    assert ours.pixel_size == peer.pixel_size
    assert ours.md5_5m == peer.md5_5m
    assert ours.features_scalar_frame == peer.features_scalar_frame
    assert ours.path == peer.path
    assert ours.get_ppid() == peer.get_ppid()
    assert ours.image_num_chunks == peer.image_num_chunks
    assert ours.image_chunk_size == peer.image_chunk_size
    assert ("image" in ours, "nothing" in ours) == ("image" in peer, "nothing" in peer)


def test_identifier(real_file: pathlib.Path, both: Any) -> None:
    ours, peer = both(real_file)
    expected = read.get_measurement_identifier(peer.h5)
    if any(isinstance(value, bytes) for value in peer.h5.attrs.values()):
        # the peer's depends on how text was stored: see the list of its faults
        expected = read.get_measurement_identifier(Decoded(peer.h5))
    assert dcread.get_measurement_identifier(ours.h5) == expected
    assert dcread.get_measurement_identifier(peer.h5) == expected


class Decoded:
    """A file whose attributes are text."""

    def __init__(self, h5: Any) -> None:
        self.attrs = {
            key: value.decode() if isinstance(value, bytes) else value
            for key, value in h5.attrs.items()
        }


@pytest.mark.parametrize("mapping", MAPPINGS, ids=str)
def test_features(
    real_file: pathlib.Path, both: Any, assert_same: Any, mapping: Any
) -> None:
    if len(both(real_file)[1]) < 5:
        pytest.skip("has a test of its own")
    ours, peer = both(real_file, index_mapping=mapping)
    assert len(ours) == len(peer)
    assert ours.get_ppid() == peer.get_ppid()
    names = _event_names(peer)
    assert names or len(peer) == 0
    for feat in names:
        expected = np.asarray(peer[feat][:])
        assert_same(np.asarray(ours[feat][:]), expected, feat)
        if expected.size:
            assert_same(np.asarray(ours[feat][len(expected) - 1]), expected[-1], feat)


@pytest.mark.parametrize("size", [1000, 4, 1])
@pytest.mark.parametrize("mapping", [None, [4, 0, 3], slice(1, 5)], ids=str)
def test_images(
    real_file: pathlib.Path, both: Any, assert_same: Any, size: int, mapping: Any
) -> None:
    if len(both(real_file)[1]) < 5:
        pytest.skip("has a test of its own")
    ours, peer = both(real_file, image_chunk_size=size, index_mapping=mapping)
    seen = 0
    for feat in (*IMAGES, "image_corr"):
        one, other = getattr(ours, feat), getattr(peer, feat)
        assert (one is None) == (other is None), feat
        if other is None or len(other) == 0:
            continue
        seen += 1
        for name in (
            "shape",
            "image_shape",
            "chunk_shape",
            "chunk_size",
            "num_chunks",
            "cache_size",
            "dtype",
        ):
            assert getattr(one, name) == getattr(other, name), (feat, name)
        assert list(one.iter_chunks()) == list(other.iter_chunks())
        for chunk in other.iter_chunks():
            assert one.get_chunk_size(chunk) == other.get_chunk_size(chunk)
            assert one.get_chunk_slice(chunk) == other.get_chunk_slice(chunk)
            assert_same(one.get_chunk(chunk), other.get_chunk(chunk), feat)
        for index in range(-len(other), len(other)):
            assert_same(one[index], other[index], feat)
        assert_same(one[1:4], other[1:4], feat)
        assert_same(one[[2, 0]], other[[2, 0]], feat)
        assert_same(one[:], other[:], feat)
        with pytest.raises(IndexError, match="out of bounds for HDF5ImageCache"):
            one[len(other)]
        with pytest.raises(IndexError, match="out of bounds for HDF5ImageCache"):
            other[len(other)]
    assert seen


def test_empty_measurement(data_dir: pathlib.Path, both: Any) -> None:
    path = data_dir / "shapein_empty.rtdc"
    ours, peer = both(path)
    assert len(ours) == len(peer) == 0
    with pytest.warns(read.cache.EmptyDatasetWarning, match="has zero length"):
        peer._hd.image  # noqa: B018
    with pytest.warns(dcread.EmptyDatasetWarning, match="has zero length"):
        image = ours.image
    assert len(image) == len(image[:]) == 0
    assert list(image.iter_chunks()) == []
    for feat in _event_names(peer):
        if peer.h5["events"][feat].ndim == 1:
            np.testing.assert_array_equal(ours[feat], peer[feat], strict=True)


@pytest.mark.parametrize("blocksize", [0, 1, 1000, 65536])
@pytest.mark.parametrize("count", [0, 1, 80])
def test_md5sum(real_file: pathlib.Path, blocksize: int, count: int) -> None:
    if blocksize in (0, 1) and count == 0:
        # reading nothing at a time gives the peer nothing: see the list of faults
        count = 3
    if blocksize == 0:
        expected = read.md5sum(real_file, blocksize=1 << 30)
    else:
        expected = read.md5sum(real_file, blocksize=blocksize, count=count)
    assert dcread.md5sum(real_file, blocksize, count) == expected


def test_pickle_carries_the_same(
    real_file: pathlib.Path, both: Any, assert_same: Any
) -> None:
    import pickle

    ours, peer = both(real_file)
    len(ours)
    copied = pickle.loads(pickle.dumps(ours))
    try:
        assert len(copied) == len(peer)
        assert copied.keys() == peer.keys()
        assert_same(copied.meta, peer.meta)
        assert_same(copied.logs, peer.logs)
    finally:
        copied.close()


def test_closing_one_leaves_the_other(real_file: pathlib.Path, both: Any) -> None:
    ours, peer = both(real_file)
    names = peer.keys()
    ours.close()
    assert peer.h5["events"].keys() >= set()
    again, _ = both(real_file)
    peer.close()
    assert again.keys() == names
    np.asarray(again[_event_names(again)[0]][:])
