"""Secrets go to the server that they are for, and are shown nowhere."""

from __future__ import annotations

import contextlib
import copy
import datetime
import json
import logging
import math
import pathlib
import pickle
import random
import traceback
import urllib.parse
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.cli import main as cli
from dcread.engine.http_client import HTTPClient
from dcread.engine.metadata_blocks import store
from dcread.engine.remote_source import RemoteSource
from dcread.engine.s3_signature import S3Key, signed_headers
from dcread.engine.urls import is_signed, shown, without_signature
from dcread.file.credentials import Credentials, Keyring, set_credentials

from .conftest import BRIEF, Anywhere
from .fault_server import FaultServer

TOKEN = "tok3n-of-nobody"
SECRET = "s3cret/of+nobody"
SESSION = "sess10n-of-nobody=="
SECRETS = (TOKEN, SECRET, SESSION)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"DCREAD_S3_{name}", raising=False)
        monkeypatch.delenv(f"DCLAB_S3_{name}", raising=False)
    store.clear()
    yield
    set_credentials()


def s3_keys(origin: str, **options: Any) -> Credentials:
    return Credentials(origin, access_key="AK", secret_key=SECRET, **options)


def test_signatures_are_those_of_botocore() -> None:
    auth = pytest.importorskip("botocore.auth")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Theirs

    rng = random.Random(1)
    places = [
        "https://s3.example.org/bucket/",
        "http://127.0.0.1:9000/bucket/",
        "https://host:8443/b-1/",
        "https://bucket.s3.eu-central-1.amazonaws.com/",
    ]
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    for number in range(300):
        letters = [rng.choice("abcZ09-_.~ /+é%&=") for _ in range(rng.randint(1, 30))]
        key = urllib.parse.quote("".join(letters).strip("/") or "a", safe="/-_.~")
        url = rng.choice(places) + key
        if number % 5 == 0:
            url += "?versionId=a%2Fb&x=%20"
        headers = {"Range": f"bytes={number}-{number + 99}"}
        if number % 2:
            headers["If-Match"] = '"abc"'
        session = rng.choice([None, SESSION])
        request = AWSRequest("GET", url, headers=dict(headers))
        with pytest.MonkeyPatch.context() as patch:
            now = moment.replace(tzinfo=None)
            patch.setattr(auth, "get_current_datetime", lambda *_, now=now: now)
            signer = auth.S3SigV4Auth(Theirs("AK", SECRET, session), "s3", "eu-1")
            signer.add_auth(request)
        ours = signed_headers(
            url, headers, S3Key("AK", SECRET, session, "eu-1"), moment
        )
        assert ours["authorization"] == request.headers["Authorization"], url


def test_a_token_goes_to_its_origin_only() -> None:
    with FaultServer(b"x" * 200) as mine, FaultServer(b"x" * 200) as other:
        keyring = Keyring([Credentials(mine.url, token=TOKEN)])
        client = HTTPClient(Anywhere(), BRIEF, sign=keyring.headers)
        mine.elsewhere = other.url
        mine.fault("redirect to loopback")
        RemoteSource(mine.url, client).open(tail=False)
        assert mine.requests[0].headers["authorization"] == TOKEN
        assert "authorization" not in other.requests[0].headers
        client.close()


