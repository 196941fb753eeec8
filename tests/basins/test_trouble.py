"""Basins that go away in the middle, are replaced, damaged, expire or hang."""

from __future__ import annotations

import os
import pathlib
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

import dcread
from dcread.basins import Basin, BasinManager
from dcread.engine.metadata_blocks import store
from dcread.errors import DCReadError

from .conftest import RAMP
from .dcor_server import Server

Write = Callable[..., pathlib.Path]
Make = Callable[..., dict[str, Any]]

FRAMES = np.random.default_rng(5).integers(0, 255, (5, 200, 300)).astype(np.uint8)
LIMITS = dcread.NetworkLimits(connect=0.5, read=0.5, total=1.0)
PATIENT = dcread.NetworkLimits(connect=5, read=5, total=5)


def write_frames(path: pathlib.Path, frames: Any = FRAMES) -> pathlib.Path:
    """Write a file with one checksummed chunk for each image, 300 kB in all."""
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 5
        h5["events/deform"] = RAMP
        options = {"chunks": (1, 200, 300), "fletcher32": True, **hdf5plugin.Zstd(1)}
        h5.create_dataset("events/image", data=frames, **options)
    return path


@pytest.fixture
def frames(tmp_path: pathlib.Path) -> pathlib.Path:
    return write_frames(tmp_path / "frames.rtdc")


@pytest.fixture
def web(
    server: Server, frames: pathlib.Path, write_file: Write
) -> Iterator[Callable[..., dcread.HDF5Data]]:
    """Open a measurement with a basin on the server, which may have several URLs."""
    server.files["/frames.rtdc"] = server.files["/copy.rtdc"] = frames.read_bytes()
    opened: list[dcread.HDF5Data] = []

    def open_(*names: str, limits: dcread.NetworkLimits = LIMITS) -> dcread.HDF5Data:
        urls = [f"{server.url}/{name}" for name in names or ("frames.rtdc",)]
        basin = {"type": "remote", "format": "http", "name": "web", "urls": urls}
        path = write_file("ref.rtdc", {"area_um": RAMP}, [{**basin, "features": None}])
        policy = dcread.Policy(hosts=[server.url], network=limits)
        opened.append(dcread.HDF5Data(path, policy=policy))
        return opened[-1]

    yield open_
    for hd in opened:
        hd.close()


def drop(path: str) -> None:
    raise ConnectionError


def check_own_features(hd: dcread.HDF5Data) -> None:
    start = time.monotonic()
    assert hd["area_um"].tolist() == RAMP.tolist()
    assert "area_um" in hd
    assert time.monotonic() - start < 4


def test_server_that_goes_away_while_reading(
    server: Server, web: Callable[..., dcread.HDF5Data]
) -> None:
    hd = web()
    image = hd["image"]
    assert np.array_equal(image[0], FRAMES[0])
    server.before = drop
    with pytest.raises(dcread.RemoteError, match=r"frames\.rtdc"):
        image[1:]
    check_own_features(hd)
    server.before = lambda path: None
    assert np.array_equal(image[:], FRAMES)
    assert np.array_equal(hd["image"][4], FRAMES[4])


