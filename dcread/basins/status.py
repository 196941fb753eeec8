"""What is known of each basin of an open measurement."""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUERY = re.compile(r"(\w+://[^\s?#'\"]*)[?#][^\s'\"]*")


@dataclass(frozen=True, slots=True)
class BasinStatus:
    """What is known of one basin.

    Attributes
    ----------
    name : str
        As stored, else the key in the file, else its position.
    type, format : str
        As stored; empty where nothing usable is stored.
    location : str or None
        The file, URL or group in use; None while there is none.
    available : bool or None
        None for not yet known (a remote basin that nobody asked for a feature).
    reason : str
        Why it is not available, or what was noticed on the way; may be empty.
    features : tuple of str or None
        The features that it makes available, sorted; None if not yet known.
    """

    name: str
    type: str
    format: str
    location: str | None
    available: bool | None
    reason: str
    features: tuple[str, ...] | None


def placed(place: str, what: object) -> str:
    """Return a message on one line that names the place, but only once."""
    text = one_line(what)
    return text if place in text else f"{place}: {text}"


def one_line(what: object, limit: int = 400) -> str:
    """Return a message on one line, not too long, without the queries of URLs.

    A query may hold a signature that opens a private resource.
    """
    text = " ".join(str(what).split())
    if not text:
        text = "(empty)" if isinstance(what, str) else type(what).__name__
    text = _QUERY.sub(r"\1", text)
    return text if len(text) <= limit else text[: limit - 3] + "..."
