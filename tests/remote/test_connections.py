"""How many connections there are, when they are made, and who gets them."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dcread.engine.http_connect import Connector
from dcread.engine.network_limits import NetworkLimits
from dcread.engine.remote_source import AHEAD, RemoteSource
from dcread.errors import ClosedError, RemoteError

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


def test_few_connections_are_made_ahead(server: FaultServer, connect: Connect) -> None:
    source = connect(server.url)
    source.open()
    while source.client._pool._making.total():
        time.sleep(0.01)
    for start, stop in DISTANT[:3]:
        source.read(start, stop - start)
    assert server.connections == 2 + AHEAD
    assert AHEAD <= 2


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
    assert server.connections == 2 + AHEAD


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A function after whose call new connections are not ready until the end."""
    ended, genuine = threading.Event(), Connector.connect

    def connect(*args: Any) -> socket.socket:
        found = genuine(*args)
        ended.wait(10)
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_connections_of_its_own(
    server: FaultServer, connect: Connect
) -> None:
    """While others of the parent wait for connections, and some lie ready."""
    server.latency = FAR
    source = connect(server.url)
    source.open()
    expected = parts(server, DISTANT)
    found: list[list[bytes]] = []
    thread = threading.Thread(target=lambda: found.append(read(source, DISTANT)))
    thread.start()
    time.sleep(FAR / 2)
    child = os.fork()
    if not child:
        try:
            os._exit(read(source, DISTANT) != expected)
        finally:
            os._exit(9)
    _, status = os.waitpid(child, 0)
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert found == [expected]
    assert read(source, DISTANT) == expected  # the child has shut down none of these


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
