"""How many connections there are, when they are made, and who gets them."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dcread.engine.endpoint import Endpoint
from dcread.engine.http_connect import Connector
from dcread.engine.http_failures import TemporaryError
from dcread.engine.network_limits import NetworkLimits
from dcread.engine.remote_source import AHEAD, RemoteSource
from dcread.engine.remote_source import MOST as MOST_BYTES
from dcread.engine.stop import Stop, StoppedError
from dcread.errors import ClosedError, RemoteError
from dcread.sync.loading_cache import this_thread

from .conftest import BRIEF
from .fault_server import FaultServer

Connect = Callable[..., RemoteSource]

FAR, NEAR = 0.06, 0.0
"""Seconds to an answer."""

DISTANT = [(start, start + 100) for start in range(0, 10**6, 50_000)]
"""Twenty ranges: more than there are connections."""

MOST = NetworkLimits().connections


def read(source: RemoteSource, ranges: list[tuple[int, int]]) -> list[bytes]:
    found: dict[int, bytes] = {}
    source.read_ranges(ranges, lambda number, data: found.update({number: bytes(data)}))
    return [found[number] for number in range(len(ranges))]


def parts(server: FaultServer, ranges: list[tuple[int, int]]) -> list[bytes]:
    return [server.data[start:stop] for start, stop in ranges]


@pytest.mark.parametrize(
    ("latency", "count", "expected"),
    [(FAR, 20, 20), (FAR, 21, MOST), (FAR, 5, 5), (NEAR, 20, MOST)],
)
def test_one_wave_of_twenty_if_the_server_is_far_away(
    server: FaultServer, connect: Connect, latency: float, count: int, expected: int
) -> None:
    server.latency = latency
    source = connect(server.url, NetworkLimits())
    source.open()
    server.gathering = expected
    ranges = [(start, start + 100) for start in range(0, count * 40_000, 40_000)]
    assert read(source, ranges) == parts(server, ranges)
    assert server.most_at_once == expected


@pytest.mark.parametrize("fault", ["429", "503"])
def test_a_server_that_complains_is_asked_for_less_at_once(
    server: FaultServer, connect: Connect, fault: str
) -> None:
    server.latency = FAR
    source = connect(server.url, NetworkLimits())
    source.open()
    server.fault(fault, 6, "Retry-After: 0\r\n")  # answers to one wave: one complaint
    assert read(source, DISTANT) == parts(server, DISTANT)
    server.most_at_once = 0
    assert read(source, DISTANT) == parts(server, DISTANT)
    assert MOST // 8 <= server.most_at_once <= MOST // 2


def assert_made(server: FaultServer, count: int) -> None:
    """Fewer are made if those made ahead are ready before the first two are wanted."""
    assert count - AHEAD <= server.connections <= count


def test_few_connections_are_made_ahead(server: FaultServer, connect: Connect) -> None:
    source = connect(server.url)
    source.open()
    while source.client._pool._making.total():
        time.sleep(0.01)
    for start, stop in DISTANT[:3]:
        source.read(start, stop - start)
    assert_made(server, 2 + AHEAD)
    assert AHEAD <= 2


@pytest.mark.parametrize(
    ("scheme", "size", "expected"),
    [
        ("https", 6 * MOST_BYTES, 6),
        ("https", 6 * MOST_BYTES - 1, 2 + AHEAD),
        ("http", 6 * MOST_BYTES, 2 + AHEAD),
    ],
)
def test_all_connections_are_made_ahead_for_a_large_file_over_tls(
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    size: int,
    expected: int,
) -> None:
    monkeypatch.setattr(Connector, "_encrypt", lambda _, sock, *__: sock)
    with FaultServer(bytes(size)) as server:
        url = server.url.replace("http", scheme)
        source = connect(url, NetworkLimits(connections=6))
        source.open()
        while source.client._pool._making.total():
            time.sleep(0.01)
        assert read(source, [(0, 10)]) == [bytes(10)]
        assert_made(server, expected)


def test_no_more_connections_are_made_ahead_than_there_may_be(
    server: FaultServer, connect: Connect
) -> None:
    source = connect(server.url, NetworkLimits(connections=2))
    source.open()
    assert read(source, DISTANT) == parts(server, DISTANT)
    while source.client._pool._making.total():
        time.sleep(0.01)
    assert server.connections == 2


def test_connections_made_ahead_are_used(server: FaultServer, connect: Connect) -> None:
    server.latency = FAR
    source = connect(server.url)
    source.open()
    assert read(source, DISTANT[: 2 + AHEAD]) == parts(server, DISTANT[: 2 + AHEAD])
    assert_made(server, 2 + AHEAD)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A function after whose call new connections are not ready until the end.

    Who makes one gives up in time, or when stopped, as with a server that is silent.
    """
    ended, genuine = threading.Event(), Connector.connect

    def connect(
        self: Connector, endpoint: Endpoint, url: str, until: float, stop: Stop
    ) -> socket.socket:
        found = genuine(self, endpoint, url, until, stop)
        while not ended.wait(0.02):
            if stop.is_set() or time.monotonic() > until:
                found.close()
                raise StoppedError if stop.is_set() else TemporaryError("too late")
        return found

    yield lambda: monkeypatch.setattr(Connector, "connect", connect)
    ended.set()


def test_who_waits_for_a_new_connection_takes_one_that_comes_back(
    server: FaultServer, connect: Connect, stuck: Callable[[], None]
) -> None:
    source = connect(server.url)
    source.open(tail=False)
    stuck()
    assert read(source, DISTANT) == parts(server, DISTANT)
    assert len({one.headers["host"] for one in server.requests}) == 1
    assert source.client._pool.active == 0


