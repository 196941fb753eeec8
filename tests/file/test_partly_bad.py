"""What is partly bad costs only itself, in the file and through a basin alike."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from dcread import (
    DCReadError,
    FormatError,
    HDF5Data,
    Policy,
    PolicyError,
    ShapeMismatchError,
)

Write = Callable[[Callable[[h5py.Group], None]], pathlib.Path]


@pytest.fixture(params=["own", "basin"])
def write(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Write:
    """Write 20 events; return the file itself, or one that has it as its basin."""

    def make(fill: Callable[[h5py.Group], None]) -> pathlib.Path:
        source = tmp_path / "source.rtdc"
        with h5py.File(source, "w") as h5:
            h5.attrs["experiment:event count"] = 20
            h5["events/deform"] = np.arange(20.0)
            h5["events/pos_x"] = np.arange(20.0)
            fill(h5["events"])
        if request.param == "own":
            return source
        path = tmp_path / "referrer.rtdc"
        definition = {"type": "file", "format": "hdf5", "paths": [str(source)]}
        with h5py.File(path, "w") as h5:
            h5.attrs["experiment:event count"] = 20
            h5["events/area_um"] = np.arange(20.0)
            h5["basins/b"] = np.array([json.dumps(definition).encode()])
        return path

    return make


def test_one_bad_trace(write: Write, tmp_path: pathlib.Path) -> None:
    def fill(events: h5py.Group) -> None:
        trace = events.create_group("trace")
        trace["good"] = np.arange(60).reshape(20, 3)
        trace["long"] = np.zeros((22, 3))
        trace["single"] = 5.0
        trace["text"] = np.array(["a"] * 20, dtype=object)
        trace["elsewhere"] = h5py.ExternalLink(str(tmp_path / "x.h5"), "/x")
        trace["nowhere"] = h5py.SoftLink("/gone")
        trace["group/inner"] = np.zeros((20, 3))

    with HDF5Data(write(fill)) as hd:
        assert hd["trace"]["good"][1].tolist() == [3, 4, 5]
        for name, error in (
            ("long", ShapeMismatchError),
            ("single", FormatError),
            ("text", FormatError),
            ("elsewhere", PolicyError),
            ("nowhere", DCReadError),
            ("group", FormatError),
        ):
            with pytest.raises(error, match=name):
                hd["trace"][name][:]


def test_missing_and_odd_contours(write: Write) -> None:
    def fill(events: h5py.Group) -> None:
        for number in (0, 2, 19):
            events[f"contour/{number}"] = np.full((4, 2), number)
        events["contour/3"] = np.zeros(4)
        events["contour/4"] = np.zeros((4, 3))
        events["contour/5"] = h5py.SoftLink("/gone")

    with HDF5Data(write(fill)) as hd:
        contour = hd["contour"]
        assert len(contour) == 20
        for number in (0, 2, 19, -1):
            assert contour[number][0].tolist() == [number % 20] * 2
        with pytest.raises(FormatError, match="no contour for event 1 "):
            contour[1]
        for number in (3, 4):
            with pytest.raises(FormatError, match=r"expected \(points, 2\)"):
                contour[number]
        with pytest.raises(FormatError, match="event 5"):
            contour[5]


def broken_off(events: h5py.Group) -> None:
    events["image"] = np.ones((18, 4, 5), "u1")
    events["bright_avg"] = np.arange(19.0)
    events["bright_sd"] = np.arange(25.0)
    events["trace/short"] = np.zeros((18, 3))


@pytest.mark.parametrize("chosen", [slice(0, 18), [17, 3, 3], 18])
def test_events_that_all_features_have(chosen: object, write: Write) -> None:
    count = len(np.arange(18)[chosen if chosen != 18 else slice(18)])  # type: ignore[call-overload]
    with HDF5Data(write(broken_off), index_mapping=chosen) as hd:
        assert hd["image"][:].shape == (count, 4, 5)
        expected = hd["deform"].tolist()
        assert hd["bright_avg"].tolist() == expected
        assert hd["bright_sd"].tolist() == expected
        assert hd["trace"]["short"][:].shape == (count, 3)


@pytest.mark.parametrize("chosen", [None, slice(0, 19), [18]])
def test_events_that_some_features_lack(chosen: object, write: Write) -> None:
    with HDF5Data(write(broken_off), index_mapping=chosen) as hd:
        assert hd["deform"].size
        for read in (lambda: hd["image"], lambda: hd["trace"]["short"]):
            with pytest.raises(DCReadError, match="18"):
                read()
        if chosen is None:
            with pytest.raises(DCReadError, match="25"):
                hd["bright_sd"]


def test_members_that_claim_more_than_the_file_can_hold(write: Write) -> None:
    def fill(events: h5py.Group) -> None:
        trace = events.create_group("trace")
        for name, samples in (("huge", 2**30), ("long", 2**26), ("sparse", 1000)):
            trace.create_dataset(
                name, shape=(20, samples), dtype="i2", chunks=(1, min(samples, 1000))
            )
        events.create_dataset("contour/0", shape=(2**30, 2), dtype="i2", chunks=(9, 2))
        events["contour/1"] = np.ones((3, 2))

    with HDF5Data(write(fill)) as hd:
        for name in ("huge", "long"):
            with pytest.raises(FormatError, match="more than the file can hold"):
                hd["trace"][name][:]
        assert hd["trace"]["sparse"][3:5].shape == (2, 1000)
        with pytest.raises(FormatError, match="more than the file can hold"):
            hd["contour"][0]
        assert hd["contour"][1].tolist() == [[1, 1]] * 3


def test_links_to_groups_are_followed_as_links_to_datasets(
    write: Write, tmp_path: pathlib.Path
) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as h5:
        h5["trace/fl1_raw"] = np.ones((20, 3))

    def fill(events: h5py.Group) -> None:
        events["trace"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/trace")

    path = write(fill)
    with HDF5Data(path) as hd, pytest.raises(DCReadError, match="links=True"):
        hd["trace"]
    with HDF5Data(path, policy=Policy(links=True)) as hd:
        assert hd["trace"]["fl1_raw"][:].sum() == 60
