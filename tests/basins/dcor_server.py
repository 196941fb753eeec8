"""A small server: files by ranges, and the protocol of DCOR."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

RESOURCE = "01234567-89ab-cdef-0123-456789abcdef"


class Server:
    """Files by name, and DCOR's answers about one resource.

    Attributes
    ----------
    files : dict
        Bytes by path.
    answers : dict
        What queries give: results, or functions that return them.
    basins : callable
        Returns what the query ``basins`` gives.
    asked : list of str
        Paths that were asked for.
    sent : list of int
        Bytes of the bodies that were sent.
    etag : str
        The state of all files.
    before : callable
        Called with each path before it is answered; may wait, or raise.
    signature : str
        What a signed address needs; others are denied.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.basins: Callable[[], list[Any]] = list
        self.metadata: dict[str, Any] = {
            "experiment": {"event count": 5, "sample": "s", "run index": 1},
            "setup": {},
        }
        self.answers: dict[str, Any] = {"logs": {"log": ["a", "b"]}, "tables": {}}
        self.asked: list[str] = []
        self.sent: list[int] = []
        self.etag = '"state-one"'
        self.before: Callable[[str], object] = lambda path: None
        self.tokens: list[str | None] = []
        self.signature = ""
        self.token = ""
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def do_HEAD(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.resource = f"{self.url}/api/3/action/dcserv?id={RESOURCE}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, handler: Any) -> None:
        place = urllib.parse.urlsplit(handler.path)
        fields = dict(urllib.parse.parse_qsl(place.query))
        self.asked.append(handler.path)
        self.tokens.append(handler.headers.get("Authorization"))
        try:
            self.before(handler.path)
        except ConnectionError:
            handler.close_connection = True
            return
        if place.path == "/api/3/action/dcserv":
            self.send(handler, *self.dcor(fields, handler))
        elif place.path not in self.files:
            self.send(handler, 404, b"")
        elif "signed" in place.path and fields.get("Signature") != self.signature:
            self.send(handler, 403, b"")
        else:
            self.ranges(handler, self.files[place.path])

    def dcor(self, fields: dict[str, str], handler: Any) -> tuple[int, bytes]:
        def error(kind: str, text: str) -> bytes:
            told = {"__type": kind, "message": text}
            return json.dumps({"help": "", "success": False, "error": told}).encode()

        if self.token and handler.headers.get("Authorization") != self.token:
            return 403, error("Authorization Error", "Access denied")
        if fields.get("id") != RESOURCE:
            return 404, error("Not Found Error", "Not found: no such resource")
        answers = {
            "valid": True,
            "size": 5,
            "metadata": self.metadata,
            "feature_list": [],
            "basins": self.basins,
            **self.answers,
        }
        if fields.get("query") not in answers:
            return 409, error("Validation Error", "unknown query")
        result = answers[fields["query"]]
        result = result() if callable(result) else result
        return 200, json.dumps({"help": "", "success": True, "result": result}).encode()

    def ranges(self, handler: Any, data: bytes) -> None:
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", handler.headers.get("Range") or "")
        if match is None:
            self.send(handler, 200, data, ETag=self.etag)
            return
        wanted = handler.headers.get("If-Match")
        if wanted is not None and wanted != self.etag:
            self.send(handler, 412, b"")
            return
        first, last = match.groups()
        start = int(first) if first else max(0, len(data) - int(last))
        stop = min(int(last) + 1, len(data)) if first and last else len(data)
        where = f"bytes {start}-{stop - 1}/{len(data)}"
        self.send(
            handler,
            206,
            data[start:stop],
            **{"ETag": self.etag, "Content-Range": where},
        )

    def send(self, handler: Any, status: int, body: bytes, **headers: str) -> None:
        self.sent.append(len(body))
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            with contextlib.suppress(OSError):
                handler.wfile.write(body)
