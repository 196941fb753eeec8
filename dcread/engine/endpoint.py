"""Where a connection leads to."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from ..errors import RemoteError
from .urls import shown


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


@functools.lru_cache(maxsize=64)  # (asked for with each request)
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
        if re.search(r"[\\@\s]", place.netloc):
            # Others take a backslash for a slash: they would see another host.
            raise ValueError("expected a host without user name or backslash")
        host = place.hostname
        if ":" not in host:
            host = host.encode("idna").decode("ascii")
        port = place.port or (443 if place.scheme == "https" else 80)
    except (ValueError, UnicodeError) as exc:
        raise RemoteError(f"{shown(url)}: is not a valid URL: {exc}") from None
    return Endpoint(place.scheme, host.lower(), port)
