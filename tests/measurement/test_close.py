"""After `close`, everything raises `ClosedError`; the caller's file stays open."""

from __future__ import annotations

import gc
import json
import pathlib
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, get_measurement_identifier
from dcread.errors import ClosedError


@pytest.fixture
def path(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "fl_wide-channel_2023.rtdc"


ACCESS: dict[str, Callable[[HDF5Data], object]] = {
    "len": len,
    "keys": HDF5Data.keys,
    "iter": list,
    "in": lambda data: "deform" in data,
    "getitem": lambda data: data["deform"],
    "absent": lambda data: data["peter"],
    "get": lambda data: data.get("peter"),
    "items": lambda data: list(data.items()),
    "values": lambda data: list(data.values()),
    "image": lambda data: data.image,
    "image_bg": lambda data: data.image_bg,
    "image_corr": lambda data: data.image_corr,
    "mask": lambda data: data.mask,
    "image_num_chunks": lambda data: data.image_num_chunks,
    "get_image_cache": lambda data: data.get_image_cache("image"),
    "frame": lambda data: data.features_scalar_frame,
    "meta": lambda data: data.meta,
    "meta_nest": lambda data: data.meta_nest,
    "pixel_size": lambda data: data.pixel_size,
    "set pixel_size": lambda data: setattr(data, "pixel_size", 1.0),
    "logs": lambda data: data.logs,
    "tables": lambda data: data.tables,
    "basins": lambda data: data.basins,
    "basin_status": HDF5Data.basin_status,
    "get_basin_data": lambda data: data.get_basin_data(0),
    "_get_basin_data_file": lambda data: data._get_basin_data_file({"paths": []}),
    "h5": lambda data: data.h5,
    "handle": lambda data: data.handle,
    "md5_5m": lambda data: data.md5_5m,
    "ppid": HDF5Data.get_ppid,
    "raw_length": lambda data: data.raw_length,
    "mapping_indices": HDF5Data.mapping_indices,
    "refresh": HDF5Data.refresh,
    "pickle": HDF5Data.__getstate__,
}


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("name", ACCESS)
def test_every_access_raises(path: pathlib.Path, name: str, used: bool) -> None:
    data = HDF5Data(path)
    if used:
        for value in data.values():
            assert len(value)
        assert data.md5_5m
        assert len(data) == 10
        assert data.problems == []
    data.close()
    with pytest.raises(ClosedError, match=path.name):
        ACCESS[name](data)


def test_closing_twice_and_what_stays(path: pathlib.Path) -> None:
    data = HDF5Data(path)
    assert "closed" not in repr(data)
    data.close()
    data.close()
    assert data.closed
    assert path.name in repr(data)
    assert "closed" in repr(data)
    assert "closed" in data._repr_html_()
    assert data.path == path
    assert data.problems == []


def test_views_held_outside(path: pathlib.Path) -> None:
    with HDF5Data(path) as data:
        image, mask = data.image, data["mask"]
        trace, contour = data["trace"], data["contour"]
        raw = trace["fl1_raw"]
        scalar, meta, logs = data["deform"], data.meta, data.logs
        expected = scalar.copy()
    for ask in (
        lambda: image[0],
        lambda: mask[3],
        lambda: raw[0],
        lambda: trace["fl1_raw"],
        lambda: contour[1],
    ):
        with pytest.raises(ClosedError):
            ask()
    # What was handed out as plain values stays as it is.
    np.testing.assert_array_equal(scalar, expected)
    assert meta["experiment:event count"] == 10
    assert list(logs) == ["dclab-compress"]


def test_with_block_closes_after_an_error(path: pathlib.Path) -> None:
    with pytest.raises(RuntimeError, match="mine"), HDF5Data(path) as data:
        raise RuntimeError("mine")
    assert data.closed


def test_the_callers_file_stays_open(path: pathlib.Path) -> None:
    with h5py.File(path) as h5:
        data = HDF5Data(h5)
        assert data.h5 is h5
        assert len(data) == 10
        image = data.image
        data.close()
        assert h5["events/deform"].shape == (10,)
        with pytest.raises(ClosedError):
            image[0]
        with pytest.raises(ClosedError):
            data["deform"]


def test_the_caller_may_close_first(path: pathlib.Path) -> None:
    h5 = h5py.File(path)
    data = HDF5Data(h5)
    image = data.image
    h5.close()
    assert data.closed
    for ask in (lambda: data["deform"], lambda: image[0], lambda: data.meta):
        with pytest.raises(ClosedError):
            ask()
    data.close()


def test_a_forgotten_measurement_closes_at_once(
    path: pathlib.Path,
    tmp_path: pathlib.Path,
    open_files: Callable[[], set[pathlib.Path]],
) -> None:
    copy = tmp_path / "copy.rtdc"
    copy.write_bytes(path.read_bytes())
    gc.disable()
    try:
        data = HDF5Data(copy)
        assert data["deform"].shape == (10,)
        assert data["trace"]["fl1_raw"][3].shape == (1203,)
        assert len(data.keys()) == 32
        assert copy in open_files()
        del data
        assert copy not in open_files()
    finally:
        gc.enable()


@pytest.fixture
def small(tmp_path: pathlib.Path) -> pathlib.Path:
    """A small measurement with something of each kind, in part in a basin."""
    definition = {"type": "file", "format": "hdf5", "paths": ["basin.rtdc"]}
    with h5py.File(tmp_path / "basin.rtdc", "w") as h5:
        h5["events/area_um"] = np.arange(6) * 3
        h5["events/image"] = np.arange(120, dtype="u1").reshape(6, 4, 5)
        h5["events/trace/fl1_raw"] = np.ones((6, 4))
    with h5py.File(tmp_path / "own.rtdc", "w") as h5:
        h5["events/mask"] = np.ones((6, 4, 5), "u1")
        h5["events/contour/0"] = np.ones((3, 2))
        h5["events/basinmap0"] = np.array([3, 1, 2, 0, 5, 4])
        h5["basins/one"] = [json.dumps({**definition, "mapping": "basinmap0"})]
        h5.attrs["experiment:event count"] = 6
        h5.attrs["setup:module composition"] = "text"
    return tmp_path / "own.rtdc"


READS: dict[str, Callable[[HDF5Data], object]] = {
    "basin scalar": lambda data: data["area_um"].tolist(),
    "basin image": lambda data: data["image"][1].tolist(),
    "trace": lambda data: data["trace"]["fl1_raw"][1:3].tolist(),
    "masks": lambda data: data.mask[1:].tolist(),
    "mask chunk": lambda data: data.mask.get_chunk(0).tolist(),
    "contour": lambda data: data["contour"][0].tolist(),
    "keys": HDF5Data.keys,
    "meta": lambda data: dict(data.meta),
    "explain": lambda data: data.explain("contour").available,
    "identifier": get_measurement_identifier,
    "absent": lambda data: data.get("peter"),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_closing_at_any_moment(
    small: pathlib.Path, name: str, open_files: Callable[[], set[pathlib.Path]]
) -> None:
    with HDF5Data(small) as data:
        expected = READS[name](data)
    number, closed = 0, True
    while closed:
        number, closed = number + 3, False
        data, left = HDF5Data(small), number

        def count(frame: FrameType, event: str, _: object) -> None:
            nonlocal left, closed
            if event == "call" and frame.f_globals["__name__"].startswith("dcread."):
                left -= 1
                if left == 0:
                    data.close()  # noqa: B023 - called in this turn only
                    closed = True

        sys.setprofile(count)
        try:
            assert READS[name](data) == expected
        except ClosedError:
            assert closed
        finally:
            sys.setprofile(None)
        assert data.closed is closed
        data.close()
        assert not any(found.parent == small.parent for found in open_files())
    assert number > 6


def test_refreshing_while_a_basin_is_asked_for_leaves_nothing_open(
    small: pathlib.Path, open_files: Callable[[], set[pathlib.Path]]
) -> None:
    number, refreshed, held = 0, True, []
    while refreshed:
        number, refreshed = number + 1, False
        data, left = HDF5Data(small), number

        def count(frame: FrameType, event: str, _: object) -> None:
            nonlocal left, refreshed
            if event == "call" and frame.f_globals["__name__"].startswith("dcread."):
                left -= 1
                if left == 0:
                    sys.setprofile(None)
                    data.refresh()  # noqa: B023 - called in this turn only
                    refreshed = True

        sys.setprofile(count)
        try:
            held.append(data["area_um"])
            held.append(data["image"])
        except ClosedError as exc:
            held.append(exc)  # (and the frames that lead to what it was raised in)
        finally:
            sys.setprofile(None)
        data.close()
        assert not any(found.parent == small.parent for found in open_files()), number
    assert number > 50


def test_threads_finish_or_get_closed_error(
    path: pathlib.Path, running: Callable[..., Any]
) -> None:
    data = HDF5Data(path)
    expected = data.image[:].copy()
    started = threading.Barrier(5)

    def read() -> None:
        started.wait()
        while True:
            data.image.cache.clear()
            for event in range(10):
                assert np.array_equal(data.image[event], expected[event])

    with running(*4 * [read], until=ClosedError):
        started.wait()
        time.sleep(0.2)
        data.close()
