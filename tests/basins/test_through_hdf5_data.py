"""Basins as the user meets them: through `HDF5Data`."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, Policy
from dcread.errors import BasinIdentifierMismatchError, ClosedError

Write = Callable[..., pathlib.Path]
Make = Callable[..., dict[str, Any]]

IMAGES = np.arange(6 * 4 * 5, dtype="u1").reshape(6, 4, 5)
DEFORM = np.linspace(0, 1, 6)
ROWS = np.array([5, 0, 0, 3, 2])


@pytest.fixture
def source(write_file: Write) -> pathlib.Path:
    events = {"image": IMAGES, "deform": DEFORM, "mask": (IMAGES > 20) * np.uint8(255)}
    path = write_file("src.rtdc", events, identifier="A", count=6)
    with h5py.File(path, "r+") as h5:
        h5["events/trace/fl1_raw"] = np.arange(60).reshape(6, 10)
        for number in range(6):
            h5[f"events/contour/{number}"] = np.full((3, 2), number)
    return path


@pytest.fixture
def nested(source: pathlib.Path, write_file: Write, file_basin: Make) -> pathlib.Path:
    """A file that maps a file that has the features from a third."""
    write_file("mid.rtdc", {}, [file_basin("src.rtdc")], identifier="A", count=6)
    return write_file(
        "ref.rtdc",
        {"basinmap0": ROWS},
        [file_basin(r"C:\lost\mid.rtdc", mapping="basinmap0")],
        identifier="A_sel",
    )


def test_all_kinds_of_features_through_two_files(nested: pathlib.Path) -> None:
    with HDF5Data(nested) as hd:
        assert len(hd) == 5
        expected = ["basinmap0", "contour", "deform", "image", "mask", "trace"]
        assert hd.keys() == expected
        assert np.array_equal(hd["image"][:], IMAGES[ROWS])
        assert np.array_equal(hd.image[3], IMAGES[3])
        assert np.array_equal(hd["deform"], DEFORM[ROWS])
        assert hd["mask"].dtype == bool
        assert np.array_equal(hd["mask"][0], IMAGES[5] > 20)
        assert np.array_equal(hd["trace"]["fl1_raw"][0], np.arange(50, 60))
        assert np.array_equal(hd["contour"][3], np.full((3, 2), 3))
        (record,) = hd.basin_status()
        assert record.available is True
        assert record.location == str(nested.with_name("mid.rtdc"))
        assert hd.problems == []


def test_index_mapping_on_top(nested: pathlib.Path) -> None:
    with HDF5Data(nested, index_mapping=slice(-2, None)) as hd:
        assert np.array_equal(hd["image"][:], IMAGES[ROWS[-2:]])
        assert np.array_equal(hd["deform"], DEFORM[ROWS[-2:]])
        assert np.array_equal(hd["trace"]["fl1_raw"][1], np.arange(20, 30))
        assert hd.get_basin_data(0)[2].tolist() == ROWS[-2:].tolist()


def test_error_names_every_basin_that_was_asked(
    nested: pathlib.Path, source: pathlib.Path
) -> None:
    source.unlink()
    with HDF5Data(nested) as hd:
        assert "image" not in hd
        with pytest.raises(KeyError) as caught:
            hd["image"]
        text = str(caught.value)
        for part in ("'image'", "ref.rtdc", "raw data", "no file at", str(source)):
            assert part in text
        assert hd.image is None


def test_mismatch_leaves_the_rest_readable(
    source: pathlib.Path, write_file: Write, file_basin: Make
) -> None:
    basin = file_basin(source, identifier="B")
    path = write_file("ref.rtdc", {"area_um": DEFORM}, [basin], count=6)
    with HDF5Data(path) as hd:
        assert hd.keys() == ["area_um"]
        assert np.array_equal(hd["area_um"], DEFORM)
        with pytest.raises(BasinIdentifierMismatchError, match="does not match"):
            hd["image"]
        assert any("does not match" in problem.reason for problem in hd.problems)


def test_policy_of_the_measurement(nested: pathlib.Path) -> None:
    with HDF5Data(nested, policy=Policy(nested=False)) as hd:
        assert hd.keys() == ["basinmap0"]
    with HDF5Data(nested, policy=Policy(local=False)) as hd:
        assert hd.keys() == ["basinmap0"]
        assert "Policy(local=False)" in hd.basin_status()[0].reason
    with HDF5Data(nested, policy=Policy(local="beside")) as hd:
        assert "image" in hd


def test_closing_closes_basins(nested: pathlib.Path, source: pathlib.Path) -> None:
    hd = HDF5Data(nested)
    image = hd["image"]
    assert image[0].tolist() == IMAGES[5].tolist()
    hd.close()
    with pytest.raises(ClosedError):
        hd["deform"]
    with pytest.raises(ClosedError):
        hd.basin_status()
    # Nothing keeps the basin open: it can be truncated and written again.
    with h5py.File(source, "w") as h5:
        h5["events/deform"] = DEFORM


def test_broken_definitions_never_keep_a_file_from_opening(
    write_file: Write, file_basin: Make
) -> None:
    basins = [file_basin("x", features=3), {"type": 5}, [1], {"type": "tape"}]
    path = write_file("ref.rtdc", {"deform": DEFORM}, basins, count=6)
    with h5py.File(path, "r+") as h5:
        h5["basins/worse"] = np.array([b"{" * 1000])
    with HDF5Data(path) as hd:
        assert np.array_equal(hd["deform"], DEFORM)
        assert hd.keys() == ["deform"]
        assert len(hd.basin_status()) == 5
        assert not any(record.available for record in hd.basin_status())
        assert len([item for item in hd.problems if item.kind == "basin"]) == 5
