"""HTTP over sockets of our own: each address is checked before it is connected to.

The standard library parses the answers. Sockets, redirects, retries and deadlines are
ours: every byte of an answer passes through `_Wire`, which ends with its deadline, when
it drips, and as soon as its client is closed. See the decision record on transport.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import io
import os
import random
import re
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

from ..errors import ClosedError, DCReadError, FileMissingError, RemoteError
from ..sync.locks import BriefLock
from .network_limits import NetworkLimits
from .stop import SLICE, Stop, StoppedError
from .traffic import traffic
from .urls import shown

T = TypeVar("T")

ERROR_BODY = 4096
"""Bytes of an error's body that are read at the most."""

MAX_BACKOFF = 5.0

AGENT = "dcread"

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
DENIED = frozenset({401, 403})


class AddressGuard(Protocol):
    """Decides what may be contacted; raises to refuse."""

    def check_url(self, url: str) -> None:
        """Look at a URL before it is asked for, those of redirects included."""

    def check_address(self, origin: str, address: str) -> None:
        """Look at the numeric address that a connection is about to be made to."""


class Endpoint(NamedTuple):
    """Where a connection leads to."""

    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """The endpoint as text, such as ``https://example.org:443``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class TemporaryError(Exception):
    """Something that may work when it is tried again; never leaves this module.

    Attributes
    ----------
    after : float or None
        Seconds that the server asks us to wait.
    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class DeniedError(Exception):
    """The server refuses access (401, 403): a new signature may help."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def endpoint_of(url: str) -> Endpoint:
    """Return where a URL leads to.

    Raises
    ------
    RemoteError
        If it is no http or https URL.
    """
    try:
        place = urlsplit(url)
        if place.scheme not in {"http", "https"} or not place.hostname:
            raise ValueError("expected an http or https URL with a host")
        host = place.hostname
        if ":" not in host:
            host = host.encode("idna").decode("ascii")
        port = place.port or (443 if place.scheme == "https" else 80)
    except (ValueError, UnicodeError) as exc:
        raise RemoteError(f"{shown(url)}: is no URL that can be read: {exc}") from None
    return Endpoint(place.scheme, host.lower(), port)


@dataclass(eq=False)
class _Connection:
    """A connection that is kept for further requests."""

    endpoint: Endpoint
    sock: socket.socket
    pid: int = field(default_factory=os.getpid)
    used: bool = False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()

    def interrupt(self) -> None:
        """Have a thread that waits on the socket go on at once."""
        with contextlib.suppress(OSError):
            # Not that of SSLSocket, which drops what the other thread is using.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _Wire(io.RawIOBase):
    """The bytes of one answer."""

    def __init__(self, connection: _Connection, client: HTTPClient, stop: Stop) -> None:
        super().__init__()
        self.received = 0
        self._connection = connection
        self._client = client
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
        return True

    def readinto(self, buffer: Any) -> int:
        now = time.monotonic()
        end = min(self._until, now + self._client.limits.read)
        sock = self._connection.sock
        while True:
            if self._stop.is_set():
                raise StoppedError
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("the server stopped sending")
            sock.settimeout(min(left, SLICE))
            try:
                count = sock.recv_into(buffer)
            except TimeoutError:
                continue
            if not count and self._stop.is_set():
                raise StoppedError  # our own `interrupt` looks like an end
            self.received += count
            self._check_rate()
            return count

    def _check_rate(self) -> None:
        if self._body_since is None:
            return
        limits = self._client.limits
        seconds = time.monotonic() - self._body_since
        if seconds > limits.grace:
            rate = limits.min_rate / max(1, self._client.active)
            if self.received < rate * seconds:
                raise TimeoutError(
                    f"the server sent {self.received} bytes in {seconds:.0f} seconds"
                )


class _Socket:
    """What `http.client.HTTPResponse` wants of a socket."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._wire)


