"""Basins in the repository DCOR (format ``dcor``).

A resource has no features itself: the server names basins, addresses of files that hold
them, some of which expire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload
from urllib.parse import parse_qs, urlsplit

from ..engine.urls import without_signature
from ..errors import BasinError
from ..file.identifier import PARTS, RUN_IDENTIFIER, identifier_from
from .base import Basin, Opened
from .context import BasinContext
from .hookspecs import hookimpl

VERSION = 2


class DCORBasin(Basin):
    """A resource, by the URL ``https://host/api/3/action/dcserv?id=...``."""

    format = "dcor"
    type = "remote"
    reach = "remote"

    def open(self) -> Opened:
        """Ask the server what it is."""
        meta = query(self.context, self.location, "metadata")
        if not isinstance(meta, Mapping):
            raise BasinError(
                f"expected metadata as an object, found {type(meta).__name__}"
            )
        flat = {
            f"{section}:{name}": value
            for section, values in meta.items()
            if isinstance(values, Mapping)
            for name, value in values.items()
        }
        count = flat.get("experiment:event count")
        return Opened(
            features={},
            identifier=identifier_from(
                {name: flat.get(name) for name in (RUN_IDENTIFIER, *PARTS)}
            ),
            identity=("dcor", without_signature(self.location)),
            length=count if type(count) is int else None,
            definitions=DCORDefinitions(self.context, self.location),
        )


class DCORDefinitions(Sequence[Mapping[str, Any]]):
    """The basins of a resource, asked for anew each time: addresses expire."""

    def __init__(self, context: BasinContext, url: str) -> None:
        self._context = context
        self._url = url

    def _ask(self) -> list[Mapping[str, Any]]:
        found = query(self._context, self._url, "basins")
        if not isinstance(found, list):
            raise BasinError(f"expected a list of basins, found {type(found).__name__}")
        return [with_expiry(raw) if isinstance(raw, dict) else raw for raw in found]

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Mapping[str, Any]]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._ask()[index]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._ask())

    def __len__(self) -> int:
        return len(self._ask())


def query(context: BasinContext, url: str, name: str) -> Any:
    """Return what a DCOR server answers to a query about a resource.

    Raises
    ------
    BasinError
        If the URL names no resource, or the answer tells of an error.
    RemoteError, PolicyError
        If there is no answer, or it must not be contacted.
    """
    if not parse_qs(urlsplit(url).query).get("id"):
        raise BasinError(
            "expected a URL such as https://host/api/3/action/dcserv?id=..."
        )
    answer = context.get_json(f"{url}&version={VERSION}&query={name}")
    if not isinstance(answer, Mapping) or answer.get("success") is not True:
        raise BasinError(f"the query '{name}' had no success")
    return answer.get("result")


def with_expiry(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a definition with what older servers tell by the URL alone."""
    if "perishable" in raw:
        return raw
    for url in raw.get("urls") or ():
        if isinstance(url, str):
            fields = parse_qs(urlsplit(url.lower()).query)
            expires = fields.get("expires", [""])[0]
            if expires.isdecimal():
                return {**raw, "perishable": True, "time_expiration": int(expires)}
    return raw


@hookimpl
def dcread_register_basins() -> type[Basin]:
    """Offer the format ``dcor``."""
    return DCORBasin
