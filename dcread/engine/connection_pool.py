"""Connections that many threads share, and that one of them can end at once."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..sync.locks import BriefLock
from .endpoint import Endpoint
from .http_connect import Connector
from .stop import Stop, StoppedError
from .traffic import traffic


@dataclass(eq=False)
class Connection:
    """A connection that is kept for further requests."""

    endpoint: Endpoint
    sock: socket.socket
    pid: int = field(default_factory=os.getpid)
    used: bool = False

    def close(self) -> None:
        """Let go of the socket."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def interrupt(self) -> None:
        """Have a thread that waits on the socket go on at once."""
        with contextlib.suppress(OSError):
            # Not that of SSLSocket, which drops what the other thread is using.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class ConnectionPool:
    """Connections in use, and some that are kept for further requests.

    Parameters
    ----------
    connector : Connector
        Makes new ones.
    most : int
        How many are kept.
    stop : Stop
        Once it is set, no connection is kept, nor made.

    Attributes
    ----------
    requests, received : int
        How many requests were sent, and how many bytes of bodies came.
    """

    def __init__(self, connector: Connector, most: int, stop: Stop) -> None:
        self.requests = 0
        self.received = 0
        self._connector = connector
        self._most = most
        self._stop = stop
        self._lock = BriefLock()
        self._idle: list[Connection] = []
        self._live: set[Connection] = set()
        self._pid = os.getpid()

    @property
    def active(self) -> int:
        """How many connections are in use."""
        return len(self._live)

    def interrupt(self) -> None:
        """End all connections; whoever waits on one goes on at once."""
        with self._here():
            live, idle = list(self._live), self._idle
            self._idle = []
        for connection in live:
            connection.interrupt()
        for connection in idle:
            connection.close()

    def count_request(self) -> None:
        """Count a request that is about to be sent."""
        with self._here():
            self.requests += 1

    def borrow(
        self, endpoint: Endpoint, url: str, until: float, stop: Stop
    ) -> Connection:
        """Return a connection that is kept, else a new one."""
        with self._here():
            idle = self._take_idle(endpoint)
        if idle is not None:
            return idle
        connection = Connection(
            endpoint, self._connector.connect(endpoint, url, until, stop)
        )
        with self._here():
            self._live.add(connection)
        if self._stop.is_set():  # closed meanwhile, without seeing this connection
            self.give_back(connection, keep=False)
            raise StoppedError
        return connection

    def _take_idle(self, endpoint: Endpoint) -> Connection | None:
        for number, connection in enumerate(self._idle):
            if connection.endpoint == endpoint:
                del self._idle[number]
                self._live.add(connection)
                return connection
        return None

    def give_back(
        self, connection: Connection, *, keep: bool, received: int = 0
    ) -> None:
        """Take a connection back, to be used again or to be closed."""
        traffic.add(received)
        with self._here():
            self.received += received
            self._live.discard(connection)
            keep = keep and not self._stop.is_set() and connection.pid == self._pid
            if keep and len(self._idle) < self._most:
                self._idle.append(connection)
                return
        connection.close()

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        """Hold the lock; in a forked child drop the connections of the parent."""
        if os.getpid() != self._pid:
            # Without shutting them down: the parent goes on with them.
            self._idle, self._live, self._pid = [], set(), os.getpid()
        with self._lock:
            yield