@pytest.mark.parametrize(("latency", "expected"), [(NEAR, True), (FAR, False)])
def test_who_reads_connects_to_a_server_nearby(
    server: FaultServer,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    latency: float,
    expected: bool,
) -> None:
    """Further away, threads do that for whoever is first."""
    server.latency = latency
    source = connect(server.url)
    source.open(tail=False)
    for _ in range(5):  # the shortest time to an answer counts
        read(source, DISTANT[:1])
    source.client._pool._idle.pop().close()
    made: list[int] = []
    genuine = Connector.connect

    def noted(*args: Any) -> socket.socket:
        made.append(threading.get_ident())
        return genuine(*args)

    monkeypatch.setattr(Connector, "connect", noted)
    assert read(source, DISTANT[:1]) == parts(server, DISTANT[:1])
    assert (made == [threading.get_ident()]) == expected


def test_close_ends_those_who_wait_for_a_connection(
    server: FaultServer, connect: Connect, stuck: Callable[[], None]
) -> None:
    source = connect(server.url)
    source.open(tail=False)
    server.latency = 0.5
    stuck()
    timer = threading.Timer(0.2, source.close)
    timer.start()
    begin = time.monotonic()
    with pytest.raises(ClosedError):
        read(source, DISTANT)
    assert time.monotonic() - begin < 2
    timer.join()


def test_a_connection_that_comes_too_late_is_closed(
    server: FaultServer, connect: Connect, stuck: Callable[[], None]
) -> None:
    source = connect(server.url)
    source.open(tail=False)
    stuck()
    source.client.connect_ahead(server.url, 3)
    source.close()
    pool = source.client._pool
    assert (pool._idle, pool.active) == ([], 0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts whose addresses were asked for."""
    hosts: list[str] = []
    genuine = socket.getaddrinfo

    def noted(host: str, *args: Any, **options: Any) -> list[Any]:
        hosts.append(host)
        return genuine(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    return hosts


def test_the_first_connections_ask_for_addresses_the_others_know_them(
    server: FaultServer, connect: Connect, asked: list[str]
) -> None:
    server.latency = FAR
    url = server.url.replace("127.0.0.1", "localhost")
    source = connect(url, NetworkLimits(connections=8))
    source.open()
    while source.client._pool._making.total():
        time.sleep(0.01)
    first = len(asked)
    assert 1 <= first <= 2 + AHEAD
    assert read(source, DISTANT) == parts(server, DISTANT)
    assert server.connections > first
    assert len(asked) == first


def test_addresses_that_answer_no_more_are_asked_for_again(
    server: FaultServer,
    connect: Connect,
    asked: list[str],
) -> None:
    source = connect(server.url)
    source.open(tail=False)
    source.client._pool._idle.pop().close()
    known = source.client._connector._found
    ((place, addresses),) = known.items()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = [(*one[:4], listener.getsockname()) for one in addresses]
    known[place] = gone
    first = len(asked)
    assert read(source, DISTANT[:1]) == parts(server, DISTANT[:1])
    assert len(asked) == first + 1
    assert known == {place: addresses}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_connections_of_its_own(
    server: FaultServer,
    connect: Connect,
    running: Callable[..., Any],
    in_forked_child: Callable[..., None],
) -> None:
    """While others of the parent wait for connections, and some lie ready."""
    server.latency = FAR
    source = connect(server.url)
    source.open()
    expected = parts(server, DISTANT)
    with running(lambda: read(source, DISTANT)) as (found,):
        time.sleep(FAR / 2)
        in_forked_child(lambda: read(source, DISTANT) == expected)
    assert found.result() == expected
    assert read(source, DISTANT) == expected  # the child has shut down none of these


@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_read_ahead_comes_after_what_others_wait_for(
    server: FaultServer,
    connect: Connect,
    running: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    ahead: bool,
) -> None:
    server.latency = 0.2
    source = connect(server.url)
    source.open()
    ranges = DISTANT[: BRIEF.connections]
    with running(lambda: read(source, ranges)) as (found,):
        until = time.monotonic() + 10
        while server.most_at_once < len(ranges) and time.monotonic() < until:
            time.sleep(0.001)
        monkeypatch.setattr(this_thread, "is_ahead", ahead)
        assert read(source, DISTANT[-1:]) == parts(server, DISTANT[-1:])
    assert found.result() == parts(server, ranges)
    assert server.most_at_once == len(ranges) + (not ahead)


def test_what_is_read_ahead_does_not_wait_for_long(
    server: FaultServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may ask for more and more."""
    server.latency = FAR
    source = connect(server.url)
    source.open()
    monkeypatch.setattr(type(source.client._pool), "active", 99)
    monkeypatch.setattr(this_thread, "is_ahead", True)
    begin = time.monotonic()
    assert read(source, DISTANT[:1]) == parts(server, DISTANT[:1])
    assert time.monotonic() - begin > 3 * FAR


def test_a_failure_to_connect_ahead_is_told_once_and_by_who_reads(
    connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    source = connect(f"http://127.0.0.1:{port}/x", BRIEF)
    with pytest.raises(RemoteError, match="no connection"):
        source.open()
    assert capfd.readouterr().err == ""


def test_a_lost_connection_is_replaced_for_who_waits(
    server: FaultServer, connect: Connect
) -> None:
    """Each fault closes a connection while others wait for one."""
    source = connect(server.url, NetworkLimits(read=0.4, attempts=9, connections=4))
    source.open()
    for fault in ("reset", "hangs up", "cut body", "stall", "garbage") * 2:
        server.fault(fault)
        assert read(source, DISTANT) == parts(server, DISTANT)
    assert source.client._pool.active == 0
    assert source.client._pool._waiting == []
