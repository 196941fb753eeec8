"""A resource of DCOR that is opened by its URL."""

from __future__ import annotations

import json
import pathlib
import pickle
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dcread
from dcread.cli import main
from dcread.errors import NotAFileError

from .conftest import IMAGES, PHASES, RAMP
from .dcor_server import RESOURCE, Server

Open = Callable[..., dcread.HDF5Data]


def definition(url: str, name: str = "resource-01234", **more: Any) -> dict[str, Any]:
    basic = {"type": "remote", "format": "http", "mapping": "same", "name": name}
    return {**basic, "perishable": False, "key": f"dcor-{name}", "urls": [url], **more}


@pytest.fixture
def resource(server: Server) -> Iterator[Open]:
    """Open the resource of the server, whose data lie on the same machine."""
    server.basins = lambda: [definition(f"{server.url}/data.rtdc")]
    opened: list[dcread.HDF5Data] = []

    def open_(url: str = "", **more: Any) -> dcread.HDF5Data:
        policy = more.pop("policy", None) or dcread.Policy(hosts=[server.url])
        opened.append(dcread.HDF5Data(url or server.resource, policy=policy, **more))
        return opened[-1]

    yield open_
    for hd in opened:
        hd.close()


def test_what_is_documented_works(server: Server, resource: Open) -> None:
    server.answers["tables"] = {
        "columns": [["time", "x"], [[0, 1.5], [1, None]]],
        "image": [None, [[1, 2, 3]]],
        "empty": [["a", "b"], []],
    }
    hd = resource()
    assert sum("query" in path for path in server.asked) == 1  # metadata
    assert len(hd) == hd.raw_length == 5
    assert hd.path == server.resource
    assert repr(hd) == f"<dcread.HDF5Data '{server.resource}', 5 events>"
    assert hd.meta == {
        "experiment:event count": 5,
        "experiment:sample": "s",
        "experiment:run index": 1,
    }
    assert hd.meta_nest["experiment"]["sample"] == "s"
    assert hd.logs == {"log": ["a", "b"]}
    table = hd.tables["columns"]
    assert table["time"].tolist() == [0, 1]
    assert table["x"][0] == 1.5
    assert np.isnan(table["x"][1])
    assert hd.tables["image"].tolist() == [[1, 2, 3]]
    assert [len(hd.tables["empty"][name]) for name in ("a", "b")] == [0, 0]
    assert not any("data.rtdc" in path for path in server.asked)
    assert hd.keys() == ["deform", "image", "trace"]
    assert hd.features_scalar == ["deform"]
    assert hd["deform"].tolist() == RAMP.tolist()
    assert np.array_equal(hd.image[:], IMAGES)
    assert np.array_equal(hd.get_image_cache("image").get_chunk(0), IMAGES)
    assert np.array_equal(hd["trace"]["fl1_raw"][[4, 0]], IMAGES[[4, 0], 0])
    assert hd.keys() == ["deform", "image", "trace"]
    assert "image" in hd
    (basin,) = hd.basins
    assert basin["name"] == "resource-01234"
    (record,) = hd.basin_status()
    assert record.available is True
    assert hd.explain("image").basins == ("resource-01234",)
    assert hd.problems == []
    assert hd.get_ppid().startswith("hdf:")
    group, names, mapping = hd.get_basin_data(0)
    assert (sorted(group), names, mapping) == (
        names,
        ["deform", "image", "trace"],
        None,
    )
    hd.refresh()
    assert hd["deform"].tolist() == RAMP.tolist()
    hd.close()
    with pytest.raises(dcread.ClosedError):
        hd["deform"]


def test_listed_features_need_no_contact(server: Server, resource: Open) -> None:
    listed = definition(f"{server.url}/data.rtdc", features=["deform"])
    gone = definition(f"{server.url}/gone.rtdc", "gone")
    server.basins = lambda: [listed]
    assert resource().keys() == ["deform"]
    assert not any("data.rtdc" in path for path in server.asked)
    server.basins = lambda: [listed, gone]
    hd = resource()
    assert hd.keys() == ["deform"]
    assert "gone.rtdc" in hd.basin_status()[0].reason
    assert hd["deform"].tolist() == RAMP.tolist()


