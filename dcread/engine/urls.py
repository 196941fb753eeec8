"""URLs: which of their parts are secret, and how they are shown."""

from __future__ import annotations

import functools
import re
from urllib.parse import urlsplit, urlunsplit

_SIGNATURE = re.compile(
    r"x-amz-.*|x-goog-.*|awsaccesskeyid|googleaccessid|signature|expires|policy"
    r"|key-pair-id|sig|token|access_token|auth_token|api_key|apikey|password|secret"
    r"|hdnea|hdnts|verify",
    re.IGNORECASE,
)
"""Parameters of a query that sign it: they are secret, and vary for the same file."""

_AZURE = re.compile(r"s[aevrpkit]|spr|sip|skoid|sktid|skt|ske|sks|skv", re.IGNORECASE)
"""Further ones where a query has ``sig`` (shared access signatures)."""


_SLASHES = re.compile(r"^(\s*(?:https?|s3)):/+", re.IGNORECASE)
"""Any number of slashes: pathlib makes one of two."""


@functools.lru_cache(maxsize=64)  # (asked for with each request)
def without_signature(url: str) -> str:
    """Return a URL without user, fragment and what signs it.

    The rest of the query stays: it belongs to what the URL names.

    Examples
    --------
    >>> without_signature("https://host/x.rtdc?id=5&X-Amz-Signature=abc#top")
    'https://host/x.rtdc?id=5'
    """
    place = urlsplit(url)
    items = place.query.split("&") if place.query else []
    names = {item.partition("=")[0].lower() for item in items}
    kept = [item for item in items if not _is_secret(item, azure="sig" in names)]
    host = place.netloc.rpartition("@")[2]
    return urlunsplit((place.scheme, host, place.path, "&".join(kept), ""))


def is_signed(url: str) -> bool:
    """Tell whether a URL carries a signature (or a token) of its own."""
    place = urlsplit(url)
    return without_signature(url) != urlunsplit((*place[:4], ""))


@functools.lru_cache(maxsize=64)
def shown(url: str) -> str:
    """Return a URL for messages: without its query, user and fragment.

    Examples
    --------
    >>> shown("https://host/x.rtdc?id=5")
    'https://host/x.rtdc'
    """
    url = _SLASHES.sub(r"\1://", url)
    try:
        place = urlsplit(url)
    except ValueError:  # not one that can be read
        return re.split(r"[?#@]", url)[0]
    host = place.netloc.rpartition("@")[2]
    return urlunsplit((place.scheme, host, place.path, "", ""))


def _is_secret(item: str, *, azure: bool) -> bool:
    name = item.partition("=")[0]
    if azure and _AZURE.fullmatch(name):
        return True
    return _SIGNATURE.fullmatch(name) is not None
