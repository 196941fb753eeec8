"""References for Zarr readers: read back by zarr, they give what dcread reads."""

from __future__ import annotations

import json
import pathlib
import warnings
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
import xarray

import dcread
from dcread.interop import to_references

zarr = pytest.importorskip("zarr")
fsspec = pytest.importorskip("fsspec")
from zarr.storage import FsspecStore  # noqa: E402

FILTERS = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "shuffle": {"shuffle": True, "compression": "gzip", "compression_opts": 9},
    "checksum": {"fletcher32": True},
    "all": {"shuffle": True, "compression": "gzip", "fletcher32": True},
    "zstd": dict(hdf5plugin.Zstd(clevel=3)) | {"fletcher32": True},
    "lzf": {"compression": "lzf", "shuffle": True, "fletcher32": True},
}


def store_of(refs: dict[str, Any]) -> Any:
    """Let zarr see the references, after a way through JSON."""
    plain = json.loads(json.dumps(refs, allow_nan=False))
    files = fsspec.filesystem(
        "reference", fo=plain, remote_protocol="file", asynchronous=True
    )
    return FsspecStore(files, read_only=True)


def opened(refs: dict[str, Any]) -> Any:
    return zarr.open_group(store_of(refs), mode="r", zarr_format=2)


def test_every_real_file(data_dir: pathlib.Path) -> None:
    seen = 0
    for path in sorted(data_dir.glob("*.rtdc")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dcread.EmptyDatasetWarning)
            group = opened(to_references(path))
        with dcread.HDF5Data(path) as hd:
            expected = {
                f"trace_{member}"
                for name in hd
                if name == "trace"
                for member in hd[name]
            } | ({*hd} - {"trace", "contour"})
            assert set(group.array_keys()) == expected
            assert group.attrs["experiment:event count"] == len(hd)
            if not len(hd):
                continue
            for name, array in group.arrays():
                member = name.removeprefix("trace_")
                ours = hd.view(name) if member == name else hd["trace"][member]
                values = array[:]
                if name == "mask":
                    values = values != 0
                assert values.dtype == ours.dtype
                np.testing.assert_array_equal(values, ours[:], strict=True)
                seen += 1
    assert seen > 200


@pytest.mark.parametrize("dtype", ["|u1", "<f8", ">i2", ">f4", "?"])
@pytest.mark.parametrize("filters", FILTERS)
def test_every_filter(tmp_path: pathlib.Path, filters: str, dtype: str) -> None:
    values = np.random.default_rng(1).integers(0, 99, (23, 9, 7)).astype(dtype)
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5.create_dataset(
            "events/image", data=values, chunks=(3, 9, 5), **FILTERS[filters]
        )
        h5.create_dataset("events/deform", data=np.arange(23.0))
    refs = to_references(path)
    np.testing.assert_array_equal(opened(refs)["image"][:], values, strict=True)
    places = [key for key in refs["refs"] if key.startswith("image/") and key[6] != "."]
    assert len(places) == (1 if filters == "lzf" else 16)  # lzf is copied


