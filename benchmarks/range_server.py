"""A server of one file, with a delay before each answer; counts what it is asked for.

    python -m benchmarks.range_server FILE SECONDS [SECONDS CERTIFICATE]

prints its port. With a second time and a certificate (with its key), connections are
encrypted, and a handshake takes so long. ``/counts`` tells of the time since it was
asked last: the requests (see `replay.Request`), the bytes that were sent, and the
seconds of processor time that this took.
"""

from __future__ import annotations

import itertools
import json
import math
import pathlib
import re
import socketserver
import ssl
import sys
import threading
import time
from typing import Any


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    data = b""
    delay = 0.0
    handshake = 0.0
    context: ssl.SSLContext | None = None
    requests: list[list[float]] = []  # noqa: RUF012 - those of all connections
    sent = 0
    used = 0.0
    numbers = itertools.count()
    lock = threading.Lock()

    def setup(self) -> None:
        if self.context is not None:
            time.sleep(self.handshake)
            self.request = self.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        """Answer requests; by hand, since both sides pay for what is slow here."""
        number = next(Handler.numbers)
        while line := self.rfile.readline():
            method, path, _ = line.split(b" ", 2)
            head = b""
            while (line := self.rfile.readline()).strip():
                head += line.lower()
            if path == b"/counts":
                self._tell()
                continue
            arrived = time.monotonic()
            time.sleep(self.delay)
            request = [number, 0, 0, arrived, math.inf]
            self._answer(head, request, with_body=method != b"HEAD")
            request[-1] = time.monotonic()

    def _tell(self) -> None:
        with Handler.lock:
            now = time.process_time()
            found = [Handler.requests, Handler.sent, now - Handler.used]
            Handler.requests, Handler.sent, Handler.used = [], 0, now
        text = json.dumps(found).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text))
        self.wfile.write(text)

    def _answer(self, head: bytes, request: list[float], *, with_body: bool) -> None:
        size = len(self.data)
        found = re.search(rb"^range: *bytes=(\d*)-(\d*)", head, re.MULTILINE)
        start, stop = 0, size
        if found and found[1]:
            start, stop = int(found[1]), min(size, int(found[2] or size) + 1)
        elif found and found[2]:
            start = max(0, size - int(found[2]))
        lines = [
            "HTTP/1.1 206 Partial Content" if found else "HTTP/1.1 200 OK",
            "Accept-Ranges: bytes",
            'ETag: "benchmark"',
            "Content-Type: application/octet-stream",
            f"Content-Length: {stop - start}",
        ]
        if found:
            lines.append(f"Content-Range: bytes {start}-{stop - 1}/{size}")
        request[1:3] = start, stop
        with Handler.lock:
            Handler.requests.append(request)
        self.wfile.write("\r\n".join([*lines, "", ""]).encode())
        view = memoryview(self.data)[start:stop] if with_body else memoryview(b"")
        for place in range(0, len(view), 2**18):  # whoever hangs up gets no more
            part = view[place : place + 2**18]
            self.wfile.write(part)
            with Handler.lock:
                Handler.sent += len(part)


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        return  # a client that hangs up


if __name__ == "__main__":
    Handler.data = pathlib.Path(sys.argv[1]).read_bytes()
    Handler.delay = float(sys.argv[2])
    if len(sys.argv) > 3:
        Handler.handshake = float(sys.argv[3])
        Handler.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        Handler.context.load_cert_chain(sys.argv[4])
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
