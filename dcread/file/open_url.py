"""Files behind URLs, opened under a policy and with the caller's credentials."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

from ..engine import FileHandle
from ..engine.http_client import HTTPClient
from ..engine.http_exchange import Answer
from ..engine.http_failures import DeniedError
from ..engine.open_remote import open_remote
from ..engine.source import RemoteIdentity
from ..engine.stop import Stop, StoppedError
from ..engine.urls import shown
from ..errors import ClosedError, RemoteError
from ..problems import one_line
from .addresses import AddressRule, origin_of
from .credentials import Credentials, Keyring
from .policy import Policy

__all__ = ["get_json", "open_url"]

MAX_JSON_BYTES = 16 << 20


def open_url(
    url: str,
    policy: Policy,
    *,
    credentials: Iterable[Credentials] = (),
    by_caller: bool = False,
    renew: Callable[[], str] | None = None,
    expected: RemoteIdentity | None = None,
) -> FileHandle:
    """Open a measurement behind a URL.

    Parameters
    ----------
    url : str
        An http, https or s3 URL.
    policy : Policy
        What may be contacted, and within which limits.
    credentials : iterable of Credentials
        For this measurement. What a *file* names gets those of its origin only.
    by_caller : bool
        Whether the caller wrote this URL: then its origin may be anywhere.
    renew : callable, optional
        Returns the URL with a new signature, if that expires.
    expected : RemoteIdentity, optional
        The state that the file must have.

    Raises
    ------
    PolicyError
        If the policy forbids it.
    FileMissingError, RemoteError, FormatError, FileChangedError
        If there is no file, no answer, no HDF5 in it, or another state of it.
    """
    place, client = _connection(url, policy, credentials, by_caller=by_caller)
    return open_remote(place, client, renew=renew, expected=expected)


def get_json(
    url: str,
    policy: Policy,
    *,
    credentials: Iterable[Credentials] = (),
    by_caller: bool = False,
    stop: Stop | None = None,
) -> Any:
    """Return a JSON document of a server, decoded.

    Parameters
    ----------
    url : str
        An http or https URL.
    policy : Policy
        What may be contacted, and within which limits.
    credentials : iterable of Credentials
        Those of its origin are used.
    by_caller : bool
        Whether the caller wrote this URL: then its origin may be anywhere.
    stop : Stop, optional
        Set when nobody wants the answer any more.

    Raises
    ------
    ClosedError
        If `stop` is set meanwhile.
    PolicyError
        If the policy forbids it.
    RemoteError
        If there is no answer, or one of another status than 200; its message holds
        what the server says about that.
    """
    place, client = _connection(url, policy, credentials, by_caller=by_caller)
    where = shown(place)

    def receive(answer: Answer) -> tuple[int, bytes]:
        return answer.status, answer.read_some(MAX_JSON_BYTES + 1)

    try:
        status, body = client.get(
            place, {"Accept": "application/json"}, receive, stop=stop
        )
    except StoppedError:
        raise ClosedError(f"{where} is closed; open it again to ask for it") from None
    except DeniedError as exc:
        raise RemoteError(
            f"{where}: {exc}; it needs Credentials for this server"
        ) from exc
    finally:
        client.close()
    if len(body) > MAX_JSON_BYTES:
        raise RemoteError(f"{where}: the answer has more than {MAX_JSON_BYTES} bytes")
    try:
        found = json.loads(body)
    except ValueError as exc:
        raise RemoteError(
            f"{where}: expected JSON, found something else (status {status})"
        ) from exc
    if status != 200:
        raise RemoteError(f"{where}: status {status}: {_complaint(found)}")
    return found


def _complaint(found: Any) -> str:
    """Return what an answer says about an error (as CKAN puts it)."""
    error = found.get("error", found) if isinstance(found, dict) else found
    if isinstance(error, dict):
        error = error.get("message") or {
            name: text for name, text in error.items() if name != "__type"
        }
    return one_line(error, 200)


def _connection(
    url: str,
    policy: Policy,
    credentials: Iterable[Credentials],
    *,
    by_caller: bool = False,
) -> tuple[str, HTTPClient]:
    """Return the http URL and a client that may contact it."""
    keyring = Keyring(credentials)
    try:
        place = keyring.url_of(url) if url[:3].lower() == "s3:" else url
        origin = origin_of(place)
    except ValueError as exc:
        raise RemoteError(f"{shown(url)}: cannot be opened: {exc}") from None
    named = policy.origins | frozenset({origin} if by_caller else ())

    def check_url(text: str) -> None:
        policy.check_url(text, named)

    check_url(place)
    client = HTTPClient(
        AddressRule(check_url, named),
        policy.network,
        sign=keyring.headers if keyring else None,
        proxy=_proxy_for(policy, named),
    )
    return place, client


def _proxy_for(
    policy: Policy, named: Collection[str]
) -> Callable[[str], str | None] | None:
    """Return what tells the proxy of a URL: of what the caller named only."""
    if not policy.proxies or not named:
        return None

    def proxy(url: str) -> str | None:
        if origin_of(url) not in named:
            return None
        place = urlsplit(url)
        if urllib.request.proxy_bypass(place.hostname or ""):
            return None
        return urllib.request.getproxies().get(place.scheme)

    return proxy