def test_fletcher32_is_compared_by_zarr(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    values = np.random.default_rng(1).integers(0, 99, (20, 8, 9), np.uint8)
    with h5py.File(path, "w") as h5:
        h5.create_dataset(
            "events/image", data=values, chunks=(5, 8, 9), fletcher32=True, shuffle=True
        )
    refs = to_references(path, ["image"])
    _, offset, length = refs["refs"]["image/2.0.0"]
    assert length == 5 * 8 * 9 + 4
    with path.open("r+b") as file:
        file.seek(offset + 7)
        file.write(b"\xff")
    array = opened(refs)["image"]
    np.testing.assert_array_equal(array[:10], values[:10])
    with pytest.raises(RuntimeError, match="checksum"):
        array[10:15]


def test_missing_chunks_have_the_fill_value(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        for name, fill in (("a", 7.5), ("b", np.nan), ("c", -np.inf)):
            dataset = h5.create_dataset(
                f"events/{name}", (900,), "f4", chunks=(300,), fillvalue=fill
            )
            dataset[300:600] = 1
    group = opened(to_references(path))
    with dcread.HDF5Data(path) as hd:
        for name in "abc":
            np.testing.assert_array_equal(group[name][:], hd[name][:])


def test_a_chunk_without_its_filters_is_copied(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    values = np.arange(2000, dtype="<u2")
    with h5py.File(path, "w") as h5:
        dataset = h5.create_dataset(
            "events/deform", data=values, chunks=(1000,), compression="gzip"
        )
        dataset.id.write_direct_chunk((1000,), values[1000:].tobytes(), filter_mask=1)
    np.testing.assert_array_equal(opened(to_references(path))["deform"][:], values)
    with pytest.raises(
        ValueError, match=r"'deform': some of its chunks .* inline_limit"
    ):
        to_references(path, ["deform"], inline_limit=10)
    with pytest.warns(UserWarning, match="left out: 'deform'"):
        assert "deform/0" not in to_references(path, inline_limit=10)["refs"]


def test_basins_refer_to_their_files(tmp_path: pathlib.Path) -> None:
    images = np.random.default_rng(2).integers(0, 99, (30, 8, 90), np.uint8)
    with h5py.File(tmp_path / "raw.rtdc", "w") as h5:
        h5.create_dataset("events/image", data=images, chunks=(10, 8, 90))
    definition = {"type": "file", "format": "hdf5", "paths": ["raw.rtdc"]}
    for name, mapping in (("plain", None), ("mapped", "basinmap0")):
        with h5py.File(tmp_path / f"{name}.rtdc", "w") as h5:
            h5["events/deform"] = np.linspace(0, 1, 30)
            h5["events/basinmap0"] = np.arange(30)[::-1].copy()
            text = json.dumps(definition | {"mapping": mapping})
            h5["basins/a"] = np.array([text.encode()])
    plain = to_references(tmp_path / "plain.rtdc")
    assert plain["refs"]["image/1.0.0"][0] == (tmp_path / "raw.rtdc").as_posix()
    np.testing.assert_array_equal(opened(plain)["image"][:], images)
    mapped = to_references(tmp_path / "mapped.rtdc")
    np.testing.assert_array_equal(opened(mapped)["image"][:], images[::-1])


def test_xarray_opens_them_as_it_opens_the_file(data_dir: pathlib.Path) -> None:
    path = data_dir / "image-mask-blood_2021.rtdc"
    ours = xarray.open_dataset(path, engine="dcread")
    store = store_of(to_references(path))
    theirs = xarray.open_dataset(
        store, engine="zarr", consolidated=False, zarr_format=2
    )
    with ours, theirs:
        assert dict(ours.sizes) == dict(theirs.sizes)
        for name, variable in ours.items():
            assert theirs[name].dims == variable.dims
            assert theirs[name].attrs == variable.attrs
            np.testing.assert_array_equal(
                theirs[name].values != 0, variable.values != 0
            )


def test_what_cannot_be_referred_to(data_dir: pathlib.Path) -> None:
    path = data_dir / "fl_2018.rtdc"
    with pytest.raises(TypeError, match="several names"):
        to_references(path, "deform")
    with pytest.raises(dcread.FeatureNotFoundError, match="nothing"):
        to_references(path, ["nothing"])
    with pytest.raises(dcread.FileMissingError):
        to_references(data_dir / "missing.rtdc")
    with dcread.HDF5Data(path) as hd:
        has_contour = "contour" in hd
    if has_contour:
        with pytest.raises(dcread.FeatureNotFoundError, match="differs in length"):
            to_references(path, ["contour"])


def test_a_file_cut_short_is_noticed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5.create_dataset("events/deform", data=np.arange(90_000.0))
        size = h5["events/deform"].id.get_offset() + 90_000 * 8
    with path.open("r+b") as file:
        file.truncate(size - 100)
    with pytest.raises(dcread.DCReadError, match="truncated"):
        to_references(path)