def test_an_https_token_is_not_sent_over_http() -> None:
    one = Credentials("https://example.org", token=TOKEN)
    assert one.headers("https://example.org/x", {}) == {"Authorization": TOKEN}
    for url in (
        "http://example.org/x",
        "https://example.org:444/x",
        "https://example.org.evil.com/x",
        "https://evil.com/https://example.org/x",
        "https://evil.com\\@example.org/x",
    ):
        try:
            assert one.headers(url, {}) == {}
        except ValueError:
            continue  # no URL at all


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"token": TOKEN, "access_key": "A", "secret_key": SECRET},
        {"access_key": "A"},
        {"secret_key": SECRET},
        {"token": TOKEN, "session_token": SESSION},
        {"token": f"{TOKEN}\r\nHost: evil"},
        {"token": ""},
    ],
)
def test_incomplete_secrets(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Credentials("https://example.org", **options)
    assert not any(secret in str(caught.value) for secret in SECRETS)


@pytest.mark.parametrize("origin", ["s3://bucket", "ftp://a", "example.org", ""])
def test_wrong_origins(origin: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Credentials(origin, token=TOKEN)


@pytest.mark.parametrize("wrong", [TOKEN, [TOKEN], 5, {"token": TOKEN}])
def test_no_credentials_at_all(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"list of dcread\.Credentials") as caught:
        dcread.HDF5Data("https://example.org/x", credentials=wrong)
    assert TOKEN not in str(caught.value)


def test_credentials_show_and_pickle_nothing() -> None:
    for one in (
        Credentials("https://a.org", token=TOKEN),
        s3_keys("https://a.org", session_token=SESSION),
    ):
        text = f"{one} {one!r} {[one]} {vars(type(one))}"
        assert not any(secret in text for secret in SECRETS)
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(one)
        with pytest.raises(TypeError):
            copy.copy(one)


def test_nothing_shows_a_secret(
    data_dir: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown_texts: list[str] = []
    data = (data_dir / "fl_2018.rtdc").read_bytes()
    policy = dcread.Policy(network=BRIEF)
    with FaultServer(data) as server:
        for credentials in (
            Credentials(server.url, token=TOKEN),
            s3_keys(server.url, session_token=SESSION),
        ):
            with dcread.HDF5Data(
                f"{server.url}?id=3", credentials=[credentials], policy=policy
            ) as hd:
                _ = hd["deform"][:]
                shown_texts += [
                    repr(hd),
                    hd._repr_html_(),
                    str(hd.path),
                    str(hd.problems),
                ]
                shown_texts.append(repr(pickle.dumps(hd)))
                shown_texts.append(repr(hd.basin_status()))
            for fault in (
                "403",
                "404",
                "503",
                "captive portal",
                "no length",
                "garbage",
            ):
                server.fault(fault, math.inf)
                try:
                    dcread.HDF5Data(
                        server.url, credentials=[credentials], policy=policy
                    )
                except dcread.DCReadError:
                    shown_texts.append(traceback.format_exc())
                server.mend()
        assert any("authorization" in one.headers for one in server.requests)
    everything = "\n".join([*shown_texts, caplog.text])
    assert not any(secret in everything for secret in SECRETS)


COMMANDS = (
    ("info", "{}"),
    ("info", "--json", "{}", "{}&a=1"),
    ("basins", "{}"),
    ("verify", "{}"),
    ("verify", "--json", "{}"),
    ("flicker", "{}"),
    ("preview", "{}", "--output", "picture.png", "--overwrite"),
    ("export", "{}", "table.csv"),
    ("diff", "{}", "{}"),
    ("salvage", "{}", "saved.rtdc"),
    ("concat", "{}", "{}", "--output", "joined.rtdc"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: "-".join(one[:2]))
@pytest.mark.parametrize("fault", ["", "403", "404", "redirect to ftp", "flipped bits"])
def test_commands_show_and_write_no_signature(  # noqa: PLR0917
    data_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    fault: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with FaultServer((data_dir / "fl_2018.rtdc").read_bytes()) as server:
        if fault:
            server.fault(fault, math.inf)
        url = (
            f"{server.url}?id=3&X-Amz-Signature={TOKEN}&X-Amz-Security-Token={SESSION}"
        )
        with contextlib.suppress(SystemExit):
            cli.main([part.format(url) for part in command])
        assert server.requests or command[0] == "concat"
    said = capfd.readouterr()
    written = [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    everything = "\n".join([said.out, said.err, *written])
    assert said.out + said.err
    assert not any(secret in everything for secret in SECRETS)


def test_nothing_that_a_measurement_tells_has_its_signature(
    data_dir: pathlib.Path,
) -> None:
    told: list[str] = []
    data = (data_dir / "fl_2018.rtdc").read_bytes()
    with (
        FaultServer(data) as server,
        dcread.HDF5Data(f"{server.url}?id=3&Signature={TOKEN}") as hd,
    ):
        for name in sorted(set(dir(hd)) - {"close"}):
            if name.startswith("_"):
                continue
            value = getattr(hd, name)
            told.append(repr(value))
            if callable(value):
                for arguments in ((), ("deform",)):
                    try:
                        told.append(repr(value(*arguments)))
                    except Exception:
                        told.append(traceback.format_exc())
        told += [repr(hd[feat]) for feat in hd.keys()]  # noqa: SIM118
    assert len(told) > 40
    assert not any(TOKEN in text for text in told)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCLAB_S3_ENDPOINT_URL", "https://old.example.org")
    assert Keyring().url_of("s3://b/k") == "https://old.example.org/b/k"
    assert Keyring().headers("https://old.example.org/b/k", {}) == {}
    monkeypatch.setenv("DCREAD_S3_ENDPOINT_URL", "https://s3.example.org/")
    monkeypatch.setenv("DCREAD_S3_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("DCREAD_S3_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("DCREAD_S3_SESSION_TOKEN", SESSION)
    monkeypatch.setenv("DCREAD_S3_REGION", "eu-1")
    keyring = Keyring()
    url = keyring.url_of("s3://bucket/run 5/ü+1.rtdc")
    assert url == "https://s3.example.org/bucket/run%205/%C3%BC%2B1.rtdc"
    headers = keyring.headers(url, {})
    assert "/eu-1/s3/" in headers["authorization"]
    assert headers["x-amz-security-token"] == SESSION
    assert keyring.headers("https://old.example.org/b/k", {}) == {}
    monkeypatch.setenv("DCREAD_S3_ENDPOINT_URL", "https://{bucket}.example.org")
    keyring = Keyring()
    assert keyring.url_of("s3://b/k") == "https://b.example.org/k"
    assert keyring.headers("https://b.example.org/k", {})
    monkeypatch.setenv("DCREAD_DCOR_HOST", "dcor.example.org")
    monkeypatch.setenv("DCREAD_DCOR_TOKEN", TOKEN)
    keyring = Keyring()
    assert keyring.headers("https://dcor.example.org/x", {}) == {"Authorization": TOKEN}
    assert keyring.headers("http://dcor.example.org/x", {}) == {}


def test_the_service_of_an_s3_url() -> None:
    assert Keyring().url_of("s3://b/k") == "https://b.s3.us-east-1.amazonaws.com/k"
    only = s3_keys("http://127.0.0.1:9000")
    assert Keyring([only]).url_of("s3://b/k") == "http://127.0.0.1:9000/b/k"
    other = Credentials("https://dcor.example.org", token=TOKEN)
    assert Keyring([other, only]).url_of("s3://b/k") == "http://127.0.0.1:9000/b/k"
    for url in ("s3://", "s3://b", "s3://b/"):
        with pytest.raises(ValueError, match="s3://bucket/key"):
            Keyring().url_of(url)


def test_what_is_given_for_all() -> None:
    set_credentials(Credentials("https://a.org", token=TOKEN))
    assert Keyring().headers("https://a.org/x", {}) == {"Authorization": TOKEN}
    own = Credentials("https://a.org", token="own")
    assert Keyring([own]).headers("https://a.org/x", {}) == {"Authorization": "own"}
    set_credentials()
    assert Keyring().headers("https://a.org/x", {}) == {}


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("id=5", "id=5"),
        ("id=5&X-Amz-Signature=a&X-Amz-Date=b", "id=5"),
        ("AWSAccessKeyId=a&Signature=b&Expires=5&versionId=7", "versionId=7"),
        ("Policy=a&Key-Pair-Id=b&Signature=c", ""),
        ("sv=1&se=2&sr=b&sp=r&sig=x&name=y", "name=y"),
        ("se=2&sr=b", "se=2&sr=b"),
        ("access_token=a&b=", "b="),
        ("", ""),
    ],
)
def test_what_of_a_query_is_secret(query: str, kept: str) -> None:
    url = f"https://example.org/x?{query}" if query else "https://example.org/x"
    expected = f"https://example.org/x?{kept}" if kept else "https://example.org/x"
    assert without_signature(url) == expected
    assert is_signed(url) == (query != kept)
    assert shown(url) == "https://example.org/x"


@pytest.mark.parametrize("kind", ["http", "s3", "dcor"])
@pytest.mark.parametrize("start", ["https://", "https:/", "https:///", "HTTPS:/"])
def test_a_password_in_the_address_of_a_basin_is_not_shown(
    kind: str, start: str, tmp_path: pathlib.Path
) -> None:
    url = f"{start}user:pass@word@127.0.0.1/x.rtdc?X-Amz-Signature=signed"
    text = {"type": "remote", "format": kind, "urls": [url], "features": ["area_um"]}
    with h5py.File(tmp_path / "x.rtdc", "w") as h5:
        h5["events/deform"] = np.arange(3.0)
        h5["basins/b"] = np.array([json.dumps(text).encode()])
    with dcread.HDF5Data(tmp_path / "x.rtdc") as hd:
        with pytest.raises(KeyError) as caught:
            hd["area_um"]
        told = [caught.value, hd.basin_status(), hd.problems, hd.explain("area_um")]
        everything = "".join(map(str, told)) + repr(hd) + hd._repr_html_()
    assert "127.0.0.1/x.rtdc" in everything
    for secret in ("pass@", "word@", "signed", "user:"):
        assert secret not in everything
