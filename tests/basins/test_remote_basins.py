"""Basins behind web addresses, in S3 storage and in DCOR, on servers of our own."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.basins import Basin
from dcread.basins.dcor import DCORBasin
from dcread.basins.http import HTTPBasin
from dcread.basins.s3 import S3Basin
from dcread.engine.metadata_blocks import store
from dcread.errors import PolicyError, RemoteError
from dcread.testing import check_basin

RAMP = np.arange(5) * 1.5
IMAGES = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
PHASES = np.random.default_rng(1).random((5, 200, 400))
RESOURCE = "01234567-89ab-cdef-0123-456789abcdef"
Write = Callable[..., pathlib.Path]


class Server:
    """Files by name, and DCOR's answers about one resource.

    Attributes
    ----------
    files : dict
        Bytes by path.
    basins : callable
        Returns what the query ``basins`` gives.
    asked : list of str
        Paths that were asked for.
    signature : str
        What a signed address needs; others are denied.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.basins: Callable[[], list[Any]] = list
        self.metadata: dict[str, Any] = {
            "experiment": {"event count": 5, "sample": "s", "run index": 1},
            "setup": {},
        }
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        self.signature = ""
        self.token = ""
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def do_HEAD(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.resource = f"{self.url}/api/3/action/dcserv?id={RESOURCE}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, handler: Any) -> None:
        place = urllib.parse.urlsplit(handler.path)
        fields = dict(urllib.parse.parse_qsl(place.query))
        self.asked.append(handler.path)
        self.tokens.append(handler.headers.get("Authorization"))
        if place.path == "/api/3/action/dcserv":
            self.send(handler, *self.dcor(fields, handler))
        elif place.path not in self.files:
            self.send(handler, 404, b"")
        elif "signed" in place.path and fields.get("Signature") != self.signature:
            self.send(handler, 403, b"")
        else:
            self.ranges(handler, self.files[place.path])

    def dcor(self, fields: dict[str, str], handler: Any) -> tuple[int, bytes]:
        def error(kind: str, text: str) -> bytes:
            told = {"__type": kind, "message": text}
            return json.dumps({"help": "", "success": False, "error": told}).encode()

        if self.token and handler.headers.get("Authorization") != self.token:
            return 403, error("Authorization Error", "Access denied")
        if fields.get("id") != RESOURCE:
            return 404, error("Not Found Error", "Not found: no such resource")
        answers = {
            "valid": lambda: True,
            "size": lambda: 5,
            "metadata": lambda: self.metadata,
            "feature_list": list,
            "basins": self.basins,
            "logs": lambda: {"log": ["a", "b"]},
            "tables": dict,
        }
        if fields.get("query") not in answers:
            return 409, error("Validation Error", "unknown query")
        result = answers[fields["query"]]()
        return 200, json.dumps({"help": "", "success": True, "result": result}).encode()

    def ranges(self, handler: Any, data: bytes) -> None:
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", handler.headers.get("Range") or "")
        if match is None:
            self.send(handler, 200, data, ETag='"state-one"')
            return
        first, last = match.groups()
        start = int(first) if first else max(0, len(data) - int(last))
        stop = min(int(last) + 1, len(data)) if first and last else len(data)
        where = f"bytes {start}-{stop - 1}/{len(data)}"
        self.send(
            handler,
            206,
            data[start:stop],
            **{"ETag": '"state-one"', "Content-Range": where},
        )

    @staticmethod
    def send(handler: Any, status: int, body: bytes, **headers: str) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            with contextlib.suppress(OSError):
                handler.wfile.write(body)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow this machine to be contacted; nothing else is named here."""
    monkeypatch.delenv("DCREAD_OFFLINE", raising=False)


@pytest.fixture
def server(write_file: Write) -> Iterator[Server]:
    """A server with a measurement at ``/data.rtdc`` and ``/signed.rtdc``."""
    store.clear()
    found = Server()
    data = {"deform": RAMP, "image": IMAGES, "trace/fl1_raw": IMAGES[:, 0]}
    content = write_file("data.rtdc", data).read_bytes()
    large = write_file("large.rtdc", {**data, "qpi_pha": PHASES}).read_bytes()
    found.files = {"/data.rtdc": content, "/signed.rtdc": large}
    yield found
    found.close()


@pytest.fixture
def measurement(
    write_file: Write, server: Server
) -> Iterator[Callable[..., dcread.HDF5Data]]:
    """Open a measurement with one remote basin, on a server that is allowed."""
    opened: list[dcread.HDF5Data] = []

    def open_(url: str, format_: str = "http", **more: Any) -> dcread.HDF5Data:
        policy = more.pop("policy", None) or dcread.Policy(hosts=[server.url])
        credentials = more.pop("credentials", ())
        rows = {"basinmap0": more.pop("rows")} if "rows" in more else {}
        basin = {"type": "remote", "format": format_, "name": "web", "urls": [url]}
        path = write_file(
            f"ref{len(opened)}.rtdc",
            {"area_um": RAMP, **rows},
            [{"features": None, **basin, **more}],
        )
        opened.append(dcread.HDF5Data(path, policy=policy, credentials=credentials))
        return opened[-1]

    yield open_
    for hd in opened:
        hd.close()


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
    with pytest.raises(KeyError, match="a remote file never leads to local ones"):
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
        ("api/3/action/dcserv", "expected a URL such as"),
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
