"""Signature version 4 of Amazon Web Services, for GET requests to S3."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

EMPTY = hashlib.sha256(b"").hexdigest()
UNRESERVED = "-_.~"


class S3Key(NamedTuple):
    """What signs a request."""

    access_key: str
    secret_key: str
    session_token: str | None
    region: str


def signed_headers(
    url: str,
    headers: Mapping[str, str],
    key: S3Key,
    now: datetime.datetime | None = None,
) -> dict[str, str]:
    """Return the headers of a GET request that sign it.

    Parameters
    ----------
    url : str
        What is asked for.
    headers : mapping
        Further headers of the request, which are signed as well.
    key : S3Key
        What to sign with.
    now : datetime, optional
        In UTC; the current time by default.

    Returns
    -------
    dict
        Without `headers`, which are to be sent along unchanged.
    """
    place = urlsplit(url)
    now = now or datetime.datetime.now(datetime.UTC)
    time = now.strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": time, "x-amz-content-sha256": EMPTY}
    if key.session_token:
        added["x-amz-security-token"] = key.session_token
    signed = {name.lower(): " ".join(text.split()) for name, text in headers.items()}
    signed |= {"host": _host(place.scheme, place.hostname or "", place.port), **added}
    names = ";".join(sorted(signed))
    request = "\n".join(
        [
            "GET",
            quote(unquote(place.path or "/"), safe=f"/{UNRESERVED}"),
            _query(place.query),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            EMPTY,
        ]
    )
    scope = f"{time[:8]}/{key.region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", time, scope, digest])
    secret = f"AWS4{key.secret_key}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    added["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return added


def _host(scheme: str, host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    standard = {"http": 80, "https": 443}.get(scheme)
    return shown if port in {None, standard} else f"{shown}:{port}"


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    quoted = [(quote(k, safe=UNRESERVED), quote(v, safe=UNRESERVED)) for k, v in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(quoted))
