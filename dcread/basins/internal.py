"""Basins in the same file (format ``h5dataset``): few rows for many events."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import BasinError
from .base import Basin, Opened
from .context import BasinContext
from .definition import BasinDefinition
from .hookspecs import hookimpl

USUAL_GROUP = "basin_events"


def group_of(definition: BasinDefinition) -> str:
    """Return the name of the group with the features of an internal basin."""
    return (definition.paths or (USUAL_GROUP,))[0].strip("/")


class InternalBasin(Basin):
    """The features in ``/basin_events`` of the referrer itself."""

    format = "h5dataset"
    type = "internal"
    reach = "inside"

    @classmethod
    def locations(
        cls, definition: BasinDefinition, context: BasinContext
    ) -> Iterable[str]:
        """Return the name of the group (only the first one counts)."""
        return [group_of(definition)]

    def available(self) -> bool | None:
        """Tell whether the group is there."""
        return self.context.has_group(self.location)

    def open(self) -> Opened:
        """Return the group."""
        if self.definition.features is None:
            raise BasinError(
                "Encountered invalid internal basin "
                f"'{self.definition.label}': 'features' must be defined"
            )
        return Opened(self.context.group(self.location))


@hookimpl
def dcread_register_basins() -> type[Basin]:
    """Offer the format ``h5dataset``."""
    return InternalBasin
