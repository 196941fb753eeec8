"""Files behind URLs, opened under a policy and with the caller's credentials."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Callable, Collection, Iterable
from urllib.parse import urlsplit

from ..engine import FileHandle
from ..engine.http_client import HTTPClient
from ..engine.open_remote import open_remote
from ..engine.remote_source import RemoteIdentity
from ..engine.urls import shown
from ..errors import PolicyError, RemoteError
from .addresses import AddressRule, looks_like_url, origin_of, why_not_public
from .credentials import Credentials, Keyring
from .policy import Policy

__all__ = ["is_url", "open_url"]

_KNOWN = re.compile(r"(https?|s3):/+", re.IGNORECASE)


def is_url(target: object) -> bool:
    """Tell whether a target is a URL (and no path that exists and looks like one)."""
    return (
        isinstance(target, str)
        and looks_like_url(target)
        and not os.path.exists(target)
    )


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
    keyring = Keyring(credentials)
    try:
        place = keyring.url_of(url) if url[:3].lower() == "s3:" else url
        origin = origin_of(place)
    except ValueError as exc:
        raise RemoteError(f"{shown(url)}: cannot be opened: {exc}") from None
    named = frozenset({origin} if by_caller else ())

    def check_url(text: str) -> None:
        check_contact(policy, text, named)

    check_url(place)
    client = HTTPClient(
        AddressRule(check_url, named),
        policy.network,
        sign=keyring.headers if keyring else None,
        proxy=_proxy_for(policy, named),
    )
    return open_remote(place, client, renew=renew, expected=expected)


def check_contact(policy: Policy, url: str, named: Collection[str] = ()) -> None:
    """Raise `PolicyError` if a URL must not be contacted.

    Parameters
    ----------
    policy : Policy
        Of the measurement.
    url : str
        Any URL, of a redirect too.
    named : collection of str
        Origins that the caller named.
    """
    where = shown(url)
    if os.environ.get("DCREAD_OFFLINE", "") not in {"", "0"}:
        raise PolicyError(f"{where}: not contacted, since DCREAD_OFFLINE is set")
    if policy.remote is False:
        raise PolicyError(f"{where}: not contacted, since Policy(remote=False) says so")
    try:
        origin = origin_of(url)
    except ValueError as exc:
        raise PolicyError(f"{where}: not contacted: {exc}") from None
    if origin in named:
        return
    if policy.remote == "hosts":
        allowed = {
            origin_of(host if "://" in host else f"https://{host}")
            for host in policy.hosts
        }
        if origin not in allowed:
            raise PolicyError(
                f"{where}: not contacted, since {origin} is not among the hosts of the "
                "policy"
            )
    reason = why_not_public(urlsplit(origin).hostname or "")
    if reason:
        raise PolicyError(
            f"{where}: not contacted, since {reason}; only the caller may name hosts "
            "of the own network"
        )


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
