"""What the user is told of each basin."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from dcread.basins import Policy

Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., dict[str, Any]]

RAMP = np.arange(5) * 1.5


def test_one_record_a_basin_in_look_up_order(
    write_file: Write, open_basins: Open, file_basin: Make, internal_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP, "area_um": RAMP}, identifier="A")
    path = write_file(
        "ref.rtdc",
        basins=[
            file_basin("gone.rtdc", name="b gone"),
            file_basin(source, name="a good", features=["deform"], identifier="A"),
            file_basin(source, name="c refused", identifier="B"),
            internal_basin("temp", name="inner"),
            {
                "type": "tape",
                "format": "lto",
                "name": "web",
                "urls": ["https://h/x"],
            },
            {"type": "file", "format": "zarr", "name": "d zarr", "paths": ["x"]},
            {"type": "file", "features": "image", "name": "broken"},
            ["no object"],
        ],
        internal={"temp": RAMP},
        identifier="A",
    )
    opened = open_basins(path)
    records = {record.name: record for record in opened.all_status()}
    assert list(records) == [
        "inner",
        "a good",
        "b gone",
        "c refused",
        "d zarr",
        # What is left out altogether follows, by the key in the file.
        "web",
        "broken",
        "key7",
    ]
    good = records["a good"]
    assert (good.type, good.format) == ("file", "hdf5")
    assert good.location == str(source)
    assert good.available is True
    assert good.reason == ""
    assert good.features == ("deform",)
    assert records["inner"].available is True
    for name, telling in {
        "b gone": "no file at",
        "c refused": "does not match",
        "d zarr": "format 'zarr' (type 'file') is unknown: install",
        "web": "format 'lto' (type 'tape') is unknown: install",
        "broken": "'features' should be a list",
        "key7": "should be a JSON object",
    }.items():
        assert records[name].available is False, name
        assert telling in records[name].reason
        assert not records[name].features
        assert records[name].location is None
    told = {problem.name for problem in opened.problems}
    assert {"b gone", "c refused", "d zarr", "key4", "key6", "key7"} == told


def test_status_after_trouble_names_the_features_that_lack(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP, "area_um": np.arange(3)})
    basin = file_basin(source, features=["deform", "image", "area_um"])
    opened = open_basins(write_file("ref.rtdc", basins=[basin]))
    assert opened.values("area_um") is None
    record = opened.status("raw data")
    assert record.available is True
    assert record.features == ("deform",)
    assert "it lists 'image', but does not have it" in record.reason
    assert "5 events of the file, found 3" in record.reason


def test_basin_with_unusable_map_is_not_available(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    path = write_file(
        "ref.rtdc", {"basinmap0": RAMP}, [file_basin(source, mapping="basinmap0")]
    )
    record = open_basins(path).status("raw data")
    assert record.available is False
    assert "integers" in record.reason


def test_signatures_in_urls_are_shown_nowhere(
    write_file: Write, open_basins: Open
) -> None:
    url = "https://example.org/x.rtdc?X-Amz-Signature=secret#part"
    basins = [
        {"type": "remote", "format": "http", "name": "web", "urls": [url]},
        {"type": "file", "name": url, "paths": [url]},
        {"type": "remote", "format": url, "urls": []},
    ]
    opened = open_basins(write_file("ref.rtdc", basins=basins))
    opened.basins.find("image")
    told = [opened.all_status(), opened.reasons("image"), opened.problems]
    assert "example.org" in str(told)
    assert "secret" not in str(told)


def test_policy_without_remote_is_told(write_file: Write, open_basins: Open) -> None:
    basin = {"type": "remote", "format": "http", "name": "web", "urls": ["https://h"]}
    opened = open_basins(write_file("ref.rtdc", basins=[basin]), Policy(remote=False))
    assert opened.status("web").available is None
    assert opened.basins.find("image") is None
    assert opened.status("web").available is False
    assert opened.reasons("image") != []


def test_definitions_of_the_caller_are_treated_alike(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    given: list[Any] = [
        {"type": "file", "paths": [source]},
        {"type": "file", "paths": 3},
        "nonsense",
    ]
    opened = open_basins(write_file("ref.rtdc"), definitions=given)
    assert opened.values("deform").tolist() == RAMP.tolist()
    good, *bad = opened.all_status()
    assert good.available is True
    assert good.location == str(source)
    assert [record.available for record in bad] == [False, False]
    assert [record.name for record in bad] == ["basin 1", "basin 2"]
    assert given[0] == {"type": "file", "paths": [source]}


def test_file_without_basins_group_has_no_status(
    write_file: Write, open_basins: Open
) -> None:
    path = write_file("ref.rtdc")
    with h5py.File(path) as h5:
        assert "basins" not in h5
    assert open_basins(path).all_status() == []
