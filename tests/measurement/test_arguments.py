"""Wrong arguments are named, with what was expected and what was given."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, Policy, concatenated_hdf5_data, md5sum
from dcread.errors import FileMissingError, NotAFileError


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "some.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(10) / 10
        h5["events/image"] = np.zeros((10, 4, 5), np.uint8)
        h5.attrs["experiment:event count"] = 10
    return path


@pytest.mark.parametrize("target", [None, 5, 1.5, ["a.rtdc"], {}])
def test_what_is_no_path(target: Any) -> None:
    expected = rf"`path` must be a path.*got {type(target).__name__}"
    with pytest.raises(TypeError, match=expected):
        HDF5Data(target)


def test_a_group_is_no_file(path: pathlib.Path) -> None:
    with (
        h5py.File(path) as h5,
        pytest.raises(TypeError, match=r"h5py\.File or .* got Group"),
    ):
        HDF5Data(h5["events"])  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["ftp://a.org/b", "gopher://a/b", "file:///b"])
def test_a_url_of_an_unknown_kind(url: str) -> None:
    with pytest.raises(NotAFileError, match=f"{url}: expected a path, or a URL that"):
        HDF5Data(url)


def test_a_home_folder_that_is_none() -> None:
    with pytest.raises(FileMissingError, match=r"~nobody-of-that-name/a.*home folder"):
        HDF5Data("~nobody-of-that-name/a.rtdc")


@pytest.mark.parametrize(
    "use",
    [
        md5sum,
        lambda path: concatenated_hdf5_data([path, path]),
        lambda path: Policy(local="roots", roots=[path]),
    ],
    ids=["md5sum", "concat", "policy"],
)
def test_no_such_home_folder(use: Callable[[str], object]) -> None:
    with pytest.raises(FileMissingError, match=r"~nobody-of-that-name/a.*home folder"):
        use("~nobody-of-that-name/a.rtdc")


@pytest.mark.parametrize("kind", [str, os.fsencode, pathlib.Path, io.FileIO])
def test_all_kinds_of_paths_open(path: pathlib.Path, kind: Any) -> None:
    target = kind(path)
    with (
        HDF5Data(target) as hd,
        target if isinstance(target, io.FileIO) else contextlib.nullcontext(),
    ):
        assert len(hd) == 10
        if kind is not io.FileIO:
            assert hd.path == path


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("image_cache_size", 1.5, "image_cache_size must be an integer, got float"),
        ("image_chunk_size", "9", "image_chunk_size must be an integer, got str"),
        ("pixel_size", "x", r"pixel_size must be a number \(in µm\), got str"),
        ("pixel_size", [0.3], "pixel_size must be a number"),
        ("meta", 3, r"`meta` must be a dictionary, got int \(3\)"),
        ("logs", ["a"], "`logs` must be a dictionary, got list"),
        ("tables", "t", "`tables` must be a dictionary, got str"),
        ("basins", {}, "`basins` must be a list of dictionaries, got dict"),
        ("basins", 3, "`basins` must be a list of dictionaries, got int"),
        ("policy", "beside", r"`policy` must be a dcread.Policy, got str"),
    ],
)
def test_of_another_type(
    path: pathlib.Path, name: str, value: Any, expected: str
) -> None:
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(TypeError, match=expected):
        HDF5Data(path, **arguments)


def test_pixel_size_that_is_set_later(path: pathlib.Path) -> None:
    with HDF5Data(path) as hd:
        with pytest.raises(TypeError, match="pixel_size must be a number"):
            hd.pixel_size = "0.34 µm"  # type: ignore[assignment]
        assert hd.pixel_size == 0


@pytest.mark.parametrize(
    ("mapping", "error"),
    [
        ([0, 10], IndexError),
        ([-11], IndexError),
        (np.ones(9, bool), IndexError),
        ([2**70], IndexError),
        ([0.5], ValueError),
        (slice(0, 5, 0), ValueError),
        ("first", ValueError),
    ],
)
def test_an_index_mapping_that_does_not_fit_names_the_file(
    path: pathlib.Path, mapping: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"some\.rtdc: .*index") as caught:
        HDF5Data(path, index_mapping=mapping)
    assert type(caught.value) is error
