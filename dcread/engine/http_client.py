"""GET requests that are sent again if that may help; redirects are ours.

The standard library parses the answers; sockets, redirects, retries and deadlines are
ours, see the decision record on transport. `http_connect` makes connections,
`connection_pool` keeps them, `http_exchange` does one request and its answer.
"""

from __future__ import annotations

import http.client
import math
import random
import ssl
import time
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from ..errors import ClosedError, DCReadError, FileMissingError, RemoteError
from ..problems import pass_on
from .connection_pool import ConnectionPool
from .endpoint import Endpoint, endpoint_of
from .http_connect import AddressGuard, Connector
from .http_exchange import Answer, Wire, send, write_request
from .http_failures import (
    DeniedError,
    TemporaryError,
    reason_of,
    seconds_to_wait,
    status_text,
)
from .network_limits import NetworkLimits
from .stop import Stop, StoppedError
from .urls import shown

T = TypeVar("T")

ERROR_BODY = 4096
"""Bytes of an error's body that are read at the most."""

MAX_BACKOFF = 5.0

FAR = 0.015
"""Seconds to an answer from which on a wave of requests more is worth avoiding."""

QUICK = 0.25
"""Seconds after which a connection to a server nearby is left to another thread."""

PATIENCE = 3
"""Times that an answer takes: so long requests wait that can wait."""

CROWDED = frozenset({429, 503})
"""What a server answers that is asked for too much at once."""

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
DENIED = frozenset({401, 403})

_HUNG_UP = (ConnectionError, http.client.RemoteDisconnected)


