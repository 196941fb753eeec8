"""Servers on loopback, and limits that are short enough for tests."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dcread.engine.http_client import HTTPClient
from dcread.engine.network_limits import NetworkLimits
from dcread.engine.remote_source import RemoteSource

from .fault_server import FaultServer

BRIEF = NetworkLimits(
    connect=2, read=0.4, total=2, grace=0.3, attempts=3, connections=4
)


class Anywhere:
    """A guard that lets everything pass and notes it."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.addresses: list[tuple[str, str]] = []

    def check_url(self, url: str) -> None:
        self.urls.append(url)

    def check_address(self, origin: str, address: str) -> None:
        self.addresses.append((origin, address))


@pytest.fixture
def noise() -> bytes:
    """A file of 1 MB of noise."""
    return random.Random(5).randbytes(10**6)


@pytest.fixture
def server(noise: bytes) -> Iterator[FaultServer]:
    with FaultServer(noise) as found:
        yield found


@pytest.fixture
def guard() -> Anywhere:
    return Anywhere()


@pytest.fixture
def connect(guard: Anywhere) -> Iterator[Callable[..., RemoteSource]]:
    """A function that returns a source for a URL, not opened yet."""
    opened: list[RemoteSource] = []

    def make(url: str, limits: NetworkLimits = BRIEF, **options: Any) -> RemoteSource:
        source = RemoteSource(url, HTTPClient(guard, limits), **options)
        opened.append(source)
        return source

    yield make
    for source in opened:
        source.close()
    # A connection that was on its way is given up soon, not at once.
    until = time.monotonic() + 10
    for source in opened:
        while source.client._pool._making.total():
            assert time.monotonic() < until
            time.sleep(0.01)
