"""A resource of DCOR: what its server answers, in the place of a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import h5py
import numpy as np

from ..engine import FileHandle, open_file
from ..engine.source import RemoteIdentity
from ..engine.stop import Stop
from ..engine.urls import shown, without_signature
from ..errors import FormatError, NotAFileError, RemoteError
from ..problems import UNREADABLE, Problem, one_line, recorded_as_problem
from ..sync.locks import h5_lock
from .credentials import Credentials
from .events import COUNT_ATTRIBUTE
from .policy import Policy
from .tables import Table

ACTION = "/api/3/action/dcserv"
"""How the path of such a URL ends."""

VERSION = 2
"""Version of the protocol: the server names where features lie, and sends none."""


def is_resource(url: str) -> bool:
    """Tell whether a URL is that of a resource of DCOR, and not of a file.

    Examples
    --------
    >>> is_resource("https://dcor.example.org/api/3/action/dcserv?id=01234567-89ab")
    True
    """
    try:
        return urlsplit(url).path.rstrip("/").endswith(ACTION)
    except ValueError:  # not one that can be read
        return False


def query(get: Callable[[str], Any], url: str, name: str) -> Any:
    """Return what a server of DCOR answers to a query about a resource.

    Parameters
    ----------
    get : callable
        Returns the JSON document behind a URL.
    url : str
        Of the resource.
    name : str
        The query, such as ``"metadata"``.

    Raises
    ------
    NotAFileError
        If the URL names no resource.
    RemoteError
        If there is no answer, or one that tells of an error.
    """
    place = urlsplit(url)
    identifiers = parse_qs(place.query).get("id")
    if not identifiers:
        raise NotAFileError(
            f"{shown(url)}: expected the URL of a resource of DCOR, which ends in "
            "dcserv?id= and an identifier"
        )
    wanted = f"id={quote(identifiers[0], safe='')}&version={VERSION}&query={name}"
    answer = get(urlunsplit((*place[:3], wanted, "")))
    if not isinstance(answer, Mapping) or answer.get("success") is not True:
        raise RemoteError(f"{shown(url)}: the query '{name}' failed")
    return answer.get("result")


def flat_metadata(found: Any) -> dict[str, Any]:
    """Return the metadata of an answer by ``section:name``.

    Raises
    ------
    RemoteError
        If the answer is none.
    """
    if not isinstance(found, Mapping):
        raise RemoteError(
            f"expected metadata as an object, found {type(found).__name__}"
        )
    return {
        f"{section}:{name}": value
        for section, values in found.items()
        if isinstance(values, Mapping)
        for name, value in values.items()
    }


def with_expiry(raw: Any) -> Any:
    """Return a definition with what older servers tell by the URL alone."""
    if not isinstance(raw, dict) or "perishable" in raw:
        return raw
    urls = raw.get("urls")
    for url in urls if isinstance(urls, list) else ():
        if isinstance(url, str):
            fields = parse_qs(urlsplit(url.lower()).query)
            expires = fields.get("expires", [""])[0]
            if expires.isdecimal():
                return {**raw, "perishable": True, "time_expiration": int(expires)}
    return raw


class Resource:
    """A resource of DCOR that is open in the place of a file.

    Its attributes are in an HDF5 file in memory, without features; logs, tables and
    basins are asked for when they are needed.

    Parameters
    ----------
    url : str
        ``https://host/api/3/action/dcserv?id=...``, as the caller wrote it.
    policy : Policy
        What may be contacted, and within which limits.
    credentials : iterable of Credentials
        A token for the server, if it needs one.

    Attributes
    ----------
    label : str
        What error messages call it.
    problems : list of Problem
        Metadata that are none.
    """

    def __init__(
        self, url: str, policy: Policy, credentials: Iterable[Credentials]
    ) -> None:
        self.label = without_signature(url)
        self.problems: list[Problem] = []
        self._url = url
        self._policy = policy
        self._credentials = list(credentials)
        self._stop = Stop()

    def ask(self, name: str) -> Any:
        """Return the answer to a query.

        Raises
        ------
        RemoteError, FileMissingError, PolicyError
            If there is none, or the server must not be contacted.
        """
        return query(self._get, self._url, name)

    def _get(self, url: str) -> Any:
        from .open_url import get_json  # costs as much as the rest of dcread

        return get_json(
            url,
            self._policy,
            credentials=self._credentials,
            by_caller=True,
            stop=self._stop,
        )

    def close(self) -> None:
        """End all queries that are under way."""
        self._stop.set()

    def open(self) -> FileHandle:
        """Return a handle on the attributes of the resource."""
        meta = flat_metadata(self.ask("metadata"))
        if type(meta.get(COUNT_ATTRIBUTE)) is not int:
            meta[COUNT_ATTRIBUTE] = self.ask("size")
        handle = open_file(self._as_file(meta))
        handle.label = self.label
        handle.identity = RemoteIdentity(self.label, "", 0, "")
        handle.resource = self
        return handle

    def again(self) -> Resource:
        """Return the same resource, of which nothing is known yet."""
        return Resource(self._url, self._policy, self._credentials)

    def _as_file(self, meta: Mapping[str, Any]) -> io.BytesIO:
        stream = io.BytesIO()
        with h5_lock, h5py.File(stream, "w", libver="latest") as h5:
            h5.create_group("events")
            for key, value in meta.items():
                with recorded_as_problem(self.problems, "attribute", key):
                    if isinstance(value, (Mapping, type(None))):
                        kind = "null" if value is None else "an object"
                        raise FormatError(f"expected text or numbers, found {kind}")
                    h5.attrs[key] = value
        return stream

    def logs(self, problems: list[Problem]) -> dict[str, list[str]]:
        """Return all logs by name, sorted; empty ones are left out."""
        logs = {}
        for name, lines in self._by_name("logs"):
            with recorded_as_problem(problems, "log", name):
                if not isinstance(lines, list):
                    raise FormatError(f"expected lines, found {type(lines).__name__}")
                if lines:
                    logs[name] = [str(line) for line in lines]
        return logs

    def tables(self, problems: list[Problem]) -> dict[str, Table]:
        """Return all tables by name, sorted; numbers that are missing are NaN."""
        tables: dict[str, Table] = {}
        for name, content in self._by_name("tables"):
            with recorded_as_problem(problems, "table", name):
                tables[name] = _as_table(content)
        return tables

    def definitions(self) -> list[Any]:
        """Return the definitions of its basins, asked for anew: addresses expire."""
        found = self.ask("basins")
        if not isinstance(found, list):
            raise RemoteError(
                f"{self.label}: expected a list of basins, found {type(found).__name__}"
            )
        return list(map(with_expiry, found))

    def _by_name(self, name: str) -> list[tuple[str, Any]]:
        found = self.ask(name)
        if not isinstance(found, Mapping):
            raise RemoteError(
                f"{self.label}: expected {name} by name, found {type(found).__name__}"
            )
        return sorted(found.items())

    def no_file(self, what: str) -> NotAFileError:
        """Return the error for what only a file has."""
        return NotAFileError(
            f"{self.label} is a resource of DCOR and no file: it has no {what}; its "
            "attributes are in `meta`, and its features come from `basins`"
        )


def _as_table(content: Any) -> Table:
    """Return a table of an answer: names of columns or null, and rows of numbers."""
    try:
        columns, rows = content
        data = np.array(rows, np.float64)
        if columns is None:
            return data
        data = data.reshape(len(rows), -1) if rows else np.empty((0, len(columns)))
        if data.shape[1] != len(columns):
            raise ValueError(f"{len(columns)} names for {data.shape[1]} columns")
        return {str(name): data[:, place].copy() for place, name in enumerate(columns)}
    except UNREADABLE as exc:
        raise FormatError(
            f"expected names of columns and rows of numbers, found {one_line(exc, 100)}"
        ) from exc
