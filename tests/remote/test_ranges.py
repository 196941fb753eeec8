"""Bytes over HTTP are those of the file, or there is an error that says what to do."""

from __future__ import annotations

import functools
import math
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dcread.engine import parallel_reads
from dcread.engine.http_client import HTTPClient
from dcread.engine.network_limits import NetworkLimits
from dcread.engine.remote_source import AHEAD, RemoteSource
from dcread.errors import (
    ClosedError,
    DCReadError,
    FileChangedError,
    FileMissingError,
    FormatError,
    PolicyError,
    RemoteError,
)

from .conftest import BRIEF, Anywhere
from .fault_server import FAULTS, FaultServer

Connect = Callable[..., RemoteSource]

RANGES = [(0, 10), (500_000, 700_000), (999_990, 1_000_000), (20, 21)]

SURVIVED_ONCE = [
    "503",
    "429",
    "500",
    "stall",
    "stall before the head",
    "reset",
    "hangs up",
    "cut body",
    "garbage",
    "drip",
    "slow headers",
    "endless headers",
    "endless continue",
]

CHANGED = ["new ETag", "replaced without ETag"]

UNNOTICED = ["flipped bits", "no suffix ranges"]
"""Bytes have no checksum here; chunks have."""


def read(source: RemoteSource, ranges: list[tuple[int, int]]) -> list[bytes]:
    found: dict[int, bytes] = {}
    source.read_ranges(ranges, lambda number, data: found.update({number: bytes(data)}))
    return [found[number] for number in range(len(ranges))]


def test_head_and_tail_come_in_one_round(server: FaultServer, connect: Connect) -> None:
    server.latency = 0.2
    begin = time.monotonic()
    parts = connect(server.url).open()
    assert time.monotonic() - begin < 0.39
    for start, data in parts:
        assert data == server.data[start : start + len(data)]
    assert [start for start, _ in parts] == [0, 10**6 - 2**16]
    assert len(server.requests) == 2


HEADS: dict[str, Callable[[bytes], bytes]] = {
    "small letters": lambda head: b"HTTP" + head[4:].lower(),
    "no reason": lambda head: head.replace(b" Partial Content", b""),
    "spaces": lambda head: head.replace(b": ", b":  \t").replace(b"\r\n", b" \r\n", 3),
    "no spaces": lambda head: head.replace(b": ", b":"),
    "a line on two": lambda head: head.replace(b"Range: ", b"Range:\r\n "),
    "twice": lambda head: head.replace(b"ETag", b"Via: a\r\nVia: b\r\nETag"),
    "the length twice": lambda head: head.replace(
        b"ETag", re.search(rb"Content-Length.*\n", head)[0] + b"ETag"
    ),
    "letters beyond ASCII": lambda head: head.replace(b"ETag", b"Via: \xe4\r\nETag"),
    "a long head": lambda head: head.replace(b"ETag", b"Via: %9000d\r\nETag" % 1),
    "keeps": lambda head: head.replace(b"ETag", b"Connection: Keep-Alive\r\nETag"),
    "ends": lambda head: head.replace(b"ETag", b"Connection: close\r\nETag"),
    "older protocol": lambda head: head.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "lines end otherwise": lambda head: head.replace(b"\r\n", b"\n"),
}


@pytest.mark.parametrize("head", HEADS)
def test_heads_are_written_in_many_ways(
    server: FaultServer, connect: Connect, head: str
) -> None:
    server.rewrite = HEADS[head]
    source = connect(server.url)
    source.open()
    for _ in range(2):
        assert read(source, RANGES) == [server.data[slice(*one)] for one in RANGES]
    assert len(server.requests) == 2 + 2 * len(RANGES)  # nothing was asked for twice
    if head == "ends":
        assert server.connections == len(server.requests)


def test_ranges_are_those_of_the_file(server: FaultServer, connect: Connect) -> None:
    source = connect(server.url)
    source.open()
    assert source.size == 10**6
    assert read(source, RANGES) == [server.data[a:b] for a, b in RANGES]
    assert source.read(77, 5) == server.data[77:82]
    assert all("if-match" in one.headers for one in server.requests[2:])


