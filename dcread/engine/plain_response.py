"""Heads of answers as servers mostly send them, read in one go.

The standard library makes an e-mail message of each head, which takes as much processor
time as sending the request and receiving the answer together.
"""

from __future__ import annotations

import io
import re
from types import TracebackType
from typing import Any

_HEAD = re.compile(rb"HTTP/1\.1 206[ -~]*\r\n((?:[!-9;-~]+:[ -~]*\r\n)+)\r\n")
"""Part of a file, with headers of plain text on a line each."""

_LINE = re.compile(r"([^:\r\n]+): *([^\r\n]*?) *\r\n")
"""One of these headers: its name and its value."""

LONGEST = 18
"""Digits of the length of a body at the most."""


class PlainResponse:
    """A partial answer of known length on a connection that stays.

    It has those members of ``http.client.HTTPResponse`` that `Answer` uses.

    Parameters
    ----------
    stream : BufferedReader
        Where its body comes from.
    headers : dict
        By their names in lower case.
    """

    status = 206
    chunked = will_close = False

    def __init__(self, stream: io.BufferedReader, headers: dict[str, str]) -> None:
        self._stream = stream
        self._headers = headers
        self.length = int(headers["content-length"])

    def __enter__(self) -> PlainResponse:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def getheader(self, name: str) -> str | None:
        """Return a header's value."""
        return self._headers.get(name.lower())

    def readinto(self, view: memoryview) -> int:
        """Fill a view, or as much of it as there is."""
        count = self._stream.readinto(view[: self.length])
        self.length -= count
        return count

    def read(self, limit: int) -> bytes:
        """Return so many bytes of the body, or as many as there are."""
        data = self._stream.read(min(limit, self.length))
        self.length -= len(data)
        return data

    def isclosed(self) -> bool:
        """Tell whether all of the body was read."""
        return not self.length

    def close(self) -> None:
        """Let go of the stream."""
        self._stream.close()


def plain_response(stream: Any) -> PlainResponse | None:
    """Return an answer whose head has come at once and is as usual, else None.

    Nothing of the stream is consumed in that case.

    Parameters
    ----------
    stream : BufferedReader
        At the begin of an answer.
    """
    found = _HEAD.match(stream.peek())
    if found is None:
        return None
    lines = _LINE.findall(found[1].decode("ascii"))
    headers = {name.lower(): value for name, value in lines}
    length = headers.get("content-length", "")
    if (
        len(headers) < len(lines)
        or not (length.isdecimal() and len(length) <= LONGEST)
        or "transfer-encoding" in headers
        or headers.get("connection", "keep-alive").lower() != "keep-alive"
    ):
        return None
    stream.read(found.end())
    return PlainResponse(stream, headers)
