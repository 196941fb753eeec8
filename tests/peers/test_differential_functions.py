"""The functions of dcread answer as those of dcnum.read do."""

from __future__ import annotations

import inspect
import pathlib
import shutil
import warnings
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

read = pytest.importorskip("dcnum.read", reason="the peers are not installed")

import dcread  # noqa: E402

MODULES = ("cache", "const", "detect_flicker", "hdf5_concat", "hdf5_data", "mapped")


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_there(name: str) -> None:
    import importlib

    theirs = importlib.import_module(f"dcnum.read.{name}")
    ours = importlib.import_module(f"dcread.{name}")
    for public, value in vars(theirs).items():
        if public.startswith("_"):
            continue
        if getattr(value, "__module__", None) == theirs.__name__:
            assert hasattr(ours, public), f"{name}.{public}"


@pytest.mark.parametrize(
    "name",
    [
        "md5sum",
        "detect_flickering",
        "HDF5Data.__init__",
        "HDF5Data.get_basin_data",
        "HDF5Data.get_image_cache",
        "HDF5Data.extract_basin_dicts",
        "HDF5Data.get_ppid_from_ppkw",
        "HDF5Data.get_ppid_index_mapping",
        "HDF5Data.get_ppkw_from_ppid",
        "HDF5ImageCache.__init__",
        "concatenated_hdf5_data",
        "get_mapping_indices",
        "get_mapped_object",
        "get_measurement_identifier",
        "cache.BaseImageChunkCache.__init__",
        "cache.BaseImageChunkCache.get_chunk",
        "cache.ImageCorrCache.__init__",
        "mapped.MappedHDF5Dataset.__init__",
    ],
)
def test_arguments_keep_names_order_and_defaults(name: str) -> None:
    theirs: Any = read
    ours: Any = dcread
    for part in name.split("."):
        theirs, ours = getattr(theirs, part), getattr(ours, part)
    wanted = list(inspect.signature(theirs).parameters.values())
    found = list(inspect.signature(ours).parameters.values())[: len(wanted)]
    assert [p.name for p in found] == [p.name for p in wanted]
    assert [p.default for p in found] == [p.default for p in wanted]


def test_protected_features() -> None:
    assert sorted(dcread.PROTECTED_FEATURES) == sorted(read.PROTECTED_FEATURES)


mappings = st.one_of(
    st.none(),
    st.integers(0, 10**6),
    st.integers(0, 255).map(np.uint8),
    st.builds(slice, st.none() | st.integers(), st.none() | st.integers()),
    st.builds(slice, st.integers(), st.integers(), st.none() | st.integers()),
    st.lists(st.integers(0, 2**32 - 1), max_size=20),
    st.lists(st.integers(0, 1000), max_size=9).map(lambda x: np.array(x, np.int64)),
    st.just("something else"),
)


@given(mappings, st.floats(0, 10))
@settings(deadline=None)
def test_pipeline_identifiers(mapping: Any, pixel_size: float) -> None:
    kwargs = {"pixel_size": pixel_size, "index_mapping": mapping}
    theirs = read.HDF5Data.get_ppid_from_ppkw(kwargs)
    assert dcread.HDF5Data.get_ppid_from_ppkw(kwargs) == theirs
    assert dcread.HDF5Data.get_ppid_code() == read.HDF5Data.get_ppid_code()
    try:
        expected = read.HDF5Data.get_ppkw_from_ppid(theirs)
    except ValueError:
        if isinstance(mapping, slice):  # with a negative number, which we invert
            found = dcread.HDF5Data.get_ppkw_from_ppid(theirs)
            assert found["index_mapping"] == mapping
            return
        with pytest.raises(ValueError, match=r"Cannot invert index mapping"):
            dcread.HDF5Data.get_ppkw_from_ppid(theirs)
    else:
        assert dcread.HDF5Data.get_ppkw_from_ppid(theirs) == expected


