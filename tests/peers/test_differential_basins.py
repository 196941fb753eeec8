"""Features from basins, and measurements stored in other ways, answer the same."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

read = pytest.importorskip("dcnum.read", reason="the peers are not installed")
write = pytest.importorskip("dcnum.write", reason="the peers are not installed")

import dcread  # noqa: E402

SOURCE = "cytoshot_full-features_2023.rtdc"


@pytest.fixture
def raw(data_dir: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "raw.rtdc"
    shutil.copyfile(data_dir / SOURCE, path)
    return path


@pytest.fixture
def referrer(raw: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Write a file without image features that names basins, with dcnum's writer."""

    def make(name: str, *basins: dict[str, Any], events: int = 40) -> pathlib.Path:
        path = raw.with_name(name)
        with h5py.File(raw) as source, write.HDF5Writer(path, mode="w") as hw:
            write.copy_metadata(source, hw.h5)
            hw.store_feature_chunk("deform", np.linspace(0, 1, events))
            for basin in basins:
                hw.store_basin(**basin)
            hw.h5.attrs["experiment:event count"] = events
        return path

    return make


MAPPINGS = {
    "unmapped": None,
    "reversed": np.arange(39, -1, -1),
    "repeated": np.array([3, 3, 3, 17, 0, 39, 39]),
    "single": np.array([5]),
}
USER_MAPPINGS = [None, 1, slice(0, 1), [0], np.array([0])]


@pytest.mark.parametrize("user", USER_MAPPINGS, ids=str)
@pytest.mark.parametrize("name", MAPPINGS)
@pytest.mark.parametrize("relative", [False, True])
def test_file_basin(  # noqa: PLR0917
    name: str,
    user: Any,
    relative: bool,
    raw: pathlib.Path,
    referrer: Any,
    both: Any,
    assert_same: Any,
) -> None:
    mapping = MAPPINGS[name]
    path = referrer(
        "referrer.rtdc",
        {
            "name": "raw data",
            "paths": ["missing.rtdc", raw.name if relative else raw],
            "features": ["image", "image_bg", "mask", "area_um", "frame"],
            "mapping": mapping,
        },
        events=40 if mapping is None else len(mapping),
    )
    ours, peer = both(path, index_mapping=user)
    _compare(ours, peer, assert_same)
    assert len(ours) == len(peer)
    assert "area_um" in ours


@pytest.mark.parametrize("user", USER_MAPPINGS, ids=str)
@pytest.mark.parametrize("count", [1, 6, 40])
def test_internal_basin(  # noqa: PLR0917
    count: int, user: Any, raw: pathlib.Path, referrer: Any, both: Any, assert_same: Any
) -> None:
    with h5py.File(raw) as h5:
        backgrounds = h5["events/image_bg"][:3]
    path = referrer(
        "internal.rtdc",
        {
            "name": "backgrounds",
            "internal_data": {
                "image_bg": backgrounds,
                "userdef1": np.array([1.0, 2.0, 4.0]),
            },
            "mapping": np.arange(count) % 3,
        },
        {
            "name": "a file that sorts before it",
            "paths": [raw],
            "features": ["image", "image_bg"],
            "mapping": np.arange(count),
        },
        events=count,
    )
    ours, peer = both(path, index_mapping=user)
    assert [bn["type"] for bn in ours.basins] == ["internal", "file"]
    _compare(ours, peer, assert_same)
    assert_same(ours.image_corr[:], peer.image_corr[:])


def test_user_mapping_onto_a_mapped_basin(
    raw: pathlib.Path, referrer: Any, both: Any, assert_same: Any
) -> None:
    basin = {
        "name": "raw data",
        "paths": [raw],
        "features": ["image", "area_um"],
        "mapping": np.array([3, 3, 3, 17, 0, 39, 39]),
    }
    path = referrer("referrer.rtdc", basin, events=7)
    for user in (3, slice(2, 6), slice(0, 7, 3), [1, 4, 6], np.array([2, 5])):
        ours, peer = both(path, index_mapping=user)
        _compare(ours, peer, assert_same)