@pytest.mark.parametrize("size", [1, 100, 2**16, 2**16 + 1])
def test_small_files(noise: bytes, connect: Connect, size: int) -> None:
    with FaultServer(noise[:size]) as server:
        source = connect(server.url)
        source.open()
        assert source.size == size
        assert source.read(0, size) == noise[:size]


def test_an_empty_file_is_named(connect: Connect) -> None:
    with FaultServer(b"") as server, pytest.raises(FormatError, match="empty file"):
        connect(server.url).open()


def test_a_range_beyond_the_end_is_refused(
    server: FaultServer, connect: Connect
) -> None:
    source = connect(server.url)
    source.open()
    asked = len(server.requests)
    with pytest.raises(FormatError, match="1000000 bytes"):
        source.read(999_999, 2)
    assert len(server.requests) == asked


@pytest.mark.parametrize("fault", SURVIVED_ONCE)
def test_one_failure_is_survived(
    server: FaultServer, connect: Connect, fault: str
) -> None:
    source = connect(server.url)
    source.open()
    server.fault(fault, detail="Retry-After: 0\r\n" if fault == "429" else "")
    assert read(source, RANGES) == [server.data[a:b] for a, b in RANGES]


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - set(UNNOTICED)))
@pytest.mark.parametrize("first", [True, False], ids=["first round", "later"])
def test_a_lasting_failure_is_an_error_in_time(
    server: FaultServer, connect: Connect, fault: str, first: bool
) -> None:
    source = connect(server.url)
    if not first:
        source.open()
    elif fault in CHANGED:
        pytest.skip("needs a first state")
    server.fault(fault, math.inf)
    begin = time.monotonic()
    act = source.open if first else functools.partial(read, source, RANGES)
    with pytest.raises(DCReadError) as caught:
        act()
    assert time.monotonic() - begin < 6
    assert not isinstance(caught.value, ClosedError)
    if fault in CHANGED:
        assert isinstance(caught.value, FileChangedError)
    elif fault == "404":
        assert isinstance(caught.value, FileMissingError)
    else:
        assert isinstance(caught.value, RemoteError)
    message = str(caught.value)
    assert f"{server.origin}/" in message
    assert re.search(
        "open it again|try again|download|check the URL|expired|browser|not followed",
        message,
    )


def test_a_server_without_suffix_ranges(server: FaultServer, connect: Connect) -> None:
    server.fault("no suffix ranges", math.inf)
    source = connect(server.url)
    parts = source.open()
    assert parts == [(0, server.data[: 2**16])]
    assert source.read(5, 7) == server.data[5:12]


def test_a_file_that_changed_by_size_alone(noise: bytes, connect: Connect) -> None:
    with FaultServer(noise, etag="") as server:
        server.modified = ""
        source = connect(server.url)
        source.open()
        server.data = noise + b"more"
        with pytest.raises(FileChangedError, match=r"size was 1000000 and is 1000004"):
            source.read(0, 5)


def test_a_weak_etag_is_not_relied_on(noise: bytes, connect: Connect) -> None:
    with FaultServer(noise, etag='W/"x"') as server:
        source = connect(server.url)
        source.open()
        assert source.identity is not None
        assert not source.identity.is_certain
        source.read(0, 5)
        assert "if-match" not in server.requests[-1].headers


def test_retry_after_is_honoured(server: FaultServer, connect: Connect) -> None:
    source = connect(server.url)
    source.open()
    server.fault("503", detail="Retry-After: 1\r\n")
    begin = time.monotonic()
    source.read(0, 5)
    assert time.monotonic() - begin >= 1


