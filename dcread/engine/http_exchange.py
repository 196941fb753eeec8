"""One request and its answer, on a connection that is there."""

from __future__ import annotations

import functools
import http.client
import io
import re
import time
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from ..errors import RemoteError
from ..problems import pass_on
from .connection_pool import Connection, ConnectionPool
from .endpoint import Endpoint
from .network_limits import NetworkLimits
from .plain_response import PlainResponse, plain_response
from .stop import SLICE, Stop, StoppedError
from .urls import shown

AGENT = "dcread"

BUFFER = 8192
"""Bytes of a head, or a short body, that are taken at once (CPython 3.14: 128 KiB)."""


class Wire(io.RawIOBase):
    """The bytes of one answer.

    Every byte passes through here: reading ends with its deadline, when the answer
    drips, and as soon as nobody wants it any more.
    """

    def __init__(
        self,
        connection: Connection,
        pool: ConnectionPool,
        limits: NetworkLimits,
        stop: Stop,
    ) -> None:
        super().__init__()
        self.received = 0
        self._connection = connection
        self._pool = pool
        self._limits = limits
        self._stop = stop
        self._until = 0.0
        self._body_since: float | None = None

    def begin_head(self, until: float) -> None:
        """Wait for the head of the answer, all of it, so long."""
        self._until = until

    def begin_body(self, until: float) -> None:
        """Wait for the body so long, unless it drips."""
        self._until = until
        self._body_since = time.monotonic()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for some bytes: until the deadline, while they come fast enough."""
        now = time.monotonic()
        end = min(self._until, now + self._limits.read)
        sock = self._connection.sock
        while True:
            if self._stop.is_set():
                raise StoppedError
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("the server stopped sending")
            slice_ = min(left, SLICE)
            if sock.gettimeout() != slice_:  # (each time it is set is a system call)
                sock.settimeout(slice_)
            try:
                count = sock.recv_into(buffer)
            except TimeoutError as exc:
                pass_on(exc)
                continue
            if not count and self._stop.is_set():
                raise StoppedError  # our own `interrupt` looks like an end
            self.received += count
            self._check_rate()
            return count

    def _check_rate(self) -> None:
        if self._body_since is None:
            return
        limits = self._limits
        seconds = time.monotonic() - self._body_since
        if seconds > limits.grace:
            rate = limits.min_rate / max(1, self._pool.active)
            if self.received < rate * seconds:
                raise TimeoutError(
                    f"the server sent {self.received} bytes in {seconds:.0f} seconds"
                )


class _Socket:
    """What `http.client.HTTPResponse` wants of a socket."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> io.BufferedReader:
        return self._stream


Response: TypeAlias = "http.client.HTTPResponse | PlainResponse"


class Answer:
    """An answer whose head has arrived.

    Attributes
    ----------
    status : int
        The status code.
    url : str
        Where it comes from, redirects followed.
    """

    def __init__(self, response: Response, url: str) -> None:
        self._response = response
        self.status = response.status
        self.url = url

    def header(self, name: str) -> str:
        """Return a header's value, "" if it is missing."""
        return self._response.getheader(name) or ""

    @property
    def length(self) -> int | None:
        """How long the body is; None if the server does not tell it plainly."""
        return None if self._response.chunked else self._response.length

    def read_into(self, view: memoryview) -> int:
        """Fill a view from the body; return how much came before it ended."""
        done = 0
        while done < len(view):
            count = self._response.readinto(view[done:])
            if not count:
                break
            done += count
        return done

    def read_some(self, limit: int) -> bytes:
        """Return the first bytes of the body."""
        return self._response.read(limit)


def write_request(
    connection: Connection, url: str, headers: Mapping[str, str], *, proxied: bool
) -> bytes:
    """Return the bytes of a GET request.

    Raises
    ------
    RemoteError
        If the URL or a header cannot be part of a request.
    """
    first, usual = _usual_lines(connection.endpoint, url, proxied=proxied)
    sent = {**usual, **headers}
    lines = [first, *[f"{name}: {value}" for name, value in sent.items()]]
    if _UNSENDABLE.search("".join(lines)):
        raise RemoteError(f"{shown(url)}: has characters that cannot be sent")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


_UNSENDABLE = re.compile(r"[\r\n\0]")


@functools.lru_cache(maxsize=64)  # (asked for with each request)
def _usual_lines(
    endpoint: Endpoint, url: str, *, proxied: bool
) -> tuple[str, dict[str, str]]:
    """Return the first line of a request for a URL, and the headers of all of them."""
    place = urlsplit(url)
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    if proxied and endpoint.scheme == "http":
        target = f"{endpoint.origin}{target}"
    host = endpoint.origin.partition("://")[2]
    standard = {"http": 80, "https": 443}[endpoint.scheme]
    if endpoint.port == standard:
        host = host.rpartition(":")[0]
    return f"GET {_safe(target)} HTTP/1.1", {
        "Host": host,
        "User-Agent": AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }


def send(
    connection: Connection, wire: Wire, request: bytes, read: float, until: float
) -> Response:
    """Send a request; return its answer, to be closed, when the head of it is here.

    Parameters
    ----------
    read : float
        Seconds to wait for the head.
    until : float
        When to give up in any case.
    """
    connection.sock.settimeout(read)
    connection.sock.sendall(request)
    stream = io.BufferedReader(wire, BUFFER)
    try:
        wire.begin_head(min(until, time.monotonic() + read))
        response: Response | None = plain_response(stream)
        if response is None:
            response = http.client.HTTPResponse(_Socket(stream), method="GET")  # type: ignore[arg-type]
            response.begin()
        connection.used = True
        wire.begin_body(until)
    except BaseException:
        stream.close()
        raise
    return response


def _safe(target: str) -> str:
    """Escape what must not stand in the first line of a request."""
    return re.sub(
        r"[^\x21-\x7e]",
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8")),
        target,
    )
