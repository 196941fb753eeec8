"""Basins behind web addresses, in S3 storage and in DCOR, on servers of our own."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.basins import Basin
from dcread.basins.dcor import DCORBasin
from dcread.basins.http import HTTPBasin
from dcread.basins.s3 import S3Basin
from dcread.cli import main
from dcread.engine.metadata_blocks import store
from dcread.errors import PolicyError, RemoteError
from dcread.testing import check_basin

from .conftest import IMAGES, PHASES, RAMP
from .dcor_server import RESOURCE, Server

Write = Callable[..., pathlib.Path]


def test_features_behind_a_web_address(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    hd = measurement(f"{server.url}/data.rtdc")
    assert hd.keys() == ["area_um"]
    assert hd["area_um"].tolist() == RAMP.tolist()
    assert hd.basin_status()[0].available is None
    assert server.asked == []
    assert hd["deform"].tolist() == RAMP.tolist()
    assert np.array_equal(hd["image"][[4, 0, 0]], IMAGES[[4, 0, 0]])
    assert np.array_equal(hd["trace"]["fl1_raw"][:], IMAGES[:, 0])
    assert hd.keys() == ["area_um", "deform", "image", "trace"]
    (record,) = hd.basin_status()
    assert record.available is True
    assert record.location == f"{server.url}/data.rtdc"
    group, names, mapping = hd.get_basin_data(0)
    assert sorted(group) == names == ["deform", "image", "trace"]
    assert mapping is None


def test_promised_features_are_listed_but_nobody_is_contacted(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    hd = measurement(f"{server.url}/data.rtdc", features=["deform", "tilt"])
    assert hd.keys() == ["area_um", "deform", "tilt"]
    assert server.asked == []
    with pytest.raises(KeyError, match="has no 'tilt'"):
        hd["tilt"]
    assert "deform" in hd


def test_mapped_remote_basin(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    rows = np.array([4, 0, 1, 1, 2])
    hd = measurement(f"{server.url}/data.rtdc", mapping="basinmap0", rows=rows)
    assert hd["deform"].tolist() == RAMP[rows].tolist()
    assert np.array_equal(hd["image"][:], IMAGES[rows])


def test_several_addresses_in_turn(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    urls = [f"{server.url}/gone.rtdc", f"{server.url}/data.rtdc"]
    hd = measurement("", urls=urls)
    assert hd["deform"].tolist() == RAMP.tolist()
    assert hd.basin_status()[0].location == urls[1]
    assert "gone.rtdc" in hd.basin_status()[0].reason


def test_own_machine_is_not_contacted_unless_the_caller_names_it(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    url = f"{server.url}/data.rtdc"
    for policy in (
        dcread.Policy(),
        dcread.Policy(remote=False),
        dcread.Policy(remote="hosts", hosts=["example.org"]),
        dcread.Policy(hosts=["http://127.0.0.1:9"]),
    ):
        hd = measurement(url, policy=policy)
        with pytest.raises(KeyError, match="not contacted"):
            hd["deform"]
        assert hd.basin_status()[0].available is False
    assert server.asked == []


def test_remote_file_leads_to_no_local_one(
    server: Server, write_file: Write, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    secret = write_file("secret.rtdc", {"tilt": RAMP})
    inner = {"type": "file", "format": "hdf5", "name": "in", "paths": [str(secret)]}
    middle = write_file("middle.rtdc", {"deform": RAMP}, [inner])
    server.files["/middle.rtdc"] = middle.read_bytes()
    hd = measurement(f"{server.url}/middle.rtdc")
    assert hd["deform"].tolist() == RAMP.tolist()
    with pytest.raises(KeyError, match="a remote file never leads to local files"):
        hd["tilt"]
    direct = dcread.HDF5Data(f"{server.url}/middle.rtdc")
    with direct, pytest.raises(KeyError, match="a remote file never leads to local"):
        direct["tilt"]


def test_chain_over_two_servers_and_a_circle(
    server: Server, write_file: Write, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    def basin(name: str) -> dict[str, Any]:
        basic = {"type": "remote", "format": "http", "name": name, "features": None}
        return {**basic, "urls": [f"{server.url}/{name}.rtdc"]}

    for name, feature, leads_to in (("a", "tilt", "b"), ("b", "deform", "a")):
        path = write_file(f"{name}.rtdc", {feature: RAMP}, [basin(leads_to)])
        server.files[f"/{name}.rtdc"] = path.read_bytes()
    hd = measurement(f"{server.url}/a.rtdc")
    assert hd["tilt"].tolist() == RAMP.tolist()
    assert hd["deform"].tolist() == RAMP.tolist()
    with pytest.raises(KeyError):
        hd["bright_avg"]
    (record,) = hd.basin_status()
    assert [inner.name for inner in record.basins] == ["b"]


def test_s3_places_need_a_service(
    server: Server,
    measurement: Callable[..., dcread.HDF5Data],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.files["/bucket/data.rtdc"] = server.files["/data.rtdc"]
    keys = dcread.Credentials(server.url, access_key="key", secret_key="secret")
    for place in ("bucket/data.rtdc", "s3://bucket/data.rtdc"):
        hd = measurement(place, "s3", credentials=[keys])
        assert hd["deform"].tolist() == RAMP.tolist()
    assert all(token.startswith("AWS4-HMAC-SHA256") for token in server.tokens if token)
    hd = measurement(f"{server.url}/bucket/data.rtdc", "s3")
    assert hd["deform"].tolist() == RAMP.tolist()


def perishable(server: Server, **more: Any) -> list[dict[str, Any]]:
    basic = {"type": "remote", "format": "http", "name": f"resource-{RESOURCE[:5]}"}
    url = f"{server.url}/signed.rtdc?Signature={server.signature}"
    return [
        {
            **basic,
            "mapping": "same",
            "perishable": True,
            "urls": [url],
            "key": f"dcor-presigned-resource-{RESOURCE}",
            "time_request": time.time(),
            "time_expiration": int(time.time()) + 3600,
            **more,
        }
    ]


def test_resource_of_dcor(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    server.signature = "first-secret"
    server.basins = lambda: perishable(server)
    hd = measurement(server.resource, "dcor")
    assert hd["deform"].tolist() == RAMP.tolist()
    (record,) = hd.basin_status()
    (inner,) = record.basins
    assert inner.location == f"{server.url}/signed.rtdc"
    told = [hd.basin_status(), hd.problems, repr(hd), hd.basin_status()._repr_html_()]
    assert "first-secret" not in str(told)


def test_address_that_expired_is_asked_for_once(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    server.signature = "one"
    server.basins = lambda: perishable(server)
    hd = measurement(server.resource, "dcor")
    assert hd["deform"].tolist() == RAMP.tolist()
    asked = sum("query=basins" in path for path in server.asked)
    server.signature = "two"
    assert np.array_equal(hd["qpi_pha"][:], PHASES)
    assert sum("query=basins" in path for path in server.asked) == asked + 1


def test_address_that_stays_denied_is_a_named_error(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    server.signature = "right"
    stale = f"{server.url}/signed.rtdc?Signature=wrong-secret"
    server.basins = lambda: perishable(server, urls=[stale])
    hd = measurement(server.resource, "dcor")
    with pytest.raises(KeyError, match=r"signed\.rtdc") as caught:
        hd["deform"]
    assert "wrong-secret" not in str(caught.value)
    assert hd["area_um"].tolist() == RAMP.tolist()
    assert sum("query=basins" in path for path in server.asked) == 2


def test_address_that_is_known_to_have_expired_is_not_tried(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    server.signature = "new"
    old = f"{server.url}/signed.rtdc?Signature=old"
    answers = iter([perishable(server, urls=[old], time_expiration=5)])
    server.basins = lambda: next(answers, perishable(server))
    hd = measurement(server.resource, "dcor")
    assert hd["deform"].tolist() == RAMP.tolist()
    assert not any("Signature=old" in path for path in server.asked)


def test_token_goes_to_its_origin_only(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    server.token, server.signature = "the-token", "fine"
    server.basins = lambda: perishable(server)
    hd = measurement(server.resource, "dcor")
    with pytest.raises(KeyError, match="needs Credentials for this server"):
        hd["deform"]
    assert set(server.tokens) == {None}
    own = dcread.Credentials(server.url, token="the-token")
    other = dcread.Credentials("http://127.0.0.1:9", token="another")
    hd = measurement(server.resource, "dcor", credentials=[other, own])
    assert hd["deform"].tolist() == RAMP.tolist()
    assert set(server.tokens) == {None, "the-token"}


@pytest.mark.parametrize(
    ("url", "telling"),
    [
        ("api/3/action/dcserv?id=nothing", "the server answers 404 Not Found"),
        ("api/3/action/dcserv", "expected the URL of a resource of DCOR"),
        ("data.rtdc?id=5", "expected JSON"),
    ],
)
def test_dcor_errors_are_told(
    url: str,
    telling: str,
    server: Server,
    measurement: Callable[..., dcread.HDF5Data],
) -> None:
    hd = measurement(f"{server.url}/{url}", "dcor")
    with pytest.raises(KeyError, match=telling):
        hd["deform"]


def test_dclab_as_a_client_gets_the_same(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    dcor = pytest.importorskip("dclab.rtdc_dataset.fmt_dcor")
    if not dcor.api.REQUESTS_AVAILABLE:
        pytest.skip("dclab needs requests")
    public = {"perishable": False, "urls": [f"{server.url}/data.rtdc"]}
    server.basins = lambda: perishable(server, **public)
    hd = measurement(server.resource, "dcor")
    theirs = dcor.RTDC_DCOR(server.resource)
    assert len(theirs) == len(hd) == 5
    assert np.array_equal(theirs["deform"][:], hd["deform"])
    assert np.array_equal(theirs["image"][3], hd["image"][3])


def test_server_that_goes_away_is_a_named_error_and_comes_back(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    hd = measurement(f"{server.url}/data.rtdc")
    image = hd["image"]
    files, server.files = server.files, {}
    store.clear()
    with contextlib.suppress(RemoteError, PolicyError, dcread.DCReadError):
        image[:]
    server.files = files
    assert np.array_equal(image[:], IMAGES)
    assert hd["area_um"].tolist() == RAMP.tolist()


def test_version_of_the_file_is_pinned(
    server: Server, measurement: Callable[..., dcread.HDF5Data], tmp_path: pathlib.Path
) -> None:
    hd = measurement(f"{server.url}/data.rtdc")
    assert hd["deform"].tolist() == RAMP.tolist()
    other = tmp_path / "other.rtdc"
    with h5py.File(other, "w") as h5:
        h5["events/image"] = np.zeros((50, 3, 4))
    server.files["/data.rtdc"] = other.read_bytes() + bytes(100)
    with contextlib.suppress(dcread.DCReadError):
        assert np.array_equal(hd["image"][:], IMAGES)


@pytest.mark.parametrize("format_", [HTTPBasin, S3Basin, DCORBasin])
def test_remote_formats_pass_the_suite(
    server: Server, format_: type[Basin], tmp_path: pathlib.Path
) -> None:
    referrer = None
    place = f"{server.url}/data.rtdc"
    if format_ is S3Basin:
        place = f"{server.url}/bucket/data.rtdc"
        server.files["/bucket/data.rtdc"] = server.files["/data.rtdc"]
    elif format_ is DCORBasin:
        behind = {"type": "remote", "format": "http", "name": "x", "urls": [place]}
        server.basins = lambda: [behind]
        place = server.resource
        referrer = tmp_path / "referrer.rtdc"  # (the resource itself has no events)
        with h5py.File(referrer, "w") as h5:
            h5.attrs["experiment:event count"] = len(RAMP)
            h5.create_group("events")
    definition = {"type": "remote", "format": format_.format, "urls": [place]}
    policy = dcread.Policy(hosts=[server.url])
    check_basin(format_, definition, referrer=referrer, policy=policy)


def test_commands_ask_basins_that_list_no_features(
    server: Server, measurement: Callable[..., dcread.HDF5Data], tmp_path: pathlib.Path
) -> None:
    path = measurement(f"{server.url}/data.rtdc").path
    table = tmp_path / "table.csv"
    before = dcread.Policy.default()
    dcread.Policy.set_default(dcread.Policy(hosts=[server.url]))
    try:
        words = ["export", "--quiet", "--features", "deform", str(path), str(table)]
        assert main.main(words) == 0
    finally:
        dcread.Policy.set_default(before)
    rows = np.genfromtxt(table, delimiter=",", names=True)
    assert rows["deform"].tolist() == RAMP.tolist()