def test_what_only_a_file_has(resource: Open) -> None:
    hd = resource()
    for name in ("h5", "md5_5m"):
        with pytest.raises(NotAFileError, match="is a resource of DCOR and no file"):
            getattr(hd, name)
    assert dcread.get_measurement_identifier(hd) is None
    with pytest.raises(dcread.DCReadError):
        dcread.concatenated_hdf5_data([hd.path, hd.path])


def test_identifier_is_that_of_the_metadata(server: Server, resource: Open) -> None:
    server.metadata["experiment"]["run identifier"] = "run-5"
    assert dcread.get_measurement_identifier(resource()) == "run-5"


def test_length_is_asked_for_where_metadata_do_not_tell(
    server: Server, resource: Open
) -> None:
    del server.metadata["experiment"]["event count"]
    assert len(resource()) == 5


def test_index_mapping_and_pickles(server: Server, resource: Open) -> None:
    rows = [4, 0, 1, 1]
    hd = resource(index_mapping=rows)
    assert len(hd) == 4
    assert hd["deform"].tolist() == RAMP[rows].tolist()
    assert np.array_equal(hd.image[:], IMAGES[rows])
    again = pickle.loads(pickle.dumps(hd))
    with again:
        assert len(again) == 4
        assert np.array_equal(again.image[1:], IMAGES[rows][1:])


def test_token_goes_with_queries_and_into_no_pickle(
    server: Server, resource: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = "the-token"
    with pytest.raises(dcread.RemoteError, match="needs Credentials"):
        resource()
    other = dcread.Credentials("http://127.0.0.1:9", token="another")
    with pytest.raises(dcread.RemoteError):
        resource(credentials=[other])
    assert set(server.tokens) == {None}
    server.signature = "presigned-secret"
    url = f"{server.url}/signed.rtdc?Signature=presigned-secret"
    server.basins = lambda: [definition(url, perishable=True)]
    hd = resource(credentials=[dcread.Credentials(server.url, token="the-token")])
    assert np.array_equal(hd["qpi_pha"][:], PHASES)
    told = [repr(hd), hd.basin_status(), hd.problems, hd.explain("image")]
    told += [hd._repr_html_(), pickle.dumps(hd)]
    for secret in ("the-token", "another", "presigned-secret"):
        assert secret not in str(told)
    with pytest.raises(dcread.RemoteError):
        pickle.loads(pickle.dumps(hd))
    monkeypatch.setenv("DCREAD_DCOR_HOST", server.url)
    monkeypatch.setenv("DCREAD_DCOR_TOKEN", "the-token")
    with pickle.loads(pickle.dumps(hd)) as again:
        assert again["deform"].tolist() == RAMP.tolist()


def test_address_that_expired_is_asked_for_once(server: Server, resource: Open) -> None:
    def basins() -> list[dict[str, Any]]:
        url = f"{server.url}/signed.rtdc?Signature={server.signature}"
        return [definition(url, perishable=True)]

    server.signature, server.basins = "one", basins
    hd = resource()
    assert hd["deform"].tolist() == RAMP.tolist()
    server.signature = "two"
    before = sum("query=basins" in path for path in server.asked)
    assert np.array_equal(hd["qpi_pha"][:], PHASES)
    assert sum("query=basins" in path for path in server.asked) == before + 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((404, {"error": {"message": "gone"}}), (dcread.FileMissingError, "dcserv")),
        ((409, {"error": {"id": ["odd"]}}), (dcread.RemoteError, "odd")),
        ((500, {"error": {"message": "oops"}}), (dcread.RemoteError, "500")),
        ((400, "Bad request"), (dcread.RemoteError, "Bad request")),
        ((200, {"success": True, "result": [1]}), (dcread.RemoteError, "metadata")),
        ((200, [1]), (dcread.RemoteError, "failed")),
    ],
)
def test_answers_that_are_none(
    server: Server,
    resource: Open,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, Any],
    expected: tuple[type[Exception], str],
) -> None:
    (status, body), (error, text) = answer, expected
    monkeypatch.setattr(
        server, "dcor", lambda fields, handler: (status, json.dumps(body).encode())
    )
    limits = dcread.NetworkLimits(total=1)
    with pytest.raises(error, match=text):
        resource(policy=dcread.Policy(hosts=[server.url], network=limits))


