"""What goes wrong between a request and its answer, and what it is called."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import time


class TemporaryError(Exception):
    """Something that may work when it is tried again; `HTTPClient` does that.

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


def reason_of(exc: Exception) -> str:
    """Return what an exception of sockets or of the HTTP parser means."""
    if isinstance(exc, http.client.IncompleteRead):
        return "the answer is cut short"
    if isinstance(exc, (http.client.RemoteDisconnected, ConnectionResetError)):
        return "the server hung up"
    if isinstance(exc, http.client.HTTPException):
        return f"the answer is not valid HTTP ({type(exc).__name__})"
    text = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return " ".join(str(text).split())


def status_text(status: int) -> str:
    """Return a status code with its name."""
    name = http.client.responses.get(status)
    return f"{status} {name}" if name else str(status)


def seconds_to_wait(text: str) -> float | None:
    """Return the seconds of a ``Retry-After`` header."""
    text = text.strip()
    if text.isdecimal():
        return float(text[:9])
    with contextlib.suppress(TypeError, ValueError):
        when = email.utils.parsedate_to_datetime(text)
        return max(0.0, when.timestamp() - time.time())
    return None
