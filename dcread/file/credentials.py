"""Credentials: secrets for one server each, never shown, logged or pickled."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

from ..engine.s3_signature import UNRESERVED, S3Key, signed_headers
from ..sync.locks import BriefLock
from .addresses import origin_of

__all__ = ["Credentials", "set_credentials"]

AWS = "https://{bucket}.s3.{region}.amazonaws.com"
REGION = "us-east-1"


class Credentials:
    """Secrets for one server: a token, or the keys of an S3 service.

    They are sent to that origin (scheme, host and port) only, whatever a file or a
    redirect says. They appear in no representation, error or pickle; another process
    needs them anew, best by its environment.

    Parameters
    ----------
    origin : str
        A URL of the server, such as ``"https://dcor.example.org"``; its path does not
        matter.
    token : str, optional
        Value of the header ``Authorization``, such as a DCOR access token.
    access_key, secret_key : str, optional
        Keys of an S3 service.
    session_token : str, optional
        The token that belongs to temporary keys.
    region : str, optional
        Region of the S3 service.

    Attributes
    ----------
    origin : str
        Scheme, host and port.

    Raises
    ------
    ValueError
        If it is not an http or https URL, or the secrets are incomplete.

    Examples
    --------
    >>> Credentials("https://dcor.example.org/api", token="abc")
    Credentials('https://dcor.example.org:443', token=...)
    """

    __slots__ = ("_key", "_token", "origin")

    def __init__(
        self,
        origin: str,
        *,
        token: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        session_token: str | None = None,
        region: str | None = None,
    ) -> None:
        self.origin = origin_of(origin)
        if self.origin.startswith("s3:"):
            raise ValueError(
                "credentials belong to a server: pass the URL of the S3 service, such "
                "as https://s3.example.org"
            )
        if (access_key is None) != (secret_key is None):
            raise ValueError("access_key and secret_key belong together")
        if (token is None) == (access_key is None):
            raise ValueError("pass either a token, or access_key and secret_key")
        if session_token is not None and access_key is None:
            raise ValueError("a session_token belongs to access_key and secret_key")
        secrets = (token, access_key, secret_key, session_token)
        if any(not one or not one.isprintable() for one in secrets if one is not None):
            raise ValueError(
                "a secret is empty, or has characters that cannot be printed"
            )
        self._token = token
        self._key: S3Key | None = None
        if access_key is not None and secret_key is not None:
            self._key = S3Key(access_key, secret_key, session_token, region or REGION)

    @property
    def is_s3(self) -> bool:
        """Whether these are keys of an S3 service.

        Examples
        --------
        >>> dcread.Credentials("https://dcor.example.org", token="abc").is_s3
        False
        """
        return self._key is not None

    def __repr__(self) -> str:
        kind = "access_key=..., secret_key=..." if self._key else "token=..."
        return f"Credentials({self.origin!r}, {kind})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "Credentials are not pickled: set them in each process, by the environment "
            "or dcread.set_credentials"
        )

    def headers(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return what to add to a request; nothing if it goes to another origin.

        Parameters
        ----------
        url : str
            Where the request goes.
        headers : mapping
            What it has already.

        Returns
        -------
        dict

        Examples
        --------
        >>> credentials = dcread.Credentials("https://dcor.example.org", token="abc")
        >>> credentials.headers("https://elsewhere.example.org/x.rtdc", {})
        {}
        >>> credentials.headers("https://dcor.example.org/x.rtdc", {})
        {'Authorization': 'abc'}
        """
        if origin_of(url) != self.origin:
            return {}
        if self._key is not None:
            return signed_headers(url, headers, self._key)
        return {"Authorization": self._token or ""}


_given: list[Credentials] = []
_lock = BriefLock()


