"""The documented triple, held against the peer where the peer is right."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import dcnum.read
import h5py
import numpy as np
import pytest

from dcread.errors import BasinIdentifierMismatchError

Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., dict[str, Any]]

RAMP = np.arange(5) * 1.5
MAP = np.array([4, 4, 0, 2, 1])


@pytest.fixture
def both(
    write_file: Write, open_basins: Open, file_basin: Make, internal_basin: Make
) -> Callable[..., tuple[Any, Any]]:
    """Open the same file with dcread's basins and with the peer."""

    def open_(index_mapping: Any = None) -> tuple[Any, Any]:
        source = write_file("src.rtdc", {"deform": RAMP, "area_um": RAMP + 1})
        path = write_file(
            "ref.rtdc",
            {"basinmap0": MAP, "basinmap1": MAP % 2},
            [
                file_basin(source, name="a"),
                file_basin(source, name="b", features=["area_um"], mapping="basinmap0"),
                file_basin("gone.rtdc", name="c", mapping="basinmap0"),
                internal_basin("temp", name="z", mapping="basinmap1"),
            ],
            internal={"temp": np.array([10.0, 20.0])},
        )
        ours = open_basins(path, index_mapping=index_mapping)
        return ours, dcnum.read.HDF5Data(path, index_mapping=index_mapping)

    return open_


@pytest.mark.parametrize("index_mapping", [None, slice(1, 4), [0, 2, 4]])
def test_triples_equal_those_of_the_peer(
    index_mapping: Any, both: Callable[..., tuple[Any, Any]]
) -> None:
    ours, theirs = both(index_mapping)
    assert [raw["name"] for raw in theirs.basins] == ["z", "a", "b", "c"]
    with theirs:
        for index in (0, 1, 2, 3, -1):
            group, features, mapping = ours.get_data(index)
            group2, features2, mapping2 = theirs.get_basin_data(index)
            assert features == features2
            assert np.array_equal(mapping, mapping2)
            assert type(mapping) is type(mapping2)
            if group2 is None:
                assert group is None
                continue
            assert group.name == group2.name
            assert sorted(group) == sorted(group2)
            for name in features:
                assert np.array_equal(group[name][:], group2[name][:])
        assert ours.features() == set(theirs.keys()) - set(theirs.h5["events"])


def test_triple_is_kept(both: Callable[..., tuple[Any, Any]]) -> None:
    ours, _ = both()
    assert ours.get_data(1)[0] is ours.get_data(1)[0]


@pytest.mark.parametrize("index", [4, -5, 100])
def test_index_out_of_range(index: int, both: Callable[..., tuple[Any, Any]]) -> None:
    ours, _ = both()
    with pytest.raises(IndexError, match=f"no basin {index}: 4 basins are defined"):
        ours.get_data(index)


def test_unknown_type_is_the_peers_error(write_file: Write, open_basins: Open) -> None:
    path = write_file("ref.rtdc")
    raw = {"type": "tape", "name": "n", "urls": []}
    opened = open_basins(path, definitions=[raw])
    with dcnum.read.HDF5Data(path, meta={}, logs={}, tables={}, basins=[raw]) as hd:
        for ask in (opened.get_data, hd.get_basin_data):
            with pytest.raises(ValueError, match="Invalid basin type 'tape'"):
                ask(0)
    assert opened.features() == set()


def test_internal_basin_without_features_is_the_peers_error(
    write_file: Write, open_basins: Open, internal_basin: Make
) -> None:
    raw = {**internal_basin(), "features": None}
    path = write_file("ref.rtdc", internal={"temp": RAMP})
    opened = open_basins(path, definitions=[raw])
    with dcnum.read.HDF5Data(path, meta={}, logs={}, tables={}, basins=[raw]) as hd:
        for ask in (opened.get_data, hd.get_basin_data):
            with pytest.raises(ValueError, match="'features' must be defined"):
                ask(0)


def test_missing_format_is_that_of_the_type(
    write_file: Write, open_basins: Open
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    raw = {"type": "file", "paths": [str(source)]}
    opened = open_basins(write_file("ref.rtdc"), definitions=[raw])
    assert opened.get_data(0)[1] == ["deform"]


def test_refused_identifier_has_the_peers_phrase(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP}, identifier="is")
    path = write_file("ref.rtdc", basins=[file_basin(source, identifier="want")])
    opened = open_basins(path)
    phrase = "with identifier 'is' does not match the expected identifier 'want'"
    with pytest.raises(BasinIdentifierMismatchError, match=phrase):
        opened.get_data(0)
    with (
        dcnum.read.HDF5Data(path) as hd,
        pytest.raises(dcnum.read.BasinIdentifierMismatchError, match=phrase),
    ):
        hd.get_basin_data(0)


def test_promised_features_that_are_not_there_are_left_out(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    basin = file_basin(source, features=["image", "deform"])
    opened = open_basins(write_file("ref.rtdc", basins=[basin]))
    group, features, _ = opened.get_data(0)
    assert features == ["deform"]
    assert isinstance(group, h5py.Group)