def test_url_without_id(server: Server, resource: Open) -> None:
    with pytest.raises(NotAFileError, match=r"dcserv\?id="):
        resource(f"{server.url}/api/3/action/dcserv")
    assert server.asked == []
    assert len(resource(f"{server.resource}&version=1&query=size")) == 5


def test_odd_parts_of_answers_are_problems(server: Server, resource: Open) -> None:
    server.metadata["setup"] = {"chip": {"a": 1}, "medium": None, "list": [1, 2]}
    server.metadata["odd"] = 5
    server.answers["logs"] = {"good": ["x"], "bad": 7, "empty": []}
    server.answers["tables"] = {"bad": [["a"], [[1, 2]]], "worse": 3}
    server.basins = lambda: [
        definition(f"{server.url}/data.rtdc"),
        "nonsense",
        {"type": "remote", "features": 5, "key": "odd"},
        {"type": "file", "format": "hdf5", "name": "local", "paths": ["/etc/x"]},
    ]
    hd = resource()
    assert hd.meta["setup:list"].tolist() == [1, 2]
    assert "setup:chip" not in hd.meta
    assert hd.logs == {"good": ["x"]}
    assert hd.tables == {}
    assert hd["deform"].tolist() == RAMP.tolist()
    found = {(one.kind, one.name) for one in hd.problems}
    assert {("attribute", "setup:chip"), ("attribute", "setup:medium")} <= found
    assert {("log", "bad"), ("table", "bad"), ("table", "worse")} <= found
    assert {("basin", "basin 1"), ("basin", "odd")} <= found
    local = next(one for one in hd.basin_status() if one.name == "local")
    assert "never leads to local files" in local.reason


def test_policy_applies_to_what_the_server_names(server: Server) -> None:
    server.basins = lambda: [definition(f"{server.url}/data.rtdc")]
    with dcread.HDF5Data(server.resource, policy=dcread.Policy()) as hd:
        assert len(hd) == 5  # (its own address was named by the caller)
        with pytest.raises(KeyError, match="not contacted"):
            hd["deform"]
    with pytest.raises(dcread.PolicyError):
        dcread.HDF5Data(server.resource, policy=dcread.Policy(remote=False))


def test_resource_that_leads_to_itself_ends(server: Server, resource: Open) -> None:
    own = definition(server.resource, "own", format="dcor")
    server.basins = lambda: [own, definition(f"{server.url}/data.rtdc")]
    hd = resource()
    assert hd["deform"].tolist() == RAMP.tolist()
    with pytest.raises(KeyError):
        hd["tilt"]
    assert len(server.asked) < 30


def test_server_that_goes_away(server: Server, resource: Open) -> None:
    limits = dcread.NetworkLimits(total=1)
    hd = resource(policy=dcread.Policy(hosts=[server.url], network=limits))
    assert hd["deform"].tolist() == RAMP.tolist()

    def drop(path: str) -> None:
        raise ConnectionError

    server.before = drop
    with pytest.raises(dcread.RemoteError, match="dcserv"):
        _ = hd.logs
    assert hd["deform"].tolist() == RAMP.tolist()
    server.before = lambda path: None
    assert hd.logs == {"log": ["a", "b"]}