def test_who_asks_for_too_long_a_pause_gets_an_error_at_once(
    server: FaultServer, connect: Connect
) -> None:
    source = connect(server.url)
    source.open()
    server.fault("429", detail="Retry-After: 3600\r\n")
    begin = time.monotonic()
    with pytest.raises(RemoteError, match="429 Too Many Requests"):
        source.read(0, 5)
    assert time.monotonic() - begin < 1


def test_a_denied_address_is_renewed_once(
    server: FaultServer, connect: Connect
) -> None:
    renewed = []

    def renew() -> str:
        renewed.append(1)
        return f"{server.url}?Signature=new"

    server.allow = lambda request: 0 if "=new" in request.path else 403
    source = connect(f"{server.url}?Signature=old", renew=renew)
    source.open()
    assert source.read(3, 4) == server.data[3:7]
    assert renewed == [1]
    server.allow = lambda _: 403
    with pytest.raises(RemoteError, match="403 Forbidden") as caught:
        source.read(3, 4)
    assert "Signature" not in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    ["stall", "stall before the head", "drip", "slow headers", "endless continue"],
)
def test_close_ends_what_waits(
    server: FaultServer, connect: Connect, running: Callable[..., Any], fault: str
) -> None:
    patient = NetworkLimits(read=60, grace=60, total=600)
    source = connect(server.url, patient)
    source.open()
    server.fault(fault, math.inf)
    reads = 4 * [functools.partial(source.read, 0, 10**5)]
    with running(*reads, until=ClosedError):
        time.sleep(0.3)
        begin = time.monotonic()
        source.close()
    assert time.monotonic() - begin < 2


def mute() -> Iterator[str]:
    """A server that takes connections and says nothing, as http and as https."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/x"


def deaf() -> Iterator[str]:
    """A server that takes no connection: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        for one in waiting:
            one.close()


def unknown() -> Iterator[str]:
    """A name that no name server tells anything about, for a long time."""
    asked = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *_, **__: [][asked.wait(60) :])
        yield "http://example.invalid/x"
        asked.set()


@pytest.mark.parametrize("places", [mute, deaf, unknown])
def test_close_ends_an_opening(
    connect: Connect,
    running: Callable[..., Any],
    places: Callable[[], Iterator[str]],
) -> None:
    patient = NetworkLimits(connect=60, read=60, total=600)
    for url in places():
        source = connect(url, patient)
        with running(source.open, until=ClosedError) as (opening,):
            time.sleep(0.3)
            assert not opening.done()
            begin = time.monotonic()
            source.close()
        assert time.monotonic() - begin < 2


def test_close_ends_a_pause_between_attempts(
    server: FaultServer, connect: Connect
) -> None:
    source = connect(server.url, NetworkLimits())
    source.open()
    server.fault("503", math.inf, "Retry-After: 30\r\n")
    timer = threading.Timer(0.3, source.close)
    timer.start()
    begin = time.monotonic()
    with pytest.raises(ClosedError):
        source.read(0, 5)
    assert time.monotonic() - begin < 2
    timer.join()


def test_memory_of_ranges_is_used_again(connect: Connect) -> None:
    data = random.Random(6).randbytes(2**23)
    ranges = [(start, start + 2**20) for start in range(0, 2**23, 2**20)]
    with FaultServer(data) as server:
        source = connect(server.url)
        source.open()
        for fault in ("", "cut body", "reset"):
            if fault:
                server.fault(fault)
            assert read(source, ranges) == [data[a:b] for a, b in ranges]
            assert 0 < len(parallel_reads._kept) <= parallel_reads.KEPT

        def refuse(number: int, _: memoryview) -> None:
            raise ValueError(number)

        with pytest.raises(ValueError, match=r"^[0-7]$"):
            source.read_ranges(ranges, refuse)
        assert read(source, ranges) == [data[a:b] for a, b in ranges]
        source.close()
        kept = set(map(id, parallel_reads._kept))
        assert 0 < len(kept) <= parallel_reads.KEPT
        other = connect(server.url)
        other.open()
        assert read(other, ranges[:2]) == [data[a:b] for a, b in ranges[:2]]
        assert set(map(id, parallel_reads._kept)) == kept