@pytest.mark.parametrize(
    "ppid",
    ["hdf:p=0.2^i=3", "hdf:i=0", "xyz:p=0.2", "hdf:p=0.2^q=1", "hdf:i=h-1234abcd"],
)
def test_pipeline_identifiers_from_text(ppid: str) -> None:
    try:
        expected = read.HDF5Data.get_ppkw_from_ppid(ppid)
    except ValueError as exc:
        telling = str(exc).split("'")[0]
        with pytest.raises(ValueError, match=telling):
            dcread.HDF5Data.get_ppkw_from_ppid(ppid)
    else:
        assert dcread.HDF5Data.get_ppkw_from_ppid(ppid) == expected


@pytest.mark.parametrize(
    "mapping",
    [0, 7, np.int64(5), slice(2, 9), slice(2, 9, 3), [3, 1, 1], [], np.arange(4)],
    ids=str,
)
def test_mapping_indices(mapping: Any) -> None:
    ours, theirs = (
        dcread.get_mapping_indices(mapping),
        read.get_mapping_indices(mapping),
    )
    assert ours.dtype.kind in "iu"
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("mapping", [slice(None, 5), slice(2, None)], ids=str)
def test_open_slices_without_a_size(mapping: slice) -> None:
    for module in (read, dcread):
        with pytest.raises(NotImplementedError, match="start and stop defined"):
            module.get_mapping_indices(mapping)


@pytest.mark.parametrize("mapping", ["abc", {1: 2}, None], ids=str)
def test_impossible_mappings(mapping: Any) -> None:
    for module in (read, dcread):
        with pytest.raises(ValueError, match="Invalid type for `index_mapping`"):
            module.get_mapping_indices(mapping)


@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 12)),
    args=st.tuples(
        st.integers(1, 12),
        st.integers(0, 50).map(lambda tenths: tenths / 10),
        st.integers(0, 5),
        st.integers(1, 40),
    ),
    dtype=st.sampled_from(["u1", "u2", "i2", "f4", "f8"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_flickering(
    shape: tuple[int, int], args: tuple[Any, ...], dtype: str, seed: int
) -> None:
    frames, height = shape
    rng = np.random.default_rng(seed)
    stack = rng.integers(0, 100, (frames, 1, 1)) + rng.integers(0, 4, (1, height, 9))
    stack = stack.astype(dtype)
    found = dcread.detect_flickering(stack, *args)
    assert found is bool(read.detect_flickering(stack, *args))


def test_concatenated(
    data_dir: pathlib.Path, tmp_path: pathlib.Path, assert_same: Any
) -> None:
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.rtdc")
        shutil.copy(data_dir / "cytoshot_full-features_2023.rtdc", paths[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = read.concatenated_hdf5_data(paths, path_out=tmp_path / "theirs.h5")
    ours = dcread.concatenated_hdf5_data(paths, path_out=tmp_path / "ours.h5")
    with ours, theirs:
        assert len(ours) == len(theirs) == 120
        assert_same(ours.meta, theirs.meta)
        assert set(ours.keys()) >= set(theirs.keys())
        for feat in sorted(theirs.keys()):
            expected = np.asarray(theirs[feat][:])
            np.testing.assert_array_equal(ours[feat][:], expected, err_msg=feat)
        np.testing.assert_array_equal(ours.image_corr[:], theirs.image_corr[:])


def test_concatenating_files_that_do_not_fit(
    data_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    paths = []
    for number in range(2):
        paths.append(tmp_path / f"{number}.rtdc")
        shutil.copy(data_dir / "cytoshot_full-features_2023.rtdc", paths[-1])
        paths[-1].chmod(0o644)
    with h5py.File(paths[1], "a") as h5:
        del h5["events/deform"]
    for module in (read, dcread):
        with pytest.raises(ValueError, match="contains more features than"):
            module.concatenated_hdf5_data(
                paths, path_out=tmp_path / f"{module.__name__}.h5"
            )
        with pytest.raises(ValueError, match="at least one file"):
            module.concatenated_hdf5_data([])