@pytest.mark.parametrize("as_basin", [False, True])
def test_close_ends_a_query_that_hangs(
    server: Server,
    resource: Open,
    measurement: Callable[..., dcread.HDF5Data],
    running: Callable[..., Any],
    *,
    as_basin: bool,
) -> None:
    hd = measurement(server.resource, "dcor") if as_basin else resource()
    asked, going_on = threading.Event(), threading.Event()

    def before(path: str) -> None:
        asked.set()
        going_on.wait(30)

    server.before = before
    with running(lambda: hd["deform"], until=dcread.ClosedError) as (query,):
        try:
            assert asked.wait(10)
            start = time.monotonic()
            hd.close()
            query.exception(15)
            assert time.monotonic() - start < 8  # (of 10 s or more for the server)
        finally:
            going_on.set()


def test_same_as_dclab_as_the_client(server: Server, resource: Open) -> None:
    pytest.importorskip("requests")
    fmt_dcor = pytest.importorskip("dclab.rtdc_dataset.fmt_dcor.base")
    server.metadata["imaging"] = {"pixel size": 0.34, "roi size x": 4, "roi size y": 3}
    server.answers["tables"] = {"t": [["time", "x"], [[0, 1.5], [1, None]]]}
    hd = resource()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fmt_dcor.RTDC_DCOR(server.resource) as ds:
            assert len(ds) == len(hd)
            for section, values in hd.meta_nest.items():
                for key, value in values.items():
                    assert ds.config[section][key] == value
            assert dict(ds.logs) == hd.logs
            for column in ("time", "x"):
                ours = hd.tables["t"][column]
                theirs = np.ravel(ds.tables["t"][column])
                assert np.array_equal(theirs, ours, equal_nan=True)
            assert np.array_equal(ds["deform"][:], hd["deform"])
            for event in range(5):
                assert np.array_equal(ds["image"][event], hd["image"][event])
            names = [one["name"] for one in ds.basins_get_dicts()]
            assert names == [one["name"] for one in hd.basins]


def test_real_measurement_over_dcserv(
    server: Server, resource: Open, data_dir: pathlib.Path
) -> None:
    path = data_dir / "cytoshot_full-features_2023.rtdc"
    server.files["/real.rtdc"] = path.read_bytes()
    server.basins = lambda: [definition(f"{server.url}/real.rtdc")]
    with dcread.HDF5Data(path) as local:
        nested: dict[str, dict[str, Any]] = {}
        for key, value in local.meta.items():
            section, _, name = key.partition(":")
            nested.setdefault(section, {})[name] = value
        server.metadata = json.loads(json.dumps(nested, default=str))
        hd = resource()
        assert len(hd) == len(local)
        for feature in local:
            if feature in ("contour", "trace"):
                continue
            assert np.array_equal(hd[feature][:], local[feature][:], equal_nan=True)
        assert {key: hd.meta[key] for key in local.meta} == local.meta


def test_commands(
    server: Server, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    assert main.main(["info", "--json", server.resource]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["events"], record["path"]) == (5, server.resource)
    assert record["logs"] == {"log": 2}
    server.basins = lambda: [definition(f"{server.url}/data.rtdc")]
    assert main.main(["basins", server.resource]) == 0
    assert "resource-01234" in capsys.readouterr().out
    server.basins = list
    assert main.main(["verify", "--json", server.resource]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["ok"], record["problems"], record["datasets"]) == (True, [], 0)
    assert main.main(["salvage", server.resource, str(tmp_path / "new.rtdc")]) == 1
    said = capsys.readouterr().err
    assert "is a resource of DCOR and no file" in said
    table = str(tmp_path / "table.csv")
    assert main.main(["export", "--features", "tilt", server.resource, table]) == 1
    said = capsys.readouterr().err
    assert "api/3/action/dcserv: there is no feature 'tilt'" in said
    assert "id=" not in said


def test_other_processes_open_it(
    server: Server, run_python: Callable[..., Any]
) -> None:
    code = f"import dcread; print(len(dcread.HDF5Data({server.resource!r})))"
    done = run_python(code)
    assert done.stdout.strip() == "5"
    assert RESOURCE in server.asked[-1]
