"""Basins in the same file (format ``h5dataset``): few rows for many events."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from ..engine import FileHandle
from ..errors import BasinError
from ..file.links import has_member, subgroup
from ..sync.locks import h5_lock
from .base import Basin
from .definition import BasinDefinition
from .hookspecs import hookimpl
from .scope import BasinContext

if TYPE_CHECKING:
    import h5py

USUAL_GROUP = "basin_events"


class InternalBasin(Basin):
    """The features in ``/basin_events`` of the referrer itself."""

    format = "h5dataset"
    type = "internal"

    events_handle: FileHandle | None = None

    @classmethod
    def locations(
        cls, definition: BasinDefinition, context: BasinContext
    ) -> Iterable[str]:
        """Return the name of the group (only the first one counts)."""
        return [path.strip("/") for path in (definition.paths or (USUAL_GROUP,))[:1]]

    def available(self) -> bool | None:
        """Tell whether the group is there."""
        handle = self.context.handle
        if handle is None:
            return False
        with handle.using(), h5_lock:
            return has_member(handle.h5.id, self.location)

    def open(self) -> h5py.Group:
        """Return the group."""
        import h5py

        if self.definition.features is None:
            raise BasinError(
                "Encountered invalid internal basin "
                f"'{self.definition.label}': 'features' must be defined"
            )
        handle = self.context.handle
        if handle is None:
            raise BasinError("an internal basin needs a file to be in")
        with handle.using(), h5_lock:
            group = subgroup(handle, self.location)
            self.events_handle = group.handle
            return h5py.Group(group.id)

    def identity(self) -> Hashable | None:
        """Return the place of the group in the file."""
        handle = self.context.handle
        found = None if handle is None else handle.identity
        return None if found is None else (*found[:2], self.location)


@hookimpl
def dcread_register_basins() -> type[Basin]:
    """Offer the format ``h5dataset``."""
    return InternalBasin
