"""An HTTP server on loopback that serves one file, well or in one of many bad ways."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

FAULTS = (
    "ranges ignored",
    "no suffix ranges",
    "cut body",
    "short body",
    "wrong Content-Range",
    "no Content-Range",
    "garbage Content-Range",
    "another range",
    "wrong length",
    "no length",
    "chunked",
    "503",
    "429",
    "500",
    "403",
    "404",
    "new ETag",
    "replaced without ETag",
    "stall",
    "stall before the head",
    "reset",
    "flipped bits",
    "captive portal",
    "redirect loop",
    "redirect to loopback",
    "redirect to file",
    "redirect to ftp",
    "drip",
    "gzip",
    "slow headers",
    "endless headers",
    "endless continue",
    "garbage",
    "multipart",
    "hangs up",
)


@dataclass
class Request:
    """What a client asked for."""

    path: str
    headers: dict[str, str]
    begin: float = field(default_factory=time.monotonic)

    @property
    def range(self) -> str:
        return self.headers.get("range", "")


class FaultServer:
    """Serves `data` at any path, until told otherwise.

    Attributes
    ----------
    requests : list of Request
        What was asked for.
    sent : int
        Bytes of bodies that were sent.
    latency : float
        Seconds before each answer.
    gathering : int
        Answers wait until there were so many requests at once, 10 s at the most.
    connections : int
        How many were made to it.
    most_at_once : int
        How many requests waited for an answer at the same time, at the most.
    rewrite : callable
        Gets the head of a partial answer, returns what is sent in its place. If that
        says ``Connection: close``, the connection ends with the answer.
    """

    def __init__(self, data: bytes, *, etag: str = '"one"', latency: float = 0) -> None:
        self.data = data
        self.etag = etag
        self.modified = "Wed, 01 Jan 2025 00:00:00 GMT"
        self.latency = latency
        self.requests: list[Request] = []
        self.sent = 0
        self.connections = 0
        self.gathering = 0
        self.most_at_once = 0
        self._at_once = 0
        self.elsewhere = ""
        self.allow: Callable[[Request], int] = lambda _: 0
        self.spoil: Callable[[], str] = lambda: ""
        self.rewrite: Callable[[bytes], bytes] = lambda head: head
        self._faults: list[tuple[str, float, str]] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/folder/file.rtdc"

    def fault(self, name: str, times: float = 1, detail: str = "") -> None:
        """Answer the next requests badly; ``times=inf``: all of them."""
        assert name in FAULTS, name
        with self._lock:
            self._faults.append((name, times, detail))

    def mend(self) -> None:
        """Answer well from now on."""
        with self._lock:
            self._faults = []

    def close(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> FaultServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection, connection.makefile("rb") as lines:
                while (request := _read_request(lines)) is not None:
                    self.requests.append(request)
                    self._count(1)
                    if self.latency:
                        time.sleep(self.latency)
                    self._gather()
                    self._count(-1)
                    if not self._answer(connection, request):
                        return
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)

    def _gather(self) -> None:
        until = time.monotonic() + 10
        while self.most_at_once < self.gathering and time.monotonic() < until:
            self._ended.wait(0.002)

    def _count(self, more: int) -> None:
        with self._lock:
            self._at_once += more
            self.most_at_once = max(self.most_at_once, self._at_once)

    def _next_fault(self) -> tuple[str, str]:
        with self._lock:
            if not self._faults:
                return self.spoil(), "Retry-After: 0\r\n"
            name, times, detail = self._faults[0]
            if times <= 1:
                del self._faults[0]
            else:
                self._faults[0] = (name, times - 1, detail)
            return name, detail

    def _range(self, request: Request, fault: str) -> tuple[int, int] | None:
        size = len(self.data)
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", request.range)
        if found is None:
            return None
        first, last = found.groups()
        if not first:
            if fault == "no suffix ranges":
                return None
            return max(0, size - int(last)), size
        return int(first), min(size, int(last) + 1 if last else size)

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """Answer a request; return whether the connection goes on."""
        fault, detail = self._next_fault()
        denied = self.allow(request)
        if denied:
            return self._plain(connection, denied, b"denied")
        if fault == "no suffix ranges" and not request.range.startswith("bytes=-"):
            fault = ""
        if special := _SPECIAL.get(fault):
            return special(self, connection, detail)
        span = self._range(request, fault)
        etag, modified = self.etag, self.modified
        if fault == "new ETag":
            etag = '"other"'
        if fault == "replaced without ETag":
            etag, modified = "", "Thu, 02 Jan 2025 00:00:00 GMT"
        wanted = request.headers.get("if-match")
        if wanted and self.etag and wanted != etag:
            return self._plain(connection, 412, b"")
        kept = f"ETag: {etag}\r\n" if etag else ""
        kept += f"Last-Modified: {modified}\r\n" if modified else ""
        if span is None or fault == "ranges ignored":
            head = f"HTTP/1.1 200 OK\r\n{kept}Content-Length: {len(self.data)}\r\n\r\n"
            connection.sendall(head.encode() + self.data)
            return True
        start, stop = span
        size = len(self.data)
        if start >= stop:
            head = f"Content-Range: bytes */{size}\r\n"
            return self._plain(connection, 416, b"", head)
        body = self.data[start:stop]
        place = f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n"
        length = f"Content-Length: {len(body)}\r\n"
        if fault == "wrong Content-Range":
            place = f"Content-Range: bytes {start + 1}-{stop}/{size}\r\n"
        elif fault == "another range":
            body = self.data[: len(body)] if start else self.data[-len(body) :]
            low = 0 if start else size - len(body)
            place = f"Content-Range: bytes {low}-{low + len(body) - 1}/{size}\r\n"
        elif fault == "garbage Content-Range":
            place = f"Content-Range: bytes {start}..{stop}\r\n"
        elif fault == "no Content-Range":
            place = ""
        elif fault == "wrong length":
            length = f"Content-Length: {len(body) + 7}\r\n"
        elif fault == "short body":
            body = body[:-5]
            length = f"Content-Length: {len(body)}\r\n"
        elif fault in {"no length", "chunked"}:
            length = "Connection: close\r\n"
        elif fault == "flipped bits":
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 4]) + body[middle + 1 :]
        elif fault == "gzip":
            length += "Content-Encoding: gzip\r\n"
        elif fault == "multipart":
            length += "Content-Type: multipart/byteranges; boundary=x\r\n"
            place = ""
        if fault == "chunked":
            length = "Transfer-Encoding: chunked\r\n"
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        head = f"HTTP/1.1 206 Partial Content\r\n{kept}{place}{length}\r\n".encode()
        head = self.rewrite(head)
        if fault == "slow headers":
            for byte in head:
                connection.sendall(bytes([byte]))
                self._wait(0.05)
        else:
            connection.sendall(head)
        if fault == "stall":
            connection.sendall(body[:10])
            self._wait(600)
            return False
        if fault == "drip":
            for byte in body:
                connection.sendall(bytes([byte]))
                self._wait(0.02)
        if fault == "cut body":
            connection.sendall(body[: len(body) // 2])
            return False
        connection.sendall(body)
        with self._lock:
            self.sent += len(body)
        return fault not in {"no length", "wrong length"} and b"close" not in head

    def _wait(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise OSError("the server has ended")

    def _plain(
        self, connection: socket.socket, status: int, body: bytes, more: str = ""
    ) -> bool:
        head = f"HTTP/1.1 {status} Status\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return True

    def _redirect(self, connection: socket.socket, target: str) -> bool:
        return self._plain(connection, 302, b"", f"Location: {target}\r\n")

    def _reset(self, connection: socket.socket, _detail: str) -> bool:
        now = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        return False

    def _portal(self, connection: socket.socket, _detail: str) -> bool:
        body = b"<html>Welcome! Please log in.</html>"
        return self._plain(connection, 200, body, "Content-Type: text/html\r\n")

    def _silent(self, _connection: socket.socket, _detail: str) -> bool:
        self._wait(600)
        return False

    def _endless(self, connection: socket.socket, _detail: str) -> bool:
        connection.sendall(b"HTTP/1.1 206 Partial Content\r\n")
        for number in range(10**6):
            connection.sendall(b"X-Header-%d: %s\r\n" % (number, b"x" * 1000))
        return False

    def _continue(self, connection: socket.socket, _detail: str) -> bool:
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._wait(0.001)

    def _garbage(self, connection: socket.socket, _detail: str) -> bool:
        connection.sendall(b"\x00\xff not HTTP at all\r\n\r\n" * 10)
        return False

    def _hang_up(self, _connection: socket.socket, _detail: str) -> bool:
        return False

    def _loop(self, connection: socket.socket, _detail: str) -> bool:
        return self._redirect(connection, "/again")

    def _to_loopback(self, connection: socket.socket, _detail: str) -> bool:
        return self._redirect(connection, self.elsewhere or "http://127.0.0.1:6379/x")

    def _to_file(self, connection: socket.socket, _detail: str) -> bool:
        return self._redirect(connection, "file:///etc/passwd")

    def _to_ftp(self, connection: socket.socket, _detail: str) -> bool:
        return self._redirect(connection, "ftp://127.0.0.1/x")

    def _status(self, status: int) -> Callable[[socket.socket, str], bool]:
        def answer(connection: socket.socket, detail: str) -> bool:
            return self._plain(connection, status, b"sorry" * 10_000, detail)

        return answer


def _of_status(
    status: int,
) -> Callable[[FaultServer, socket.socket, str], bool]:
    return lambda server, connection, detail: server._status(status)(connection, detail)


_SPECIAL: dict[str, Callable[[FaultServer, socket.socket, str], bool]] = {
    **{name: _of_status(int(name)) for name in ("503", "429", "500", "403", "404")},
    "reset": FaultServer._reset,
    "captive portal": FaultServer._portal,
    "stall before the head": FaultServer._silent,
    "redirect loop": FaultServer._loop,
    "redirect to loopback": FaultServer._to_loopback,
    "redirect to file": FaultServer._to_file,
    "redirect to ftp": FaultServer._to_ftp,
    "endless headers": FaultServer._endless,
    "endless continue": FaultServer._continue,
    "garbage": FaultServer._garbage,
    "hangs up": FaultServer._hang_up,
}


def _read_request(lines: Iterator[bytes]) -> Request | None:
    first = lines.readline()  # type: ignore[attr-defined]
    if not first.strip():
        return None
    headers: dict[str, str] = {}
    while (line := lines.readline()).strip():  # type: ignore[attr-defined]
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(first.split()[1].decode("latin-1"), headers)