def test_server_that_is_away_at_first_is_asked_again(
    server: Server,
    web: Callable[..., dcread.HDF5Data],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dcread.basins.entry.RETRY_SECONDS", (0.0, 0.0))
    hd = web()
    server.before = drop
    with pytest.raises(KeyError, match=r"frames\.rtdc"):
        hd["image"]
    assert hd.basin_status()[0].available is False
    check_own_features(hd)
    server.before = lambda path: None
    assert np.array_equal(hd["image"][:], FRAMES)
    assert hd.basin_status()[0].available is True


def test_next_address_takes_over_at_opening(
    server: Server, web: Callable[..., dcread.HDF5Data]
) -> None:
    def before(path: str) -> None:
        if "frames" in path:
            raise ConnectionError

    server.before = before
    hd = web("frames.rtdc", "copy.rtdc")
    assert np.array_equal(hd["image"][:], FRAMES)
    (record,) = hd.basin_status()
    assert record.location == f"{server.url}/copy.rtdc"
    assert "frames.rtdc" in record.reason


def test_server_that_hangs_costs_its_own_features_only(
    server: Server, web: Callable[..., dcread.HDF5Data], running: Callable[..., Any]
) -> None:
    hd = web(limits=PATIENT)
    going_on, asked = threading.Event(), threading.Event()

    def before(path: str) -> None:
        asked.set()
        going_on.wait(20)

    server.before = before
    with running(lambda: hd["image"], until=dcread.FeatureNotFoundError) as (image,):
        try:
            assert asked.wait(10)
            check_own_features(hd)
            assert hd.basin_status()[0].available is None
            assert hd.problems == []
            assert not image.done()  # (nobody waited for it)
            assert "frames.rtdc" in str(image.exception(20))
        finally:
            going_on.set()
    server.before = lambda path: None
    check_own_features(hd)


def test_server_that_hangs_while_reading_times_out(
    server: Server, web: Callable[..., dcread.HDF5Data]
) -> None:
    hd = web()
    image = hd["image"]
    assert np.array_equal(image[0], FRAMES[0])
    going_on = threading.Event()
    server.before = lambda path: going_on.wait(20)
    try:
        with pytest.raises(dcread.RemoteError, match=r"frames\.rtdc"):
            image[1:]
        check_own_features(hd)
    finally:
        going_on.set()
    server.before = lambda path: None
    assert np.array_equal(image[:], FRAMES)


def test_close_ends_a_read_that_hangs(
    server: Server, web: Callable[..., dcread.HDF5Data], running: Callable[..., Any]
) -> None:
    hd = web()
    image = hd["image"]
    going_on, asked = threading.Event(), threading.Event()

    def before(path: str) -> None:
        asked.set()
        going_on.wait(20)

    server.before = before

    def read() -> None:
        with pytest.raises((dcread.ClosedError, dcread.RemoteError)):
            image[1:]

    with running(read) as (reading,):
        try:
            assert asked.wait(10)
            start = time.monotonic()
            hd.close()
            reading.result(10)
            assert time.monotonic() - start < 5
        finally:
            going_on.set()


def test_file_that_is_replaced_on_the_server(
    server: Server,
    web: Callable[..., dcread.HDF5Data],
    tmp_path: pathlib.Path,
) -> None:
    hd = web()
    image = hd["image"]
    assert np.array_equal(image[0], FRAMES[0])
    other = write_frames(tmp_path / "other.rtdc", 255 - FRAMES)
    server.files["/frames.rtdc"], server.etag = other.read_bytes(), '"state-two"'
    with pytest.raises(dcread.FileChangedError, match=r"frames\.rtdc changed"):
        image[1:]
    check_own_features(hd)
    hd.refresh()
    assert np.array_equal(hd["image"][:], 255 - FRAMES)


def test_bytes_that_are_damaged_on_the_way(
    server: Server, web: Callable[..., dcread.HDF5Data], frames: pathlib.Path
) -> None:
    hd = web()
    image = hd["image"]
    with h5py.File(frames) as h5:
        place = h5["events/image"].id.get_chunk_info(2)
    whole = server.files["/frames.rtdc"]
    damaged = bytearray(whole)
    damaged[place.byte_offset + place.size // 2] ^= 255
    server.files["/frames.rtdc"] = bytes(damaged)
    store.clear()
    with pytest.raises(dcread.ChecksumError, match=r"frames\.rtdc"):
        image[2]
    assert np.array_equal(image[3:], FRAMES[3:])
    assert np.array_equal(image[:2], FRAMES[:2])
    check_own_features(hd)
    server.files["/frames.rtdc"] = whole
    assert np.array_equal(image[2], FRAMES[2])


@pytest.fixture
def disk(
    frames: pathlib.Path, write_file: Write, file_basin: Make
) -> Iterator[dcread.HDF5Data]:
    """A measurement with a basin on the disk, of which one image was read."""
    path = write_file("ref.rtdc", {"area_um": RAMP}, [file_basin(frames)])
    with dcread.HDF5Data(path) as hd:
        assert np.array_equal(hd["image"][0], FRAMES[0])
        yield hd


def test_file_that_is_removed_can_still_be_read(
    disk: dcread.HDF5Data, frames: pathlib.Path
) -> None:
    frames.unlink()  # (what is open stays)
    assert np.array_equal(disk["image"][:], FRAMES)
    disk.refresh()
    disk.close()
    with dcread.HDF5Data(disk.path) as again:
        with pytest.raises(KeyError, match="no file at"):
            again["image"]
        check_own_features(again)


def test_file_that_is_replaced_on_the_disk(
    disk: dcread.HDF5Data, frames: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = write_frames(tmp_path / "other.rtdc", 255 - FRAMES)
    other.rename(frames)
    assert np.array_equal(disk["image"][1:], FRAMES[1:])  # the file that was opened
    check_own_features(disk)


@pytest.mark.parametrize("how", ["cut", "overwritten"])
def test_file_that_changes_on_the_disk(
    disk: dcread.HDF5Data, frames: pathlib.Path, how: str
) -> None:
    whole = frames.read_bytes()
    with frames.open("r+b") as stream:
        if how == "cut":
            stream.truncate(len(whole) // 2)
        else:
            stream.seek(len(whole) // 2)
            stream.write(bytes(len(whole) // 3))
    os.utime(frames, ns=(1, 1))
    with pytest.raises(DCReadError, match=r"frames\.rtdc"):
        disk["image"][:]
    check_own_features(disk)


def test_next_path_takes_over_from_a_damaged_file(
    frames: pathlib.Path, write_file: Write, file_basin: Make, tmp_path: pathlib.Path
) -> None:
    bad = tmp_path / "bad.rtdc"
    bad.write_bytes(frames.read_bytes()[:5000])
    path = write_file("ref.rtdc", {"area_um": RAMP}, [file_basin(bad, frames)])
    with dcread.HDF5Data(path) as hd:
        assert np.array_equal(hd["image"][:], FRAMES)
        (record,) = hd.basin_status()
        assert record.location == str(frames)
        assert "bad.rtdc" in record.reason


def test_plugin_that_goes_away_while_reading(
    manager: BasinManager,
    plugin: Callable[..., types.ModuleType],
    memory_basin: Callable[..., type[Basin]],
    write_file: Write,
) -> None:
    class Away:
        shape, dtype, is_away = FRAMES.shape, FRAMES.dtype, False

        def __getitem__(self, rows: slice) -> Any:
            if self.is_away:
                raise ConnectionResetError("the store is away")
            return FRAMES[rows]

    array = Away()
    manager.register(plugin(memory_basin(features={"image": array})))
    memory = {"name": "m", "type": "memory", "format": "memory"}
    with dcread.HDF5Data(write_file("ref.rtdc", {"area_um": RAMP}, [memory])) as hd:
        image = hd["image"]
        assert np.array_equal(image[0], FRAMES[0])
        array.is_away = True
        hd.refresh()
        image = hd["image"]
        with pytest.raises(dcread.BasinError, match=r"memory: 'image': Connection"):
            image[1:]
        check_own_features(hd)
        array.is_away = False
        assert np.array_equal(image[:], FRAMES)


def test_plugin_whose_error_has_no_text(
    manager: BasinManager,
    plugin: Callable[..., types.ModuleType],
    memory_basin: Callable[..., type[Basin]],
    write_file: Write,
) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    def fail(_: Basin) -> None:
        raise MuteError

    basin_class = memory_basin(features={"image": FRAMES})
    basin_class.open = fail  # type: ignore[method-assign, assignment]
    manager.register(plugin(basin_class))
    memory = {"name": "m", "type": "memory", "format": "memory", "features": ["image"]}
    with dcread.HDF5Data(write_file("ref.rtdc", {"area_um": RAMP}, [memory])) as hd:
        with pytest.raises(dcread.FeatureNotFoundError, match="MuteError; plugin"):
            hd["image"]
        assert "MuteError" in hd.basin_status()[0].reason
        check_own_features(hd)
