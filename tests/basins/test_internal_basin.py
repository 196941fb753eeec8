"""Few rows in the same file for many events."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., dict[str, Any]]

IMAGES = np.arange(2 * 3 * 4, dtype="u1").reshape(2, 3, 4)
MAP = np.array([0, 0, 1, 1, 0])


def test_mapped_rows_of_the_same_file(
    write_file: Write, open_basins: Open, internal_basin: Make
) -> None:
    path = write_file(
        "f.rtdc",
        {"basinmap0": MAP},
        [internal_basin("image_bg", mapping="basinmap0")],
        internal={"image_bg": IMAGES},
    )
    opened = open_basins(path)
    assert opened.features() == {"image_bg"}
    assert np.array_equal(opened.values("image_bg"), IMAGES[MAP])
    assert opened.problems == []
    assert opened.status("inside").location == "basin_events"


def test_internal_basin_comes_before_files(
    write_file: Write, open_basins: Open, internal_basin: Make, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"temp": np.zeros(5)})
    path = write_file(
        "f.rtdc",
        basins=[file_basin(source, name="a"), internal_basin("temp", name="z")],
        internal={"temp": np.ones(5)},
    )
    assert open_basins(path).values("temp").tolist() == [1] * 5


def test_missing_members_are_recorded_and_the_rest_is_served(
    write_file: Write, open_basins: Open, internal_basin: Make
) -> None:
    path = write_file(
        "f.rtdc",
        basins=[internal_basin("temp", "image_bg")],
        internal={"temp": np.ones(5), "not_listed": np.ones(5)},
    )
    opened = open_basins(path)
    assert opened.features() == {"temp"}
    assert opened.values("image_bg") is None
    assert opened.values("not_listed") is None
    assert opened.values("temp").tolist() == [1] * 5
    record = opened.status("inside")
    assert record.available is True
    assert record.features == ("temp",)
    assert "it lists 'image_bg', but does not have it" in record.reason
    assert any("image_bg" in problem.reason for problem in opened.problems)


@pytest.mark.parametrize("case", ["no group", "dataset", "external", "no features"])
def test_unusable_internal_basin_is_recorded(
    case: str, write_file: Write, open_basins: Open, internal_basin: Make
) -> None:
    basin = internal_basin("temp")
    if case == "no features":
        basin["features"] = None
    write_file("other.rtdc", internal={"temp": np.ones(5)})
    path = write_file("f.rtdc", basins=[basin])
    with h5py.File(path, "r+") as h5:
        if case == "dataset":
            h5["basin_events"] = [1]
        elif case == "external":
            h5["basin_events"] = h5py.ExternalLink("other.rtdc", "/basin_events")
        elif case == "no features":
            h5["basin_events/temp"] = np.ones(5)
    opened = open_basins(path)
    assert opened.values("temp") is None
    assert opened.features() == set()
    telling = {
        "no group": "no data at basin_events",
        "dataset": "should be a group",
        "external": "external link",
        "no features": "'features' must be defined",
    }[case]
    assert telling in opened.reasons("temp")[0]
    assert opened.status("inside").available is False


def test_identifiers_do_not_concern_internal_basins(
    write_file: Write, open_basins: Open, internal_basin: Make
) -> None:
    path = write_file(
        "f.rtdc",
        basins=[internal_basin("temp", identifier="something")],
        internal={"temp": np.ones(5)},
        identifier="mine",
    )
    assert open_basins(path).values("temp").tolist() == [1] * 5


def test_another_group_is_read_as_the_definition_says(
    write_file: Write, open_basins: Open, internal_basin: Make
) -> None:
    path = write_file("f.rtdc", basins=[internal_basin("temp", paths=["extra"])])
    with h5py.File(path, "r+") as h5:
        h5["extra/temp"] = np.ones(5)
    opened = open_basins(path)
    assert opened.values("temp").tolist() == [1] * 5
    with pytest.warns(UserWarning, match="Uncommon group name for basin features"):
        opened.get_data(0)
