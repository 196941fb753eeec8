"""Links inside of a file are followed by us, component by component."""

from __future__ import annotations

import pathlib

import h5py
import numpy as np
import pytest

from dcread.engine import open_dataset, open_file
from dcread.errors import BasinError, FormatError, PolicyError
from dcread.file.links import has_member, member, subgroup

RAMP = np.arange(5) * 1.5


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "f.h5"


def value_of(h5: h5py.Group, name: str) -> list[float]:
    found: list[float] = h5py.Dataset(member(None, name, h5.id).id)[:].tolist()
    return found


def test_links_inside_the_file_are_followed(path: pathlib.Path) -> None:
    with h5py.File(path, "w") as h5:
        h5["data/deep/deform"] = RAMP
        h5["alias"] = h5py.SoftLink("/data/deep")
        h5["events/absolute"] = h5py.SoftLink("/alias/deform")
        h5["events/relative"] = h5py.SoftLink("absolute")
        h5["events/dotted"] = h5py.SoftLink("././/relative")
        h5["events/hard"] = h5["data/deep/deform"]
        for name in ("absolute", "relative", "dotted", "hard"):
            assert value_of(h5["events"], name) == RAMP.tolist()
        assert subgroup(None, "alias", h5.id).name == "/data/deep"


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/events/a", "a\0", "absent"])
def test_only_direct_members_count(name: str, path: pathlib.Path) -> None:
    with h5py.File(path, "w") as h5:
        h5["events/a"] = 1
        assert not has_member(h5["events"].id, name)
        with pytest.raises(KeyError):
            member(None, name, h5["events"].id)


def test_links_that_go_round_or_nowhere_are_missing(path: pathlib.Path) -> None:
    with h5py.File(path, "w") as h5:
        h5["round"] = h5py.SoftLink("/round")
        h5["one"] = h5py.SoftLink("/two")
        h5["two"] = h5py.SoftLink("/one")
        h5["array"] = [1]
        h5["through"] = h5py.SoftLink("/array/x")
        h5["nowhere"] = h5py.SoftLink("/not/there")
        for name in ("round", "one", "through", "nowhere"):
            with pytest.raises(KeyError):
                member(None, name, h5.id)
        with pytest.raises(BasinError, match="no group"):
            subgroup(None, "events", h5.id)
        with pytest.raises(BasinError, match="should be a group"):
            subgroup(None, "array", h5.id)


def test_ways_have_an_end(path: pathlib.Path) -> None:
    with h5py.File(path, "w") as h5:
        h5["a/x"] = RAMP
        h5["a/a"] = h5["a"]
        h5["long"] = h5py.SoftLink("/a" * 900 + "/x")
        h5["endless"] = h5py.SoftLink("/a" * 20_000 + "/x")
        assert value_of(h5, "long") == RAMP.tolist()
        with pytest.raises(FormatError, match="more than 1000 names"):
            member(None, "endless", h5.id)


def test_a_name_leads_over_a_link_only_if_links_are_followed(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as h5:
        h5["deep/deform"] = RAMP
        h5["back"] = h5py.ExternalLink("f.h5", "/over")
    with h5py.File(path, "w") as h5:
        h5["over"] = h5py.ExternalLink("other.h5", "/deep")
        h5["soft"] = h5py.SoftLink("/over/deform")
        h5["circle"] = h5py.ExternalLink("other.h5", "/back/deform")
    handle = open_file(path)
    with (
        handle.using(),
        pytest.raises(PolicyError, match=r"external link to other\.h5"),
    ):
        handle.names.find(handle, "over/deform")
    handle.names.follows_links = True
    for name in ("over/deform", "soft", "circle"):
        reader = open_dataset(handle, name)
        assert reader.read(slice(0, 5)).tolist() == RAMP.tolist()
        assert reader.filename == str(tmp_path / "other.h5")
    handle.close()
    assert reader.handle.closed
