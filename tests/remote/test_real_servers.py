"""Servers that other people wrote: static files, TLS, an S3 store."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dcread
from dcread.cli import main as cli
from dcread.engine.metadata_blocks import store

NAME = "fl_wide-channel_2023.rtdc"


def need(module: str) -> Any:
    """Import a module of the group "servers"; only CI has to have it."""
    if os.environ.get("CI") == "true":
        return __import__(module)
    return pytest.importorskip(module)


@pytest.fixture(autouse=True)
def forget() -> None:
    store.clear()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextlib.contextmanager
def running(*command: str, port: int) -> Iterator[None]:
    """Run a server until the block ends."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert process.poll() is None, process.communicate()[1].decode()
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), 1),
            ):
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


Serve = Callable[..., contextlib.AbstractContextManager[int]]
"""``serve(folder, work, pem=None)`` serves the files of a folder, on the port that it
returns: by TLS, if the file `pem` has a certificate and its key."""


@contextlib.contextmanager
def by_twisted(
    folder: pathlib.Path, work: pathlib.Path, pem: pathlib.Path | None = None
) -> Iterator[int]:
    del work
    need("twisted")
    port = free_port()
    listen = f"tcp:{port}:interface=127.0.0.1"
    if pem is not None:
        need("OpenSSL")
        place = urllib.parse.quote(str(pem), safe="/")
        listen = f"ssl:{port}:privateKey={place}:interface=127.0.0.1"
    command = [sys.executable, "-m", "twisted", "web", "--listen", listen]
    with running(*command, "--path", str(folder), port=port):
        yield port


NGINX = """\
daemon off;
master_process off;
pid {work}/pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {work}/body;
  proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi;
  scgi_temp_path {work}/scgi;
  gzip on;
  gzip_types *;
  keepalive_requests 7;
  server {{
    listen 127.0.0.1:{port}{tls};
    root "{folder}";
    autoindex on;
  }}
}}
"""


