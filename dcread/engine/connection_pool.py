"""Connections that many threads share, and that one of them can end at once."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from ..problems import pass_on
from ..sync.background import BackgroundThread
from ..sync.locks import BriefLock
from .endpoint import Endpoint
from .http_connect import Connector
from .http_failures import TemporaryError
from .stop import SLICE, Stop, StoppedError
from .traffic import traffic


@dataclass(eq=False)
class Connection:
    """A connection that is kept for further requests.

    Attributes
    ----------
    used : bool
        Whether it has answered, or was kept: if it ends now, another one may do.
    """

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


class _Waiter:
    """A thread that waits for a connection: whichever is ready first."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.connection: Connection | None = None
        self.failure: BaseException | None = None
        self._served = threading.Event()

    def serve(
        self, connection: Connection | None, failure: BaseException | None = None
    ) -> None:
        """End the waiting."""
        self.connection, self.failure = connection, failure
        self._served.set()

    def wait(self, stop: Stop) -> None:
        """Wait until served, or raise `StoppedError`."""
        while not self._served.wait(SLICE):
            if stop.is_set():
                raise StoppedError


class ConnectionPool:
    """Connections in use, and some that are kept for further requests.

    New ones are made by threads of their own: who waits takes one that another thread
    gives back, if that comes first, and the new one is kept.

    Parameters
    ----------
    connector : Connector
        Makes new ones.
    most : int
        How many are kept at the most.
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
        self._waiting: list[_Waiter] = []
        self._making: Counter[Endpoint] = Counter()
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

    def borrow(
        self,
        endpoint: Endpoint,
        url: str,
        until: float,
        stop: Stop,
        *,
        patience: float = 0,
    ) -> Connection:
        """Return a connection that is kept or given back, else a new one.

        Parameters
        ----------
        endpoint : Endpoint
            Where it leads to.
        url : str
            What it is wanted for.
        until : float
            When to give up.
        stop : Stop
            Ends the waiting.
        patience : float
            Seconds for which this thread makes a new one itself, before it waits for
            another thread to make one, or to give one back. Infinite where none can be
            given back.
        """
        with self._here():
            self.requests += 1
            idle = self._take_idle(endpoint)
            wanted = patience and not self._making[endpoint]
        if idle is not None:
            return idle
        if wanted or patience == math.inf:
            made = self._connect_here(endpoint, url, until, stop, patience)
            if made is not None:
                return made
        waiter = _Waiter(endpoint)
        lacking = 0
        try:
            with self._here():
                idle = self._take_idle(endpoint)
                if idle is None:
                    self._waiting.append(waiter)
                    lacking = self._count_waiting(endpoint) - self._making[endpoint]
            if idle is not None:
                return idle
            if lacking > 0:
                self.make(endpoint, url, until)
            waiter.wait(stop)
        except BaseException:
            with self._here():
                self._withdraw(waiter)
            raise
        if waiter.failure is not None:
            raise waiter.failure
        connection = waiter.connection
        assert connection is not None
        if self._stop.is_set():  # closed meanwhile, without seeing this connection
            self.give_back(connection, keep=False)
            raise StoppedError
        return connection

    def _connect_here(
        self,
        endpoint: Endpoint,
        url: str,
        until: float,
        stop: Stop,
        patience: float,
    ) -> Connection | None:
        """Return a new connection, made by this thread; None if that takes long."""
        end = min(until, time.monotonic() + patience)
        connect = self._connector.connect
        made: list[socket.socket] = []  # noted at once: see `locks`
        try:
            made.extend(map(connect, (endpoint,), (url,), (end,), (stop,)))
            connection = Connection(endpoint, made[0])
            with self._here():
                self._live.add(connection)
        except TemporaryError as exc:
            pass_on(exc)
            if end == until:
                raise
            return None
        except BaseException:
            for sock in made:
                sock.close()
            raise
        if self._stop.is_set():  # closed meanwhile, without seeing this connection
            self.give_back(connection, keep=False)
            raise StoppedError
        return connection

    def make(self, endpoint: Endpoint, url: str, until: float) -> None:
        """Have a connection made, for whoever waits for one or will."""
        with self._here():
            self._making[endpoint] += 1
        work = functools.partial(self._make, endpoint, url, until)
        try:
            BackgroundThread(work, awaited=False).start()
        except BaseException:  # there are too many threads
            with self._here():
                self._making[endpoint] -= 1
            raise

    def _make(self, endpoint: Endpoint, url: str, until: float) -> None:
        connection, failure = None, None
        try:
            sock = self._connector.connect(endpoint, url, until, self._stop)
            connection = Connection(endpoint, sock)
        except BaseException as exc:
            failure = exc
        with self._here():
            self._making[endpoint] -= 1
            waiter = self._next_waiter(endpoint)
            if waiter is not None and connection is not None:
                self._live.add(connection)
            if waiter is not None:
                waiter.serve(connection, failure)
        if waiter is None and connection is not None:
            self.give_back(connection, keep=True)

    def _count_waiting(self, endpoint: Endpoint) -> int:
        return sum(waiter.endpoint == endpoint for waiter in self._waiting)

    def _next_waiter(self, endpoint: Endpoint) -> _Waiter | None:
        for number, waiter in enumerate(self._waiting):
            if waiter.endpoint == endpoint:
                return self._waiting.pop(number)
        return None

    def _withdraw(self, waiter: _Waiter) -> None:
        """Forget who waits no more; what came meanwhile is closed."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif waiter.connection is not None:
            self._live.discard(waiter.connection)
            waiter.connection.close()

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
            waiter = self._next_waiter(connection.endpoint) if keep else None
            if waiter is not None:
                self._live.add(connection)
                waiter.serve(connection)
                return
            if keep and len(self._idle) < self._most:
                connection.used = True  # the server may end it meanwhile
                self._idle.append(connection)
                return
        connection.close()

    def _here(self) -> BriefLock:
        """Return the lock; in a forked child drop the connections of the parent."""
        if os.getpid() != self._pid:
            # Without shutting them down: the parent goes on with them.
            self._idle, self._live, self._pid = [], set(), os.getpid()
            self._waiting, self._making = [], Counter()
        return self._lock
