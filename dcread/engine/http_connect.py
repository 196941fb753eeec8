"""Connections to hosts: each address is checked, then connected to; TLS; proxies."""

from __future__ import annotations

import os
import re
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import DCReadError, RemoteError
from ..sync.background import BackgroundThread
from .endpoint import Endpoint, endpoint_of
from .http_failures import TemporaryError, reason_of
from .network_limits import NetworkLimits
from .stop import SLICE, Stop, StoppedError
from .urls import shown

MAX_PROXY_HEAD = 4096
"""Bytes that a proxy may say before it connects."""


class AddressGuard(Protocol):
    """Decides what may be contacted; raises to refuse."""

    def check_url(self, url: str) -> None:
        """Look at a URL before it is asked for, those of redirects included."""

    def check_address(self, origin: str, address: str) -> None:
        """Look at the numeric address that a connection is about to be made to."""


class Connector:
    """Makes connections, as far as a guard lets it.

    Parameters
    ----------
    guard : AddressGuard
        Decides what may be contacted.
    limits : NetworkLimits
        How long things may take.
    proxy : callable, optional
        ``proxy(url)`` returns the URL of an HTTP proxy to use, or None.
    context : ssl.SSLContext, optional
        For https; the system's certificates by default.
    """

    def __init__(
        self,
        guard: AddressGuard,
        limits: NetworkLimits,
        *,
        proxy: Callable[[str], str | None] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._limits = limits
        self._proxy = proxy
        self._context = context
        self._found: dict[Endpoint, list[Any]] = {}  # addresses that answered

    def proxy_of(self, url: str) -> str | None:
        """Return the URL of the proxy for a URL, if there is one."""
        return self._proxy(url) if self._proxy is not None else None

    def connect(
        self, endpoint: Endpoint, url: str, until: float, stop: Stop
    ) -> socket.socket:
        """Return a socket that is connected to the first address that answers.

        Raises
        ------
        PolicyError
            If no address may be contacted.
        RemoteError, TemporaryError
            If there is none, or none answers.
        """
        proxy = self.proxy_of(url)
        place = endpoint_of(proxy) if proxy else endpoint
        failure: Exception | None = None
        addresses = self._found.get(place) or _look_up(place, stop, until)
        for family, kind, protocol, _, address in addresses:
            try:
                if not proxy:
                    self._guard.check_address(endpoint.origin, str(address[0]))
            except DCReadError as exc:
                failure = exc
                continue
            end = min(until, time.monotonic() + self._limits.connect)
            sock = socket.socket(family, kind, protocol)
            try:
                _connect(sock, address, end, stop)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if proxy and endpoint.scheme == "https":
                    self._tunnel(sock, endpoint, end)
                if endpoint.scheme == "https":
                    sock = self._encrypt(sock, endpoint, end, stop)
                self._found[place] = addresses  # for the next connections
                return sock
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
        self._found.pop(place, None)  # there may be others by now
        if failure is None:
            raise TemporaryError(f"{place.host} has no address")
        if isinstance(failure, DCReadError):
            raise failure
        raise TemporaryError(
            f"no connection to {place.host} port {place.port}: {reason_of(failure)}"
        ) from failure

    def _encrypt(
        self, sock: socket.socket, endpoint: Endpoint, end: float, stop: Stop
    ) -> socket.socket:
        context = self._context
        if context is None:
            context = self._context = ssl.create_default_context()
        if stop.is_set():  # Python leaves a socket open that it fails to wrap
            raise StoppedError
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
            if not part or len(head) > MAX_PROXY_HEAD:
                raise RemoteError("the proxy does not answer like an HTTP proxy")
            head += part
        status = head.split(None, 2)[1:2]
        if status != [b"200"]:
            raise RemoteError(f"the proxy refuses to connect to {target}")


def _look_up(endpoint: Endpoint, stop: Stop, until: float) -> list[Any]:
    """Return the addresses of a host; a look-up that hangs is left behind."""
    found: list[Any] = []
    failed: list[OSError | UnicodeError] = []
    ended = threading.Event()

    def look_up() -> None:
        try:
            found.extend(
                socket.getaddrinfo(
                    endpoint.host, endpoint.port, type=socket.SOCK_STREAM
                )
            )
        except (OSError, UnicodeError) as exc:
            failed.append(exc)
        finally:
            ended.set()

    if re.fullmatch(r"[0-9.]+|.*:.*", endpoint.host):
        look_up()  # a number needs no server
    else:
        BackgroundThread(look_up, awaited=False).start()
        while not ended.wait(SLICE):
            if stop.is_set():
                raise StoppedError
            if time.monotonic() > until:
                raise TemporaryError(f"the look-up of {endpoint.host} takes too long")
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
    if stop.is_set():
        raise StoppedError
    try:
        sock.settimeout(max(0.001, min(end - time.monotonic(), SLICE)))
        sock.connect(address)
    except (TimeoutError, BlockingIOError, InterruptedError):
        pass  # it goes on
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
