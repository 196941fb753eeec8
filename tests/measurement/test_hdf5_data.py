"""`HDF5Data` on real files and against dcnum: the documented attributes."""

from __future__ import annotations

import io
import pathlib

import h5py
import numpy as np
import pytest

import dcread
from dcread import HDF5Data

IMAGES = ("image", "image_bg", "mask")


pytestmark = pytest.mark.filterwarnings("ignore::dcread.EmptyDatasetWarning")


@pytest.fixture
def path(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "cytoshot_full-features_2023.rtdc"


def test_equal_to_dcnum(real_file: pathlib.Path) -> None:
    peer = pytest.importorskip("dcnum.read")
    with peer.HDF5Data(real_file) as theirs:
        expected = {
            "len": len(theirs),
            "keys": theirs.keys(),
            "meta": dict(theirs.meta),
            "nest": theirs.meta_nest,
            "ppid": theirs.get_ppid(),
            "md5": theirs.md5_5m,
            "chunk size": theirs.image_chunk_size,
            "chunks": theirs.image_num_chunks,
            "frame": theirs.features_scalar_frame,
            "pixel size": theirs.pixel_size,
        }
        scalars = {
            name: theirs[name]
            for name, stored in theirs.h5["events"].items()
            if isinstance(stored, h5py.Dataset) and stored.ndim == 1
        }
    with HDF5Data(real_file) as data:
        assert {
            "len": len(data),
            "keys": data.keys(),
            "meta": data.meta,
            "nest": data.meta_nest,
            "ppid": data.get_ppid(),
            "md5": data.md5_5m,
            "chunk size": data.image_chunk_size,
            "chunks": data.image_num_chunks,
            "frame": [n for n in data.features_scalar_frame if "userdef" not in n],
            "pixel size": data.pixel_size,
        } == expected
        assert type(len(data)) is int
        assert scalars
        for name, values in scalars.items():
            np.testing.assert_array_equal(data[name], values)
            assert data[name].dtype == values.dtype
        assert data.problems == []


def test_equal_to_h5py(real_file: pathlib.Path) -> None:
    with h5py.File(real_file, locking=False) as h5, HDF5Data(real_file) as data:
        for name, stored in h5["events"].items():
            if name in IMAGES:
                values = stored[:].astype(bool) if name == "mask" else stored[:]
                np.testing.assert_array_equal(data[name][:], values)
                assert data[name].dtype == values.dtype
                assert data[name] is data.get_image_cache(name)
            elif name == "trace":
                assert list(data[name]) == sorted(stored)
                for trace in stored:
                    np.testing.assert_array_equal(data[name][trace][:], stored[trace])
            elif name == "contour":
                assert len(data[name]) == len(data)
                for event, contour in enumerate(data[name]):
                    np.testing.assert_array_equal(contour, stored[str(event)])
            else:
                np.testing.assert_array_equal(data[name], stored[:])


@pytest.mark.parametrize(
    "index_mapping",
    [
        3,
        slice(1, 4),
        slice(None, None, 2),
        slice(-2, None),
        [4, 0, 0, 2],
        np.array([1]),
    ],
)
def test_index_mapping_is_numpys(
    data_dir: pathlib.Path, index_mapping: int | slice | list[int]
) -> None:
    path = data_dir / "fl_wide-channel_2023.rtdc"
    chosen = slice(index_mapping) if isinstance(index_mapping, int) else index_mapping
    with (
        HDF5Data(path) as whole,
        HDF5Data(path, index_mapping=index_mapping) as data,
    ):
        rows = np.arange(len(whole))[chosen]
        assert len(data) == len(rows)
        assert data.raw_length == len(whole) == 10
        assert data.mapping_indices().tolist() == rows.tolist()
        np.testing.assert_array_equal(data["deform"], whole["deform"][chosen])
        np.testing.assert_array_equal(data["image"][:], whole["image"][:][chosen])
        np.testing.assert_array_equal(data.mask[:], whole.mask[:][chosen])
        np.testing.assert_array_equal(
            data["trace"]["fl1_raw"][:], whole["trace"]["fl1_raw"][:][chosen]
        )
        contours = [whole["contour"][int(row)] for row in rows]
        for ours, theirs in zip(data["contour"], contours, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_too_long_a_mapping_is_cut(data_dir: pathlib.Path) -> None:
    path = data_dir / "cytoshot_full-features_legacy_allev_2023.rtdc"
    with HDF5Data(path, index_mapping=100) as data:
        assert len(data) == 11
        assert data["deform"].shape == (11,)
        assert data.get_ppid().endswith("i=100")


@pytest.mark.parametrize(
    ("index_mapping", "error"),
    [
        ([0, 40], IndexError),
        ([-41], IndexError),
        ([0.5], ValueError),
        ([[1, 2]], ValueError),
        ("all", ValueError),
        (slice(0, 5, 0), ValueError),
        (np.zeros(3, bool), IndexError),
    ],
)
def test_a_wrong_mapping_fails_at_once(
    path: pathlib.Path, index_mapping: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        HDF5Data(path, index_mapping=index_mapping)


def test_the_callers_mapping_is_copied(path: pathlib.Path) -> None:
    rows = [3, 1]
    with HDF5Data(path, index_mapping=rows) as data:
        ppid = data.get_ppid()
        rows.append(7)
        assert data.index_mapping == [3, 1]
        assert data.get_ppid() == ppid
        assert len(data) == 2


@pytest.mark.parametrize("how", ["str", "path", "h5py", "file", "bytesio", "relative"])
def test_ways_to_open(
    path: pathlib.Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    target = {
        "str": lambda: str(path),
        "path": lambda: path,
        "h5py": lambda: h5py.File(path),
        "file": lambda: path.open("rb"),
        "bytesio": lambda: io.BytesIO(path.read_bytes()),
        "relative": lambda: path.name,
    }[how]()
    with HDF5Data(target) as data:
        monkeypatch.chdir("/")
        assert len(data) == 40
        assert data.image[39].mean() == pytest.approx(178.8, abs=20)
        assert data["deform"][0] == pytest.approx(0.0740, abs=0.05)
        assert data.md5_5m == dcread.md5sum(path, 65536, 80)
        if how in ("file", "bytesio"):
            assert data.path is target
        else:
            assert data.path.resolve() == path.resolve()
    if how in ("h5py", "file"):
        assert target  # an h5py file is true while it is open
        target.close()


def test_home_is_expanded(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(path.parent))
    with HDF5Data(f"~/{path.name}") as data:
        assert data.path == path


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_cache_size", 0), ("image_chunk_size", 0), ("image_chunk_size", -1)],
)
def test_sizes_that_are_too_small(path: pathlib.Path, name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        HDF5Data(path, **{name: value})


@pytest.mark.parametrize("wanted", [1, 9, 39, 40, 41, 79, 80, 99, 200, 1000])
def test_chunk_size_is_aligned_as_in_dcnum(
    real_file: pathlib.Path, wanted: int
) -> None:
    peer = pytest.importorskip("dcnum.read")
    with peer.HDF5Data(real_file, image_chunk_size=wanted) as theirs:
        expected = theirs.image_chunk_size, theirs.image_num_chunks
    with HDF5Data(real_file, image_chunk_size=wanted) as data:
        assert (data.image_chunk_size, data.image_num_chunks) == expected


def test_contiguous_images_are_not_aligned(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "contiguous.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/image"] = np.zeros((25, 4, 6), np.uint8)
    with HDF5Data(path, image_chunk_size=10) as data:
        assert data.image_chunk_size == 10
        assert data.image_num_chunks == 3
        assert data.image.num_chunks == 3


def test_positional_order(path: pathlib.Path) -> None:
    logs, tables = {"a": ["b"]}, {"t": np.arange(2)}
    data = HDF5Data(path, 0.5, "sum", {"x:y": 1}, [], logs, tables, 3, 80, 7)
    with data:
        assert data.pixel_size == 0.5
        assert data.md5_5m == "sum"
        assert data.meta == {"x:y": 1, "imaging:pixel size": 0.5}
        assert data.basins == []
        assert data.logs == logs
        assert data.tables == tables
        assert data.image_cache_size == data.image.cache_size == 3
        assert data.image_chunk_size == 80
        assert data.index_mapping == 7


def test_reading_local_data_imports_nothing_for_networks(image_path, run_python):
    code = """
import sys
import dcread

with dcread.HDF5Data(sys.argv[1]) as hd:
    hd.image[1], hd["image"][:3], hd.logs, hd.tables, hd.basins, hd.keys()
print({"ssl", "http.client", "urllib.request"} & set(sys.modules))
"""
    assert run_python(code, image_path).stdout == "set()\n"