def _compare(ours: Any, peer: Any, assert_same: Any) -> None:
    assert ours.keys() == peer.keys()
    assert_same(ours.basins, peer.basins)
    for feat in peer.keys():  # noqa: SIM118
        expected = np.asarray(peer[feat][:])
        assert_same(np.asarray(ours[feat][:]), expected, feat)
        assert_same(np.asarray(ours[feat][0]), np.asarray(peer[feat][0]), feat)
    for index in range(len(peer.basins)):
        one, other = ours.get_basin_data(index), peer.get_basin_data(index)
        assert sorted(one[1]) == sorted(other[1])
        assert (one[2] is None) == (other[2] is None)
        if other[2] is not None:
            np.testing.assert_array_equal(
                dcread.get_mapping_indices(one[2]), read.get_mapping_indices(other[2])
            )
        for feat in other[1]:
            np.testing.assert_array_equal(
                np.asarray(one[0][feat][:]), other[0][feat][:], err_msg=feat
            )


def test_definitions(raw: pathlib.Path, referrer: Any, both: Any) -> None:
    path = referrer(
        "many.rtdc",
        *(
            {"name": name, "paths": [f"{name}.rtdc"], "features": ["image"]}
            for name in ("b", "a", "c")
        ),
        {"name": "z", "paths": [raw], "features": None, "identifier": None},
    )
    ours, peer = both(path)
    with h5py.File(path) as h5:
        for check in (True, False):
            expected = read.HDF5Data.extract_basin_dicts(h5, check=check)
            assert dcread.HDF5Data.extract_basin_dicts(h5, check=check) == expected
    assert ours.basins == peer.basins
    assert ours.keys() == peer.keys()


def test_identifier_that_does_not_match(
    raw: pathlib.Path, referrer: Any, both: Any
) -> None:
    path = referrer(
        "wrong.rtdc",
        {
            "name": "raw",
            "paths": [raw],
            "features": ["image"],
            "identifier": "somebody else",
        },
    )
    ours, peer = both(path)
    with pytest.raises(read.BasinIdentifierMismatchError, match="does not match"):
        peer.get_basin_data(0)
    with pytest.raises(dcread.BasinIdentifierMismatchError, match="does not match"):
        ours["image"]


STORAGE: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": (3, 5, 7)},
    "frames": {"chunks": (4, 6, 9)},
    "gzip": {"chunks": (4, 6, 9), "compression": "gzip", "fletcher32": True},
    "gzip, shuffle": {"chunks": (2, 6, 4), "compression": "gzip", "shuffle": True},
    "lzf": {"chunks": (4, 6, 9), "compression": "lzf"},
    "zstd": {"chunks": (5, 6, 9), "fletcher32": True, **hdf5plugin.Zstd(clevel=3)},
    "growing": {"chunks": (4, 6, 9), "maxshape": (None, 6, 9)},
}


@given(
    storage=st.sampled_from(sorted(STORAGE)),
    dtype=st.sampled_from(["u1", ">u2", "i4", "f8"]),
    events=st.integers(1, 13),
    size=st.integers(1, 15),
    mapping=st.none() | st.lists(st.integers(0, 12), min_size=1, max_size=9),
    seed=st.integers(0, 99),
)
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=60,
)
def test_storage(tmp_path_factory: Any, assert_same: Any, **chosen: Any) -> None:
    path = tmp_path_factory.mktemp("storage") / "made.rtdc"
    events, mapping = chosen["events"], chosen["mapping"]
    images = np.random.default_rng(chosen["seed"]).integers(0, 250, (events, 6, 9))
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = events
        storage = dict(STORAGE[chosen["storage"]])
        if "chunks" in storage and "maxshape" not in storage:
            storage["chunks"] = (
                min(storage["chunks"][0], events),
                *storage["chunks"][1:],
            )
        h5.create_dataset(
            "events/image", data=images.astype(chosen["dtype"]), **storage
        )
        h5["events/deform"] = np.arange(events, dtype="f4")
    if mapping is not None:
        mapping = [index % events for index in mapping]
    kwargs = {"image_chunk_size": chosen["size"], "index_mapping": mapping}
    with read.HDF5Data(path, **kwargs) as peer, dcread.HDF5Data(path, **kwargs) as ours:
        assert ours.image.chunk_size == peer.image.chunk_size
        for chunk in peer.image.iter_chunks():
            assert_same(ours.image.get_chunk(chunk), peer.image.get_chunk(chunk))
        assert_same(ours.image[:], peer.image[:])
        assert_same(np.asarray(ours["deform"]), peer["deform"])