def set_credentials(*credentials: Credentials) -> None:
    """Set the credentials of all measurements that this process opens from now on.

    Parameters
    ----------
    *credentials : Credentials
        In place of those that were set before; without any, those are forgotten.

    Examples
    --------
    >>> token = "the token of your account"
    >>> account = dcread.Credentials("https://dcor.example.org", token=token)
    >>> dcread.set_credentials(account)
    >>> dcread.set_credentials()
    """
    checked = checked_credentials(credentials)
    with _lock:
        _given[:] = checked


def checked_credentials(credentials: Any) -> list[Credentials]:
    """Return a list of credentials.

    Raises
    ------
    TypeError
        If it is none.
    """
    if credentials is None or (isinstance(credentials, tuple) and not credentials):
        return []
    if isinstance(credentials, Credentials):
        return [credentials]
    if isinstance(credentials, Iterable) and not isinstance(credentials, (str, bytes)):
        found = list(credentials)
        if all(isinstance(one, Credentials) for one in found):
            return found
    # (not what was given: it may be a secret)
    raise TypeError(
        "`credentials` must be a list of dcread.Credentials, got "
        f"{type(credentials).__name__}"
    )


class Keyring:
    """All credentials that hold for one measurement: first match wins.

    Parameters
    ----------
    credentials : list of Credentials
        Those that the caller gave for it; those of `set_credentials` and of the
        environment come after.
    """

    def __init__(self, credentials: Iterable[Credentials] = ()) -> None:
        self._all = [*credentials, *_given]
        endpoint = _environ("DCREAD_S3_ENDPOINT_URL", "DCLAB_S3_ENDPOINT_URL")
        self._endpoint = endpoint
        self._region = _environ("DCREAD_S3_REGION")
        if endpoint and "{bucket}" not in endpoint:
            self._add_from_environment(endpoint)
        host, token = _environ("DCREAD_DCOR_HOST"), _environ("DCREAD_DCOR_TOKEN")
        if host and token:
            url = host if "://" in host else f"https://{host}"
            self._all.append(Credentials(url, token=token))

    def _add_from_environment(self, url: str) -> None:
        access = _environ("DCREAD_S3_ACCESS_KEY_ID", "DCLAB_S3_ACCESS_KEY_ID")
        secret = _environ("DCREAD_S3_SECRET_ACCESS_KEY", "DCLAB_S3_SECRET_ACCESS_KEY")
        if access and secret:
            self._all.append(
                Credentials(
                    url,
                    access_key=access,
                    secret_key=secret,
                    session_token=_environ("DCREAD_S3_SESSION_TOKEN") or None,
                    region=self._region or None,
                )
            )

    def __bool__(self) -> bool:
        return bool(self._all)

    def headers(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return what to add to a request, for the origin that it goes to."""
        for one in self._all:
            if added := one.headers(url, headers):
                return added
        return {}

    def url_of(self, url: str) -> str:
        """Return where an s3 URL leads to: an https (or http) URL.

        The service is that of the environment, else of the only S3 credentials that
        were given, else Amazon's.

        Raises
        ------
        ValueError
            If the URL names no bucket or no key.
        """
        place = urlsplit(url)
        bucket, key = place.netloc, place.path.lstrip("/")
        if not bucket or not key:
            raise ValueError("expected s3://bucket/key")
        origins = {one.origin for one in self._all if one.is_s3}
        service = self._endpoint
        if not service and len(origins) == 1:
            service = origins.pop()
        if not service:
            region = self._region or REGION
            service = AWS.format(bucket=bucket, region=region)
            self._add_from_environment(service)
        elif "{bucket}" in service:
            service = service.replace("{bucket}", bucket)
            self._add_from_environment(service)
        elif urlsplit(service).netloc.partition(".")[0] != bucket:
            service = f"{service.rstrip('/')}/{quote(bucket, safe=UNRESERVED)}"
        query = f"?{place.query}" if place.query else ""
        return f"{service}/{quote(key, safe=f'/{UNRESERVED}')}{query}"


def _environ(*names: str) -> str:
    return next(filter(None, map(os.environ.get, names)), "")