class HTTPClient:
    """Connections that many threads share, and that `close` ends at once.

    Parameters
    ----------
    guard : AddressGuard
        Decides what may be contacted.
    limits : NetworkLimits
        How long things may take.
    sign : callable, optional
        ``sign(url, headers)`` returns the headers of a request, credentials of the
        URL's origin added. Called for each request, those after redirects included.
    proxy : callable, optional
        ``proxy(url)`` returns the URL of an HTTP proxy to use, or None.
    context : ssl.SSLContext, optional
        For https; the system's certificates by default.
    """

    def __init__(
        self,
        guard: AddressGuard,
        limits: NetworkLimits | None = None,
        *,
        sign: Callable[[str, Mapping[str, str]], Mapping[str, str]] | None = None,
        proxy: Callable[[str], str | None] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits or NetworkLimits()
        self.stop = Stop()
        self._guard = guard
        self._sign = sign
        self._connector = Connector(guard, self.limits, proxy=proxy, context=context)
        self._pool = ConnectionPool(
            self._connector, self.limits.most_connections, self.stop
        )
        self._moved: dict[str, str] = {}
        self._latency = math.inf
        self._at_once = self.limits.connections
        self._lowered = 0.0

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self._pool.requests

    @property
    def received(self) -> int:
        """How many bytes of bodies came."""
        return self._pool.received

    def at_once(self, count: int) -> int:
        """Return how many of `count` requests should be on their way at once.

        A few more connections than usual if that saves a round of requests, the server
        is far away and has not complained.
        """
        limits = self.limits
        if self._at_once < limits.connections or not FAR <= self._latency < math.inf:
            return self._at_once
        return count if count <= limits.most_connections else self._at_once

    def wait_for_others(self) -> None:
        """Wait until most requests that are under way have been answered.

        Not for long: there may always be others.
        """
        if self._latency < math.inf:
            until = time.monotonic() + PATIENCE * self._latency
            while (
                self._pool.active > self.limits.connections // 2
                and time.monotonic() < until
                and not self.stop.is_set()
            ):
                time.sleep(0.002)

    def connect_ahead(self, url: str, count: int) -> None:
        """Have connections made, since they will be wanted soon."""
        url = self._moved.get(url, url)
        self._guard.check_url(url)
        until = time.monotonic() + self.limits.total
        for _ in range(count):
            self._pool.make(endpoint_of(url), url, until)

    def close(self) -> None:
        """End all requests that are under way, and all connections."""
        self.stop.set()
        self._pool.interrupt()

    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        receive: Callable[[Answer], T],
        *,
        what: str = "",
        size: int = 0,
        stop: Stop | None = None,
    ) -> T:
        """Send a GET request, again if that may help; return ``receive(answer)``.

        Parameters
        ----------
        url : str
            What to ask for.
        headers : mapping
            Headers of the request; those of `sign` are added.
        receive : callable
            Gets the answer (of any status but redirects, denials and temporary
            failures), reads its body; may raise `TemporaryError`.
        what : str
            What messages call the request, such as ``"bytes 0-99"``.
        size : int
            How many bytes are expected; the time for them comes on top.
        stop : Stop, optional
            To give up early.

        Raises
        ------
        ClosedError
            If the client is closed, meanwhile too.
        DeniedError
            If access is refused.
        RemoteError, PolicyError
            If there is no answer, or the address must not be contacted.
        """
        limits = self.limits
        stop = Stop(self.stop) if stop is None else stop
        slack = size / limits.min_rate if limits.min_rate else 0
        until = time.monotonic() + limits.total + slack
        tried = 0
        while True:
            if stop.is_set():
                raise self._stopped(url)
            try:
                return self._once(url, headers, receive, until, stop)
            except StoppedError:
                raise self._stopped(url) from None
            except TemporaryError as exc:
                tried += 1
                pause = random.uniform(0.5, 1) * min(MAX_BACKOFF, 0.2 * 2**tried)
                pause = pause if exc.after is None else exc.after
                if tried >= limits.attempts or time.monotonic() + pause > until:
                    times = f"{tried} attempt{'s' * (tried != 1)}"
                    raise RemoteError(
                        f"{shown(url)}{what and ', '}{what}: {exc} ({times}); check "
                        "the network and the server, then try again"
                    ) from exc
                stop.sleep(pause)

    def _stopped(self, url: str) -> Exception:
        if self.stop.is_set():
            return ClosedError(f"{shown(url)} is closed; open it again to read from it")
        return StoppedError()

    def _once(
        self,
        url: str,
        headers: Mapping[str, str],
        receive: Callable[[Answer], T],
        until: float,
        stop: Stop,
    ) -> T:
        """Send a request and follow its redirects."""
        target = self._moved.get(url, url)
        hops = 0
        while True:
            self._guard.check_url(target)
            place: list[str] = []
            found = self._exchange(target, headers, receive, until, stop, place)
            if not place:
                if hops:
                    self._moved[url] = target
                return found[0]
            hops += 1
            if hops > self.limits.redirects:
                raise RemoteError(
                    f"{shown(url)}: was redirected more than {self.limits.redirects} "
                    "times; check the URL in a browser"
                )
            target = redirect_target(target, place[0])

    def forget_redirects(self) -> bool:
        """Ask at the original address again; tell whether that is another one."""
        known, self._moved = self._moved, {}
        return bool(known)

    def _exchange(  # noqa: PLR0917
        self,
        url: str,
        headers: Mapping[str, str],
        receive: Callable[[Answer], T],
        until: float,
        stop: Stop,
        place: list[str],
    ) -> list[T]:
        """Send one request; a redirect's target goes to `place`."""
        endpoint = endpoint_of(url)
        while True:
            patience = self._patience(endpoint)
            connection = self._pool.borrow(
                endpoint, url, until, stop, patience=patience
            )
            reused, keep = connection.used, False
            wire = Wire(connection, self._pool, self.limits, stop)
            try:
                proxied = bool(self._connector.proxy_of(url))
                signed = self._sign(url, headers) if self._sign is not None else {}
                request = write_request(
                    connection, url, {**headers, **signed}, proxied=proxied
                )
                begin = time.monotonic()
                # Closed here: CPython 3.14 complains of some that the collector closes.
                with send(
                    connection, wire, request, self.limits.read, until
                ) as response:
                    self._note(response.status, begin)
                    found = self._take(Answer(response, url), receive, place)
                    keep = response.isclosed() or response.length == 0
                    keep = keep and not response.will_close
                return found
            except (http.client.HTTPException, OSError) as exc:
                pass_on(exc)
                if isinstance(exc, DCReadError):
                    raise
                if stop.is_set():
                    raise StoppedError from None
                hung_up = isinstance(exc, _HUNG_UP) and not wire.received
                if not (reused and hung_up):  # the server had ended an idle connection
                    raise TemporaryError(reason_of(exc)) from exc
            finally:
                self._pool.give_back(connection, keep=keep, received=wire.received)

    def _patience(self, endpoint: Endpoint) -> float:
        """Return the seconds for which a thread makes a connection itself.

        As long as it takes before the first answer: until then, nobody gives any back.
        Later, if it takes less time than another thread needs to give one back.
        """
        if self._latency == math.inf:
            return math.inf
        return QUICK if endpoint.scheme == "http" and self._latency < FAR else 0

    def _note(self, status: int, begin: float) -> None:
        """Learn from an answer how far away the server is, and how busy."""
        now = time.monotonic()
        self._latency = min(self._latency, now - begin)
        if status in CROWDED and begin > self._lowered:
            # (those that were on their way by then complain of the same)
            self._lowered = now
            self._at_once = max(1, self._at_once // 2)

    def _take(
        self, answer: Answer, receive: Callable[[Answer], T], place: list[str]
    ) -> list[T]:
        status = answer.status
        if status in REDIRECTS and answer.header("Location"):
            answer.read_some(ERROR_BODY)
            place.append(answer.header("Location"))
            return []
        if status in TEMPORARY:
            answer.read_some(ERROR_BODY)
            after = seconds_to_wait(answer.header("Retry-After"))
            raise TemporaryError(f"the server answers {status_text(status)}", after)
        if status in DENIED:
            answer.read_some(ERROR_BODY)
            raise DeniedError(status, f"the server answers {status_text(status)}")
        if status in {404, 410}:
            answer.read_some(ERROR_BODY)
            raise FileMissingError(
                f"no file at {shown(answer.url)} (the server answers "
                f"{status_text(status)}); check the URL"
            )
        return [receive(answer)]


def redirect_target(source: str, location: str) -> str:
    """Return where a redirect leads to.

    Raises
    ------
    RemoteError
        If it leads from https to http, or to neither of them.
    """
    try:
        target = urljoin(source, location).partition("#")[0]
        scheme = urlsplit(target).scheme
    except ValueError:
        raise RemoteError(
            f"{shown(source)}: was redirected to an invalid URL, which is not followed"
        ) from None
    if scheme not in {"http", "https"}:
        raise RemoteError(
            f"{shown(source)}: was redirected to another kind of address "
            f"({scheme or 'none'}), which is not followed"
        )
    if scheme == "http" and urlsplit(source).scheme == "https":
        raise RemoteError(
            f"{shown(source)}: was redirected from https to unprotected http, "
            "which is not followed"
        )
    endpoint_of(target)  # it has a host, and a port that is a number
    return target
