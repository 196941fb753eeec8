"""What is no measurement: the right error, with the file's name in it."""

from __future__ import annotations

import io
import os
import pathlib
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, flicker_report
from dcread.errors import (
    ClosedError,
    DCReadError,
    FileMissingError,
    FormatError,
    NotAFileError,
)


def test_missing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "absent.rtdc"
    with pytest.raises(FileMissingError, match=r"absent\.rtdc") as caught:
        HDF5Data(path)
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a measurement\n" * 100, b"\x89HDF\r\n\x1a\n", os.urandom(5000)],
    ids=["empty", "text", "signature only", "random"],
)
def test_no_hdf5(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "odd.rtdc"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"odd\.rtdc") as caught:
        HDF5Data(path)
    assert isinstance(caught.value, OSError)
    assert path.read_bytes() == content


def test_truncated(data_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "short.rtdc"
    whole = (data_dir / "fl_2018.rtdc").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match=r"short\.rtdc"):
        HDF5Data(path)


def test_directory(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NotAFileError, match=tmp_path.name):
        HDF5Data(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_fifo_is_refused_and_not_waited_for(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "pipe.rtdc"
    os.mkfifo(path)
    with pytest.raises(NotAFileError, match=r"pipe\.rtdc"):
        HDF5Data(path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no devices here")
def test_device() -> None:
    with pytest.raises(NotAFileError, match="/dev/zero"):
        HDF5Data("/dev/zero")


def test_file_object_without_hdf5() -> None:
    with pytest.raises(FormatError, match="file object"):
        HDF5Data(io.BytesIO(b"nothing"))


@pytest.mark.parametrize("target", [None, 5, 1.5, ["a.rtdc"]])
def test_what_cannot_be_opened(target: object) -> None:
    with pytest.raises((TypeError, DCReadError)):
        HDF5Data(target)  # type: ignore[arg-type]


def test_closed_h5py_file(tmp_path: pathlib.Path) -> None:
    h5 = h5py.File(tmp_path / "a.rtdc", "w")
    h5.close()
    with pytest.raises(ClosedError, match="closed"):
        HDF5Data(h5)


def test_without_events(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:sample"] = "mine"
        h5["logs/a"] = ["line"]
        h5["weights"] = np.arange(3)
    with HDF5Data(path) as data:
        assert data.keys() == []
        assert data.meta == {"experiment:sample": "mine"}
        assert data.logs == {"a": ["line"]}
        assert data.image is None
        assert len(data) == data.image_num_chunks == 0
        kinds = [problem.kind for problem in data.problems]
        assert kinds == ["feature", "length"]
        assert "expected a group '/events'" in data.problems[0].reason
        with pytest.raises(KeyError, match=r"other\.h5"):
            data["deform"]


def test_events_are_no_group(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "odd.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 3
        h5["events"] = np.arange(3)
    with HDF5Data(path) as data:
        assert data.keys() == []
        assert len(data) == 3
        assert [problem.name for problem in data.problems] == ["/events"]
        assert "group" in data.problems[0].reason
        with pytest.raises(KeyError, match="should be a group"):
            data["image"]
        with pytest.raises(KeyError, match=r"no feature 'image'.*should be a group"):
            flicker_report(data)


def test_empty_hdf5(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "empty.rtdc"
    h5py.File(path, "w").close()
    with HDF5Data(path) as data:
        assert (len(data), data.keys(), data.meta) == (0, [], {})
        assert data.logs == data.tables == {}
        assert data.basins == []
        assert data.pixel_size == 0


def test_an_error_leaves_nothing_open(
    data_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    open_files: Callable[[], set[pathlib.Path]],
) -> None:
    path = tmp_path / "copy.rtdc"
    path.write_bytes((data_dir / "fl_2018.rtdc").read_bytes())
    with pytest.raises(ValueError, match="Invalid type"):
        HDF5Data(path, index_mapping="no")
    assert path not in open_files()