class Answer:
    """An answer whose head has arrived.

    Attributes
    ----------
    status : int
        The status code.
    url : str
        Where it comes from, redirects followed.
    """

    def __init__(self, response: http.client.HTTPResponse, url: str) -> None:
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

    Attributes
    ----------
    requests, received : int
        How many requests were sent, and how many bytes of bodies came.
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
        self.requests = 0
        self.received = 0
        self._guard = guard
        self._sign = sign
        self._proxy = proxy
        self._context = context
        self._lock = BriefLock()
        self._idle: list[_Connection] = []
        self._live: set[_Connection] = set()
        self._pid = os.getpid()
        self._moved: dict[str, str] = {}

    @property
    def active(self) -> int:
        """How many answers are arriving."""
        return len(self._live)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self.stop.is_set()

    def close(self) -> None:
        """End all requests that are under way, and all connections."""
        self.stop.set()
        with self._here():
            live, idle = list(self._live), self._idle
            self._idle = []
        for connection in live:
            connection.interrupt()
        for connection in idle:
            connection.close()

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        """Hold the lock; in a forked child drop the connections of the parent."""
        if os.getpid() != self._pid:
            # Without shutting them down: the parent goes on with them.
            self._idle, self._live, self._pid = [], set(), os.getpid()
        with self._lock:
            yield

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
            target = self._redirected(target, place[0])

    def _redirected(self, source: str, location: str) -> str:
        target = urljoin(source, location).partition("#")[0]
        scheme = urlsplit(target).scheme
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
        return target

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
            connection = self._borrow(endpoint, url, until, stop)
            reused, keep = connection.used, False
            wire = _Wire(connection, self, stop)
            try:
                response = self._send(connection, wire, url, headers, until)
                connection.used = True
                wire.begin_body(until)
                found = self._take(Answer(response, url), receive, place)
                keep = response.isclosed() or response.length == 0
                keep = keep and not response.will_close
                return found
            except (http.client.HTTPException, OSError) as exc:
                if isinstance(exc, DCReadError):
                    raise
                if stop.is_set():
                    raise StoppedError from None
                hung_up = isinstance(exc, _HUNG_UP) and not wire.received
                if not (reused and hung_up):  # the server had ended an idle connection
                    raise TemporaryError(_reason(exc)) from exc
            finally:
                self._give_back(connection, keep=keep, received=wire.received)

    def _send(
        self,
        connection: _Connection,
        wire: _Wire,
        url: str,
        headers: Mapping[str, str],
        until: float,
    ) -> http.client.HTTPResponse:
        place = urlsplit(url)
        target = (place.path or "/") + (f"?{place.query}" if place.query else "")
        endpoint = connection.endpoint
        if self._proxy_of(url) and endpoint.scheme == "http":
            target = f"{endpoint.origin}{target}"
        host = endpoint.origin.partition("://")[2]
        standard = {"http": 80, "https": 443}[endpoint.scheme]
        if endpoint.port == standard:
            host = host.rpartition(":")[0]
        sent = {
            "Host": host,
            "User-Agent": AGENT,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            **headers,
        }
        if self._sign is not None:
            sent = {**sent, **self._sign(url, headers)}
        lines = [f"GET {_safe(target)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in sent.items()]
        if any(re.search(r"[\r\n\0]", line) for line in lines):
            raise RemoteError(f"{shown(url)}: cannot be written into a request")
        with self._here():
            self.requests += 1
        connection.sock.settimeout(self.limits.read)
        connection.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        response = http.client.HTTPResponse(_Socket(wire), method="GET")  # type: ignore[arg-type]
        wire.begin_head(min(until, time.monotonic() + self.limits.read))
        response.begin()
        return response

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
            after = _retry_after(answer.header("Retry-After"))
            raise TemporaryError(f"the server answers {_status(status)}", after)
        if status in DENIED:
            answer.read_some(ERROR_BODY)
            raise DeniedError(status, f"the server answers {_status(status)}")
        if status in {404, 410}:
            answer.read_some(ERROR_BODY)
            raise FileMissingError(
                f"no file at {shown(answer.url)} (the server answers "
                f"{_status(status)}); check the URL"
            )
        return [receive(answer)]

    # -- connections

    def _take_idle(self, endpoint: Endpoint) -> _Connection | None:
        for number, connection in enumerate(self._idle):
            if connection.endpoint == endpoint:
                del self._idle[number]
                self._live.add(connection)
                return connection
        return None

    def _borrow(
        self, endpoint: Endpoint, url: str, until: float, stop: Stop
    ) -> _Connection:
        with self._here():
            idle = self._take_idle(endpoint)
        if idle is not None:
            return idle
        connection = self._connect(endpoint, url, until, stop)
        with self._here():
            self._live.add(connection)
        if self.stop.is_set():  # closed meanwhile, without seeing this connection
            self._give_back(connection, keep=False)
            raise StoppedError
        return connection

    def _give_back(
        self, connection: _Connection, *, keep: bool, received: int = 0
    ) -> None:
        traffic.add(received)
        with self._here():
            self.received += received
            self._live.discard(connection)
            keep = keep and not self.stop.is_set() and connection.pid == self._pid
            if keep and len(self._idle) < self.limits.connections:
                self._idle.append(connection)
                return
        connection.close()

    def _proxy_of(self, url: str) -> str | None:
        return self._proxy(url) if self._proxy is not None else None

    def _connect(
        self, endpoint: Endpoint, url: str, until: float, stop: Stop
    ) -> _Connection:
        """Connect to the first address that may be contacted and answers."""
        proxy = self._proxy_of(url)
        place = endpoint_of(proxy) if proxy else endpoint
        failure: Exception | None = None
        for family, kind, protocol, _, address in _look_up(place, stop, until):
            try:
                if not proxy:
                    self._guard.check_address(endpoint.origin, str(address[0]))
            except DCReadError as exc:
                failure = exc
                continue
            end = min(until, time.monotonic() + self.limits.connect)
            sock = socket.socket(family, kind, protocol)
            try:
                _connect(sock, address, end, stop)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if proxy and endpoint.scheme == "https":
                    self._tunnel(sock, endpoint, end)
                if endpoint.scheme == "https":
                    sock = self._encrypt(sock, endpoint, end, stop)
                return _Connection(endpoint, sock)
            except ssl.SSLCertVerificationError as exc:
                sock.close()
                raise RemoteError(
                    f"{shown(url)}: the certificate of the server is not valid: "
                    f"{exc.verify_message}; check the URL and the clock"
                ) from exc
            except OSError as exc:
                sock.close()
                failure = exc
            except BaseException:
                sock.close()
                raise
        if failure is None:
            raise TemporaryError(f"{place.host} has no address")
        if isinstance(failure, DCReadError):
            raise failure
        raise TemporaryError(
            f"no connection to {place.host} port {place.port}: {_reason(failure)}"
        ) from failure

    def _encrypt(
        self, sock: socket.socket, endpoint: Endpoint, end: float, stop: Stop
    ) -> socket.socket:
        context = self._context
        if context is None:
            context = self._context = ssl.create_default_context()
        secure = context.wrap_socket(
            sock, server_hostname=endpoint.host, do_handshake_on_connect=False
        )
        try:
            while True:
                if stop.is_set():
                    raise StoppedError
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError("the server does not finish the TLS handshake")
                secure.settimeout(min(left, SLICE))
                try:
                    secure.do_handshake()
                except TimeoutError:
                    continue
                return secure
        except BaseException:
            secure.close()
            raise

    def _tunnel(self, sock: socket.socket, endpoint: Endpoint, end: float) -> None:
        """Have a proxy connect to where we cannot."""
        target = endpoint.origin.partition("://")[2]
        sock.settimeout(max(0.01, end - time.monotonic()))
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = sock.recv(1)  # what follows belongs to TLS
            if not part or len(head) > ERROR_BODY:
                raise RemoteError("the proxy does not answer as one")
            head += part
        status = head.split(None, 2)[1:2]
        if status != [b"200"]:
            raise RemoteError(f"the proxy refuses to connect to {target}")


_HUNG_UP = (ConnectionError, http.client.RemoteDisconnected)


def _look_up(endpoint: Endpoint, stop: Stop, until: float) -> list[Any]:
    """Return the addresses of a host; a look-up that hangs is left behind."""
    found: list[Any] = []
    failed: list[OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            found.extend(
                socket.getaddrinfo(
                    endpoint.host, endpoint.port, type=socket.SOCK_STREAM
                )
            )
        except (OSError, UnicodeError) as exc:
            failed.append(exc)

    if re.fullmatch(r"[0-9.]+|.*:.*", endpoint.host):
        look_up()  # a number needs no server
    else:
        thread = threading.Thread(target=look_up, daemon=True)
        thread.start()
        while thread.is_alive():
            if stop.is_set():
                raise StoppedError
            if time.monotonic() > until:
                raise TemporaryError(f"the look-up of {endpoint.host} takes too long")
            thread.join(SLICE)
    if failed:
        problem = failed[0]
        if getattr(problem, "errno", None) == socket.EAI_AGAIN:
            raise TemporaryError(f"the look-up of {endpoint.host} failed") from problem
        raise RemoteError(
            f"{endpoint.origin}: there is no host of this name; check the URL and the "
            "network"
        ) from problem
    return found


def _connect(sock: socket.socket, address: Any, end: float, stop: Stop) -> None:
    """Connect, and give up in time."""
    sock.setblocking(False)
    try:
        sock.connect(address)
    except (BlockingIOError, InterruptedError):
        pass
    else:
        return
    while True:
        if stop.is_set():
            raise StoppedError
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server does not answer")
        if _is_writable(sock, min(left, SLICE)):
            break
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))


def _is_writable(sock: socket.socket, seconds: float) -> bool:
    # (not select.select, which knows the first 1024 descriptors only)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_WRITE)
        return bool(selector.select(seconds))


def _safe(target: str) -> str:
    """Escape what must not stand in the first line of a request."""
    return re.sub(
        r"[^\x21-\x7e]",
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8")),
        target,
    )


def _reason(exc: Exception) -> str:
    if isinstance(exc, http.client.IncompleteRead):
        return "the answer is cut short"
    if isinstance(exc, (http.client.RemoteDisconnected, ConnectionResetError)):
        return "the server hung up"
    if isinstance(exc, http.client.HTTPException):
        return f"the answer is not valid HTTP ({type(exc).__name__})"
    text = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return " ".join(str(text).split())


def _status(status: int) -> str:
    name = http.client.responses.get(status)
    return f"{status} {name}" if name else str(status)


def _retry_after(text: str) -> float | None:
    """Return the seconds of a ``Retry-After`` header."""
    text = text.strip()
    if text.isdecimal():
        return float(text[:9])
    with contextlib.suppress(TypeError, ValueError):
        when = email.utils.parsedate_to_datetime(text)
        return max(0.0, when.timestamp() - time.time())
    return None
