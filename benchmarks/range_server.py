"""A server of one file, with a delay before each answer; counts what it is asked for.

    python -m benchmarks.range_server FILE SECONDS

prints its port. ``/counts`` returns requests and bytes since it was asked last.
"""

from __future__ import annotations

import http.server
import json
import pathlib
import re
import socket
import sys
import threading
import time
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 2**16
    data = b""
    delay = 0.0
    requests = 0
    sent = 0
    lock = threading.Lock()

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        if self.path == "/counts":
            with Handler.lock:
                counts = json.dumps([Handler.requests, Handler.sent]).encode()
                Handler.requests = Handler.sent = 0
            self.send_response(200)
            self.send_header("Content-Length", str(len(counts)))
            self.end_headers()
            self.wfile.write(counts)
            return
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        time.sleep(self.delay)
        size = len(self.data)
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        start, stop = 0, size
        if found and found[1]:
            start, stop = int(found[1]), min(size, int(found[2] or size) + 1)
        elif found and found[2]:
            start = max(0, size - int(found[2]))
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"benchmark"')
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        with Handler.lock:
            Handler.requests += 1
        view = memoryview(self.data)[start:stop] if with_body else memoryview(b"")
        for place in range(0, len(view), 2**18):  # whoever hangs up gets no more
            part = view[place : place + 2**18]
            self.wfile.write(part)
            with Handler.lock:
                Handler.sent += len(part)

    def log_message(self, *_: Any) -> None:
        return


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        return  # a client that hangs up


if __name__ == "__main__":
    Handler.data = pathlib.Path(sys.argv[1]).read_bytes()
    Handler.delay = float(sys.argv[2])
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
