"""Basins in the repository DCOR (format ``dcor``).

A resource has no features itself: the server names basins, addresses of files that hold
them, some of which expire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..engine.urls import without_signature
from ..errors import BasinError
from ..file.identifier import identifier_from
from ..file.resource import flat_metadata, query, with_expiry
from .base import Basin, Opened
from .context import BasinContext
from .hookspecs import hookimpl
from .stored_definitions import Definitions


class DCORBasin(Basin):
    """A resource, by the URL ``https://host/api/3/action/dcserv?id=...``."""

    format = "dcor"
    type = "remote"
    reach = "remote"

    def open(self) -> Opened:
        """Ask the server what it is."""
        flat = flat_metadata(query(self.context.get_json, self.location, "metadata"))
        count = flat.get("experiment:event count")
        return Opened(
            features={},
            identifier=identifier_from(flat),
            identity=(without_signature(self.location), ""),
            length=count if type(count) is int else None,
            definitions=DCORDefinitions(self.context, self.location),
        )


class DCORDefinitions(Definitions):
    """The basins of a resource, asked for anew each time: addresses expire."""

    def __init__(self, context: BasinContext, url: str) -> None:
        self._context = context
        self._url = url

    def found(self) -> list[Mapping[str, Any]]:
        """Return all of them."""
        found = query(self._context.get_json, self._url, "basins")
        if not isinstance(found, list):
            raise BasinError(f"expected a list of basins, found {type(found).__name__}")
        return list(map(with_expiry, found))


@hookimpl
def dcread_register_basins() -> type[Basin]:
    """Offer the format ``dcor``."""
    return DCORBasin
