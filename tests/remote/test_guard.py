"""Nothing but public hosts is connected to, unless the caller named it.

`connect` is replaced: a hole shows as an address in a list, and nothing ever leaves the
machine.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dcread.engine.connection_pool import ConnectionPool
from dcread.engine.endpoint import endpoint_of
from dcread.engine.http_client import HTTPClient, redirect_target
from dcread.engine.remote_source import RemoteSource
from dcread.errors import DCReadError, PolicyError
from dcread.file.addresses import (
    AddressRule,
    looks_like_url,
    origin_of,
    why_not_public,
    why_not_public_address,
)
from dcread.file.credentials import Credentials
from dcread.file.open_url import open_url
from dcread.file.policy import Policy

from .conftest import BRIEF
from .fault_server import FaultServer

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.171",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.5",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]

PUBLIC = ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]

SPELLINGS = [
    "127.1",
    "127.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "00000177.0.0.1",
    "127.0.0.1.",
    "127.00.0.1",
    "\uff11\uff12\uff17.0.0.1",  # wide digits
    "127。0。0。1",
    "①②⑦.0.0.1",
    "0",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "localhost.localdomain",
    "metadata",
    "metadata.google.internal",
    "printer",
    "nas.local",
    "x.home.arpa",
    "[::1]",
    "[fe80::1%eth0]",
    "[fe80::1%25eth0]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::1%25lo]",
    "0x7f.1",
    "0x0",
    "10.1",
    "127.0.0.1%00",
    "127.0.0.1%2e",
    "%31%32%37.0.0.1",
    "127.0.0.1\t",
    "12\n7.0.0.1",
    "127.0.0.1 ",
    "127.0.0.1\u200b",
    "user@127.0.0.1",
    "example.org@127.0.0.1",
    "example.org:80@127.0.0.1",
    "127.0.0.1#@example.org",
    "127.0.0.1?@example.org",
    "127.0.0.1\\@example.org",
    "example.org\\@127.0.0.1",
    "127.0.0.1:80:80",
    "loc\u00adalhost",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "127.0.0.1%0d%0aHost:x",
]


class Nowhere:
    """In place of `connect`: notes where to, and never does it."""

    def __init__(self) -> None:
        self.places: list[Any] = []

    def __call__(self, address: Any) -> None:
        self.places.append(address[0])
        raise ConnectionRefusedError("no test leaves the machine")


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nowhere]:
    found, genuine = Nowhere(), ConnectionPool.make
    pools: list[ConnectionPool] = []

    def make(pool: ConnectionPool, *args: Any) -> None:
        pools.append(pool)
        genuine(pool, *args)

    monkeypatch.setattr(socket.socket, "connect", lambda _, place: found(place))
    monkeypatch.setattr(ConnectionPool, "make", make)
    yield found
    # Whoever still connects must not take the answers of the next test, nor true ones.
    until = time.monotonic() + 10
    while any(pool._making.total() for pool in pools):
        assert time.monotonic() < until
        time.sleep(0.01)


def check_url(url: str) -> None:
    """What a policy does with the text of a URL of a file."""
    reason = why_not_public(re.sub(r":\d+$", "", origin_of(url).partition("://")[2]))
    if reason:
        raise PolicyError(f"{url}: {reason}")


def strict(*named: str) -> HTTPClient:
    def check(url: str) -> None:
        if origin_of(url) not in named:
            check_url(url)

    return HTTPClient(AddressRule(check, named), BRIEF)


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have a name server give these addresses, one a question."""
    left = list(addresses)

    def look_up(_host: str, port: int, **_: object) -> list[Any]:
        address = left.pop(0) if len(left) > 1 else left[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        place = (address, port, 0, 0) if ":" in address else (address, port)
        return [(family, socket.SOCK_STREAM, 6, "", place)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    assert why_not_public(address)
    assert why_not_public_address(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert not why_not_public(address)


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_a_private_host_is_contacted(
    nowhere: Nowhere, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    def look_up(*_: object, **__: object) -> list[Any]:
        raise AssertionError("not even looked up")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for url in (f"http://{host}/x", f"https://{host}:8443/x"):
        with pytest.raises((DCReadError, ValueError)):
            RemoteSource(url, strict()).open()
        with pytest.raises(DCReadError):
            open_url(url, Policy(network=BRIEF))  # as for what a file names
    assert nowhere.places == []


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_a_private_address(
    nowhere: Nowhere, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    answers(monkeypatch, address)
    with pytest.raises(PolicyError, match="not public"):
        RemoteSource("https://example.org/x", strict()).open()
    assert nowhere.places == []


def test_a_refused_server_can_be_allowed_as_the_message_says(
    nowhere: Nowhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://10.0.0.1:9000/x"
    with pytest.raises(PolicyError) as caught:
        Policy().check_url(url)
    hosts = re.search(r"Policy\(hosts=\['(.*)'\]\)", str(caught.value))
    assert hosts is not None
    Policy(hosts=[hosts[1]]).check_url(url)
    answers(monkeypatch, "10.0.0.1")
    with pytest.raises(PolicyError) as caught:
        RemoteSource("https://example.org/x", strict()).open()
    assert "Policy(hosts=['https://example.org:443'])" in str(caught.value)
    assert nowhere.places == []


def test_a_name_that_changes_between_check_and_connection(
    nowhere: Nowhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(DCReadError):
        RemoteSource("https://example.org/x", strict()).open(tail=False)
    # What was checked is what is connected to; the second answer is checked as well.
    assert set(nowhere.places) == {"8.8.8.8"}


def test_public_hosts_are_connected_to(
    nowhere: Nowhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, "2606:4700::1111")
    with pytest.raises(DCReadError, match="no test leaves the machine"):
        RemoteSource("https://example.org/x", strict()).open(tail=False)
    assert set(nowhere.places) == {"2606:4700::1111"}


def test_a_named_origin_licenses_no_other_port() -> None:
    with FaultServer(b"x" * 100) as named, FaultServer(b"y" * 100) as other:
        client = strict(origin_of(named.url))
        RemoteSource(named.url, client).open()
        named.elsewhere = other.url
        named.fault("redirect to loopback")
        with pytest.raises(PolicyError):
            RemoteSource(named.url, client).open(tail=False)
        assert other.requests == []
        client.close()


def test_a_scheme_never_becomes_weaker() -> None:
    with pytest.raises(DCReadError, match="unprotected"):
        redirect_target("https://example.org/x", "http://example.org/x")
    assert redirect_target("http://a.org/x", "https://a.org/y") == "https://a.org/y"


@pytest.mark.parametrize("place", ["http://[::1/x", "//[x", "http://a.org:port/", "x:"])
def test_a_redirect_to_no_address(place: str) -> None:
    with FaultServer(b"x" * 100) as server:
        server.elsewhere = place
        server.fault("redirect to loopback")
        client = strict(origin_of(server.url))
        with pytest.raises(DCReadError):
            RemoteSource(server.url, client).open(tail=False)
        client.close()


@given(st.ip_addresses(v=4))
def test_ipv6_forms_of_an_address_are_judged_like_it(
    address: ipaddress.IPv4Address,
) -> None:
    plain = bool(why_not_public_address(address))
    number = int(address)
    for form in (
        0xFFFF << 32 | number,
        0x64FF9B << 96 | number,
        0x2002 << 112 | number << 80,
    ):
        assert bool(why_not_public_address(ipaddress.IPv6Address(form))) == plain
    if plain is False:
        assert address.is_global


@given(st.ip_addresses(v=6))
def test_what_python_knows_as_private_is_private(
    address: ipaddress.IPv6Address,
) -> None:
    inner = address.ipv4_mapped or address.sixtofour
    nat = int(address) >> 32 == 0x64FF9B << 64
    if inner is None and not nat and not address.is_global:
        assert why_not_public_address(address)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.ORG/x?y#z", "https://example.org:443"),
        ("http:/example.org/x", "http://example.org:80"),
        ("https:\\\\example.org\\x", "https://example.org:443"),
        ("http://[::0001]:81/", "http://[::1]:81"),
        ("https://bücher.example/", "https://xn--bcher-kva.example:443"),
        ("s3://bucket/key", "s3://bucket"),
    ],
)
def test_origins(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    ["ftp://a/", "a.org/x", "C:/x", "http://u:p@a.org/", "http://", "http://a:99999/"],
)
def test_what_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        origin_of(url)


@settings(max_examples=2000, deadline=None)
@example("https", "://", "a.org\\@b.net")
@given(
    st.sampled_from(["http", "https", "HTTPS", " http"]),
    st.sampled_from(["://", ":/", ":///", ":\\\\", "://\t", ":"]),
    st.lists(
        st.sampled_from(
            [*"/\\?#@:;%.\t\n []", "a.org", "b.net", "127.0.0.1", "::1", "8"]
        ),
        max_size=8,
    ).map("".join),
)
def test_a_url_has_one_host(scheme: str, mark: str, rest: str) -> None:
    """What is checked, and what credentials belong to, is what is connected to."""
    url = f"{scheme}{mark}{rest}"
    try:
        judged = origin_of(url)
        used = endpoint_of(url)
    except (ValueError, DCReadError):
        return
    assert used._replace(host=used.host.rstrip(".")).origin == judged


@pytest.mark.parametrize("rest", ["\\@evil.com/x", "\\.evil.com/x", "\\evil.com"])
def test_credentials_do_not_go_to_a_host_behind_a_backslash(
    nowhere: Nowhere, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    answers(monkeypatch, "8.8.8.8")
    url = f"https://trusted.org{rest}"
    keys = Credentials("https://trusted.org", token="tok3n")
    with pytest.raises(DCReadError):
        open_url(url, Policy(network=BRIEF), credentials=[keys])
    with pytest.raises(DCReadError):
        redirect_target("https://trusted.org/x", url)
    assert nowhere.places == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://a/x", True),
        ("s3://b/k", True),
        ("http:/a/x", True),
        ("http:\\\\a\\x", True),
        ("C:/data/x.rtdc", False),
        ("C:\\data\\x.rtdc", False),
        ("/data/x.rtdc", False),
        ("x.rtdc", False),
    ],
)
def test_what_looks_like_a_url(text: str, expected: bool) -> None:
    assert looks_like_url(text) is expected
