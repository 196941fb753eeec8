"""Links inside of files: nothing but the policy leads out of a basin."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from dcread.basins import Policy
from dcread.errors import PolicyError

Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., dict[str, Any]]

RAMP = np.arange(5) * 1.5


@pytest.fixture
def secret(write_file: Write) -> pathlib.Path:
    return write_file("secret/secret.h5", {"deform": RAMP})


def _external_link(h5: h5py.File, secret: pathlib.Path) -> None:
    h5["events/deform"] = h5py.ExternalLink(str(secret), "/events/deform")


def _external_group(h5: h5py.File, secret: pathlib.Path) -> None:
    del h5["events"]
    h5["events"] = h5py.ExternalLink(str(secret), "/events")


def _soft_over_external(h5: h5py.File, secret: pathlib.Path) -> None:
    h5["way"] = h5py.ExternalLink(str(secret), "/")
    h5["events/deform"] = h5py.SoftLink("/way/events/deform")


def _soft_over_soft_over_external(h5: h5py.File, secret: pathlib.Path) -> None:
    h5["way"] = h5py.ExternalLink(str(secret), "/events")
    h5["other"] = h5py.SoftLink("way")
    h5["events/deform"] = h5py.SoftLink("/other/deform")


def _external_storage(h5: h5py.File, secret: pathlib.Path) -> None:
    h5["events"].create_dataset(
        "deform", shape=(5,), dtype="u1", external=[(str(secret), 0, 5)]
    )


WAYS = [
    _external_link,
    _external_group,
    _soft_over_external,
    _soft_over_soft_over_external,
    _external_storage,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("listed", [True, False])
def test_no_link_leads_out_of_a_basin(  # noqa: PLR0917
    way: Callable[[h5py.File, pathlib.Path], None],
    listed: bool,
    secret: pathlib.Path,
    write_file: Write,
    open_basins: Open,
    file_basin: Make,
) -> None:
    source = write_file("src.rtdc")
    with h5py.File(source, "r+") as h5:
        way(h5, secret)
    basin = file_basin(source, features=["deform"] if listed else None)
    ref = write_file("ref.rtdc", basins=[basin])
    opened = open_basins(ref)
    assert opened.values("deform") is None
    if listed:
        (reason,) = opened.reasons("deform")
        assert "Policy(links=True)" in reason
    if way is _external_storage:
        expected = list(secret.read_bytes()[:5])
    else:
        expected = RAMP.tolist()
    assert open_basins(ref, Policy(links=True)).values("deform").tolist() == expected


@pytest.mark.parametrize("inside", [True, False])
def test_virtual_datasets_keep_to_the_policy(
    inside: bool,
    secret: pathlib.Path,
    write_file: Write,
    open_basins: Open,
    file_basin: Make,
) -> None:
    target = write_file("ref/part.h5", {"deform": RAMP}) if inside else secret
    source = write_file("ref/src.rtdc")
    layout = h5py.VirtualLayout((5,), "f8")
    layout[:] = h5py.VirtualSource(str(target), "events/deform", shape=(5,))
    with h5py.File(source, "r+") as h5:
        h5["events"].create_virtual_dataset("deform", layout)
    ref = write_file("ref/ref.rtdc", basins=[file_basin(source)])
    assert open_basins(ref).values("deform").tolist() == RAMP.tolist()
    opened = open_basins(ref, Policy(local="beside"))
    if inside:
        assert opened.values("deform").tolist() == RAMP.tolist()
    else:
        with pytest.raises(PolicyError, match=r"secret\.h5"):
            opened.values("deform")


def test_members_of_traces_are_checked_as_well(
    secret: pathlib.Path, write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc")
    with h5py.File(source, "r+") as h5:
        h5["events/trace/fl1_raw"] = np.zeros((5, 3))
        h5["events/trace/fl2_raw"] = h5py.ExternalLink(str(secret), "/events/deform")
    opened = open_basins(write_file("ref.rtdc", basins=[file_basin(source)]))
    traces, _ = opened.basins.find("trace")
    assert traces["fl1_raw"].shape == (5, 3)
    with pytest.raises(PolicyError, match="external link"):
        traces["fl2_raw"]
    assert opened.get_data(0)[1] == ["trace"]


def test_maps_do_not_come_from_elsewhere(
    secret: pathlib.Path, write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    with h5py.File(secret, "r+") as h5:
        h5["map"] = np.arange(5)
    source = write_file("src.rtdc", {"deform": RAMP})
    basin = file_basin(source, mapping="basinmap0", features=["deform"])
    ref = write_file("ref.rtdc", basins=[basin])
    with h5py.File(ref, "r+") as h5:
        h5["events/basinmap0"] = h5py.ExternalLink(str(secret), "/map")
    opened = open_basins(ref)
    assert opened.features() == set()
    assert opened.values("deform") is None
    with pytest.raises(PolicyError):
        opened.get_data(0)