def test_connections_are_used_again(server: FaultServer, connect: Connect) -> None:
    source = connect(server.url)
    source.open()
    for number in range(20):
        source.read(number, 1)
    assert len(server.requests) == 22
    assert len(server._open) <= 2 + AHEAD


def test_a_kept_connection_that_the_server_ended_is_no_failure(
    server: FaultServer, connect: Connect
) -> None:
    once = NetworkLimits(attempts=1)
    source = connect(server.url, once)
    source.open()
    for _ in range(5):
        server.fault("hangs up")
        assert source.read(5, 5) == server.data[5:10]


def test_threads_share_a_source_in_spite_of_faults(
    server: FaultServer, connect: Connect, in_threads: Callable[..., Any]
) -> None:
    source = connect(server.url, NetworkLimits(read=0.4, attempts=9, connections=4))
    source.open()
    faults = ["503", "reset", "cut body", "429", "hangs up", "stall"]
    chance = random.Random(4)
    server.spoil = lambda: chance.choice(faults) if chance.random() < 0.2 else ""

    def work(seed: int) -> None:
        for number in range(30):
            start = (seed * 7919 + number * 104729) % 900_000
            assert source.read(start, 999) == server.data[start : start + 999]

    in_threads(work, range(8))


class Only:
    """A guard that refuses all but some origins."""

    def __init__(self, *origins: str) -> None:
        self.origins = origins

    def check_url(self, url: str) -> None:
        if not url.startswith(tuple(f"{origin}/" for origin in self.origins)):
            raise PolicyError(f"{url}: refused")

    def check_address(self, origin: str, address: str) -> None:
        if origin not in self.origins:
            raise PolicyError(f"{origin} at {address}: refused")


def test_a_redirect_is_followed_and_remembered(
    server: FaultServer, noise: bytes, connect: Connect
) -> None:
    with FaultServer(noise) as other:
        server.elsewhere = other.url
        server.fault("redirect to loopback", 2)
        source = connect(server.url)
        source.open()
        asked = len(server.requests)
        assert asked in {1, 2}  # the head, and the tail unless that came later
        assert source.read(3, 4) == noise[3:7]
        assert len(server.requests) == asked
        assert len(other.requests) == 3


def test_each_redirect_is_shown_to_the_guard(server: FaultServer) -> None:
    server.fault("redirect to loopback")
    client = HTTPClient(Only(server.origin), BRIEF)
    with pytest.raises(PolicyError, match="6379"):
        RemoteSource(server.url, client).open(tail=False)
    client.close()


def test_the_guard_sees_the_numeric_address(
    server: FaultServer, connect: Connect, guard: Anywhere
) -> None:
    connect(server.url.replace("127.0.0.1", "localhost")).open(tail=False)
    origin = f"http://localhost:{server.port}"
    assert (origin, "127.0.0.1") in guard.addresses


def test_errors_do_not_show_the_query(server: FaultServer, connect: Connect) -> None:
    server.fault("404", math.inf)
    with pytest.raises(FileMissingError) as caught:
        connect(f"{server.url}?id=5&X-Amz-Signature=secret").open()
    assert "?" not in str(caught.value)


def test_an_error_body_is_not_read_to_its_end(
    server: FaultServer, connect: Connect
) -> None:
    source = connect(server.url)
    source.open()
    before = source.client.received
    server.fault("503", detail="Retry-After: 0\r\n")
    source.read(0, 5)
    assert source.client.received - before < 30_000  # 50,000 were offered


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/x", "http://", "http://[::1/x", "http:///x", "x"]
)
def test_what_is_no_url(connect: Connect, url: str) -> None:
    with pytest.raises(RemoteError, match="not a valid URL"):
        connect(url).open()


def test_nobody_listens(connect: Connect) -> None:
    with FaultServer(b"x") as gone:
        url = gone.url
    with pytest.raises(RemoteError, match="check the network"):
        connect(url).open()
