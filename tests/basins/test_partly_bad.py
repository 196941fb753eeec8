"""What is partly bad costs the same in a basin as in the file itself."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

import dcread
from dcread.errors import ChecksumError, DCReadError, FormatError, ShapeMismatchError

from .conftest import RAMP
from .dcor_server import Server

Write = Callable[..., pathlib.Path]
Make = Callable[..., dict[str, Any]]
Fault = Callable[[h5py.File], None]

FRAMES = np.random.default_rng(8).integers(0, 255, (5, 20, 30)).astype(np.uint8)
CONTOURS = [np.full((4, 2), event, np.int16) for event in range(5)]


@pytest.fixture(params=["own", "file", "mapped", "http"])
def opened(
    request: pytest.FixtureRequest,
    tmp_path: pathlib.Path,
    write_file: Write,
    file_basin: Make,
    server: Server,
) -> Iterator[Callable[..., dcread.HDF5Data]]:
    """Open a file with a fault, or a measurement that has it as a basin."""
    found: list[dcread.HDF5Data] = []

    def open_(fault: Fault) -> dcread.HDF5Data:
        source = tmp_path / "source.rtdc"
        with h5py.File(source, "w") as h5:
            h5.attrs["experiment:event count"] = 5
            h5["events/deform"] = RAMP
            h5["events/area_um"] = RAMP + 1
            options = {"chunks": (1, 20, 30), "fletcher32": True}
            h5.create_dataset(
                "events/image", data=FRAMES, **options, **hdf5plugin.Zstd()
            )
            for event, contour in enumerate(CONTOURS):
                h5[f"events/contour/{event}"] = contour
            for name in ("fl1_raw", "fl2_raw"):
                h5[f"events/trace/{name}"] = FRAMES[:, 0]
        with h5py.File(source, "a") as h5:
            fault(h5)
        way, policy = request.param, dcread.Policy(hosts=[server.url])
        path = source
        if way in ("file", "mapped"):
            maps = {"basinmap0": np.arange(5)} if way == "mapped" else {}
            more = {"mapping": "basinmap0"} if way == "mapped" else {}
            path = write_file("ref.rtdc", maps, [file_basin(source, **more)])
        elif way == "http":
            server.files["/source.rtdc"] = source.read_bytes()
            urls = [f"{server.url}/source.rtdc"]
            web = {"type": "remote", "format": "http", "name": "web", "urls": urls}
            path = write_file("ref.rtdc", {}, [web])
        found.append(dcread.HDF5Data(path, policy=policy))
        return found[-1]

    yield open_
    for hd in found:
        hd.close()


def check_rest(hd: dcread.HDF5Data, *but: str) -> None:
    """Read all that has no fault."""
    assert len(hd) == 5
    for name, right in (("deform", RAMP), ("area_um", RAMP + 1), ("image", FRAMES)):
        if name not in but:
            assert np.array_equal(hd[name][:], right)
    if "contour" not in but:
        for event, right in enumerate(CONTOURS):
            assert np.array_equal(hd["contour"][event], right)
    if "trace" not in but:
        for name in ("fl1_raw", "fl2_raw"):
            assert np.array_equal(hd["trace"][name][:], FRAMES[:, 0])


def test_without_a_fault(opened: Callable[..., dcread.HDF5Data]) -> None:
    hd = opened(lambda h5: None)
    check_rest(hd)
    assert hd.problems == []


def test_damaged_chunk_costs_its_events(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    def damage(h5: h5py.File) -> None:
        dataset = h5["events/image"].id
        mask, data = dataset.read_direct_chunk((2, 0, 0))
        bad = bytearray(data)
        bad[len(bad) // 2] ^= 255
        dataset.write_direct_chunk((2, 0, 0), bytes(bad), mask)

    hd = opened(damage)
    good = [0, 1, 3, 4]
    assert np.array_equal(hd.image[good], FRAMES[good])
    for event in good:
        assert np.array_equal(hd["image"][event], FRAMES[event])
    for index in (2, slice(None), [2, 0]):
        with pytest.raises(ChecksumError, match=r"source\.rtdc.*event"):
            hd["image"][index]
    check_rest(hd, "image")
    assert np.array_equal(hd.image[4], FRAMES[4])


def test_trace_of_another_length_costs_itself(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    def shorten(h5: h5py.File) -> None:
        del h5["events/trace/fl2_raw"]
        h5["events/trace/fl2_raw"] = FRAMES[:3, 0]

    hd = opened(shorten)
    assert np.array_equal(hd["trace"]["fl1_raw"][:], FRAMES[:, 0])
    with pytest.raises(ShapeMismatchError, match="fl2_raw"):
        hd["trace"]["fl2_raw"]
    check_rest(hd, "trace")


def test_missing_contour_costs_its_event(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    def remove(h5: h5py.File) -> None:
        del h5["events/contour/3"]

    hd = opened(remove)
    for event in (0, 1, 2, 4):
        assert np.array_equal(hd["contour"][event], CONTOURS[event])
    with pytest.raises(FormatError, match="no contour for event 3"):
        hd["contour"][3]
    check_rest(hd, "contour")


def short(h5: h5py.File) -> None:
    del h5["events/area_um"]
    h5["events/area_um"] = RAMP[:3]


def group(h5: h5py.File) -> None:
    del h5["events/area_um"]
    h5["events/area_um/inner"] = RAMP


def text(h5: h5py.File) -> None:
    del h5["events/area_um"]
    h5["events/area_um"] = np.array(["a"] * 5, h5py.string_dtype())


def single(h5: h5py.File) -> None:
    del h5["events/area_um"]
    h5["events/area_um"] = 1.5


def elsewhere(h5: h5py.File) -> None:
    del h5["events/area_um"]
    h5["events/area_um"] = h5py.ExternalLink("other.rtdc", "/events/area_um")


def dangling(h5: h5py.File) -> None:
    del h5["events/area_um"]
    h5["events/area_um"] = h5py.SoftLink("/nowhere")


@pytest.mark.parametrize(
    ("fault", "telling"),
    [
        (short, "3"),
        (group, "expected a dataset, found a group"),
        (text, "expected numbers|should hold numbers"),
        (single, "a single value"),
        (elsewhere, "link"),
        (dangling, "not found"),
    ],
)
def test_bad_feature_costs_itself(
    opened: Callable[..., dcread.HDF5Data], fault: Fault, telling: str
) -> None:
    hd = opened(fault)
    for _ in range(2):
        with pytest.raises(DCReadError, match=telling) as caught:
            hd["area_um"]
        assert "area_um" in str(caught.value)
    found = hd.explain("area_um")
    assert not found.available
    assert found.reason
    check_rest(hd, "area_um")
