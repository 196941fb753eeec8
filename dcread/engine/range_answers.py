"""Checks of answers with a part of a file: an answer counts only if all of it fits."""

from __future__ import annotations

import functools
import re

from ..errors import FormatError, RemoteError
from .http_exchange import Answer
from .http_failures import TemporaryError
from .source import RemoteIdentity
from .urls import without_signature

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


def check_part(answer: Answer, label: str, what: str) -> tuple[int, int, int]:
    """Return start, stop and size of a partial answer that is as it should be.

    Raises
    ------
    RemoteError
        If it is not.
    """
    if answer.status != 206:
        answer.read_some(4096)
        if answer.status == 200:
            raise no_ranges(label)
        raise wrong_answer(
            label, what, "206 Partial Content", f"status {answer.status}"
        )
    encoding = answer.header("Content-Encoding").strip().lower()
    if encoding not in {"", "identity"}:
        raise wrong_answer(
            label, what, "bytes without encoding", f"'{encoding}' encoding"
        )
    text = answer.header("Content-Range")
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        raise wrong_answer(label, what, "a Content-Range", repr(text[:60] or "none"))
    start, last, size = map(int, match.groups())
    if not start <= last < size:
        raise wrong_answer(label, what, "a Content-Range", repr(text[:60]))
    if answer.length is None:
        raise wrong_answer(label, what, "a Content-Length", "none")
    if answer.length != last + 1 - start:
        raise wrong_answer(
            label,
            what,
            f"{last + 1 - start} bytes",
            f"a Content-Length of {answer.length}",
        )
    return start, last + 1, size


def check_whole(answer: Answer, label: str, what: str) -> None:
    """Raise for an answer without a range, if it is more than a lack of ranges.

    Raises
    ------
    FormatError
        If the file is empty.
    RemoteError
        If there is a web page in its place.
    """
    if answer.status == 416 and answer.header("Content-Range") == "bytes */0":
        raise FormatError(f"{label}: expected an HDF5 file, found an empty file")
    kind = answer.header("Content-Type").partition(";")[0].strip().lower()
    if answer.status == 200 and kind in {"text/html", "application/xhtml+xml"}:
        raise RemoteError(
            f"{label}: expected a measurement ({what}), found a web page; is "
            "there a login page in between? Open the URL in a browser"
        )


def read_body(answer: Answer, view: memoryview) -> None:
    """Fill a view from an answer; raise `TemporaryError` if that ends before."""
    count = answer.read_into(view)
    if count != len(view):
        raise TemporaryError(
            f"the answer is cut short: expected {len(view)} bytes, found {count}"
        )


def identity_of_answer(answer: Answer, url: str, size: int) -> RemoteIdentity:
    """Return the state of the file that an answer tells."""
    return _identity(url, answer.header("ETag"), size, answer.header("Last-Modified"))


@functools.lru_cache(maxsize=64)  # (each answer tells it)
def _identity(url: str, etag: str, size: int, modified: str) -> RemoteIdentity:
    etag = etag.strip()
    strong = etag if re.fullmatch(r'"[^"\r\n]+"', etag) else ""
    return RemoteIdentity(without_signature(url), strong, size, modified)


def no_ranges(label: str) -> RemoteError:
    """Return the error for a server that ignores ranges."""
    return RemoteError(
        f"{label}: the server does not send parts of files (it ignores range "
        "requests); download the file and open that"
    )


def wrong_answer(label: str, what: str, expected: str, found: str) -> RemoteError:
    """Return the error for an answer that is none to the question."""
    return RemoteError(
        f"{label}, {what}: expected {expected}, found {found}; the server, or "
        "something in between, does not answer as it should: download the file"
    )