def find_nginx() -> str:
    """Return where nginx is, which `make test` installs where it can; else skip."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is not None:
        return found
    pytest.skip("no nginx on this machine: install nginx-light, or nginx")


@contextlib.contextmanager
def by_nginx(
    folder: pathlib.Path, work: pathlib.Path, pem: pathlib.Path | None = None
) -> Iterator[int]:
    nginx, port = find_nginx(), free_port()
    tls = f" ssl;\n    ssl_certificate {pem};\n    ssl_certificate_key {pem}"
    config = work / "nginx.conf"
    config.write_text(
        NGINX.format(work=work, port=port, folder=folder, tls=tls if pem else ""),
        encoding="utf-8",
    )
    command = [nginx, "-e", "stderr", "-p", str(work), "-c", str(config)]
    with running(*command, port=port):
        yield port


@pytest.fixture(params=[by_twisted, by_nginx], ids=["twisted", "nginx"])
def serve(request: pytest.FixtureRequest) -> Serve:
    found: Serve = request.param
    return found


def check(url: str, path: pathlib.Path, **options: Any) -> None:
    """Compare what a URL gives with the file."""
    with dcread.HDF5Data(url, **options) as hd, dcread.HDF5Data(path) as local:
        assert hd.handle.metadata is not None
        assert len(hd) == len(local)
        for name in ("deform", "image", "mask"):
            assert np.array_equal(hd[name][:], local[name][:]), name
        assert hd.logs == local.logs
        assert hd.handle.metadata.waits == 0


def test_static_files(
    serve: Serve, data_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with serve(data_dir, tmp_path) as port:
        check(f"http://127.0.0.1:{port}/{NAME}", data_dir / NAME)
        with pytest.raises(dcread.FileMissingError, match="no file at"):
            dcread.HDF5Data(f"http://127.0.0.1:{port}/other.rtdc")
        with pytest.raises(dcread.RemoteError, match="web page"):
            dcread.HDF5Data(f"http://127.0.0.1:{port}/")


def test_a_file_that_is_replaced_on_the_server(
    serve: Serve, data_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    path = folder / NAME
    path.write_bytes((data_dir / NAME).read_bytes())
    os.utime(path, (10**9, 10**9))
    with (
        serve(folder, tmp_path) as port,
        dcread.HDF5Data(f"http://127.0.0.1:{port}/{NAME}") as hd,
    ):
        path.write_bytes(path.read_bytes() + b"more")
        with pytest.raises(dcread.FileChangedError, match="open it again"):
            hd.image[:]


def test_tls(
    serve: Serve,
    data_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trustme = need("trustme")
    authority = trustme.CA()
    pem = tmp_path / "server.pem"
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(pem)
    with serve(data_dir, tmp_path, pem) as port:
        url = f"https://localhost:{port}/{NAME}"
        with pytest.raises(dcread.RemoteError, match="certificate"):
            dcread.HDF5Data(url)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        monkeypatch.setattr(ssl, "create_default_context", lambda: context)
        check(url, data_dir / NAME)
        with pytest.raises(dcread.RemoteError, match="certificate"):
            dcread.HDF5Data(url.replace("localhost", "127.0.0.1"))


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 service with one bucket, "private"."""
    need("moto")
    port = free_port()
    with running(
        sys.executable,
        "-m",
        "moto.server",
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
        port=port,
    ):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def bucket(
    s3: str, data_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    boto3 = need("boto3")
    client = boto3.client(
        "s3",
        endpoint_url=s3,
        aws_access_key_id="AK",
        aws_secret_access_key="SK",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="private")
    data = (data_dir / NAME).read_bytes()
    client.put_object(Bucket="private", Key=f"a b/{NAME}", Body=data)
    client.put_object(Bucket="private", Key="open.rtdc", Body=data, ACL="public-read")
    monkeypatch.setenv("DCREAD_S3_ENDPOINT_URL", s3)
    yield client
    client.close()


def test_s3_anonymous_and_signed(
    s3: str, bucket: Any, data_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, url = data_dir / NAME, f"s3://private/a b/{NAME}"
    check("s3://private/open.rtdc", path)
    check(f"{s3}/private/open.rtdc", path)
    with pytest.raises(dcread.RemoteError, match="needs Credentials"):
        dcread.HDF5Data(url)
    keys = dcread.Credentials(s3, access_key="AK", secret_key="SK", session_token="T")
    check(url, path, credentials=[keys])
    monkeypatch.delenv("DCREAD_S3_ENDPOINT_URL")
    check(url, path, credentials=[keys])
    monkeypatch.setenv("DCLAB_S3_ENDPOINT_URL", s3)
    monkeypatch.setenv("DCLAB_S3_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("DCLAB_S3_SECRET_ACCESS_KEY", "SK")
    check(url, path)


def test_presigned_urls(bucket: Any, data_dir: pathlib.Path) -> None:
    url = bucket.generate_presigned_url(
        "get_object", {"Bucket": "private", "Key": f"a b/{NAME}"}, ExpiresIn=60
    )
    check(url, data_dir / NAME)
    with dcread.HDF5Data(url) as hd:
        assert "?" not in hd.path


def test_commands_with_s3(
    bucket: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del bucket
    monkeypatch.setenv("DCREAD_S3_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("DCREAD_S3_SECRET_ACCESS_KEY", "hidden-key")
    assert cli.main(["info", "--json", f"s3://private/a b/{NAME}"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == f"s3://private/a b/{NAME}"
    assert cli.main(["verify", "s3://private/open.rtdc", "s3://private/gone.rtdc"]) == 1
    said = capsys.readouterr()
    assert "1 missing, 1 ok" in said.out
    assert "hidden-key" not in said.out + said.err


def test_s3_objects_that_are_not_there(bucket: Any) -> None:
    del bucket
    with pytest.raises(dcread.FileMissingError):
        dcread.HDF5Data("s3://private/other.rtdc")
