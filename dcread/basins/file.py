"""Basins in other files on this machine (format ``hdf5``)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from ..engine import FileHandle
from ..file.links import subgroup
from ..sync.locks import h5_lock
from .base import Basin
from .hookspecs import hookimpl

if TYPE_CHECKING:
    import h5py


class HDF5FileBasin(Basin):
    """The features in ``/events`` of another HDF5 file."""

    format = "hdf5"
    type = "file"

    handle: FileHandle | None = None
    events_handle: FileHandle | None = None
    """The file with the features: another one where ``/events`` is a link."""

    def _opened(self) -> FileHandle:
        if self.handle is None:
            self.handle = self.context.open_file(self.location)
        return self.handle

    def open(self) -> h5py.Group:
        """Open the file and return its ``/events``."""
        import h5py

        handle = self._opened()
        with handle.using(), h5_lock:
            group = subgroup(handle, "events")
            self.events_handle = group.handle
            return h5py.Group(group.id)

    def identifier(self) -> str | None:
        """Return the measurement identifier in the file's attributes."""
        from ..file.identifier import identifier_of

        return identifier_of(self._opened())

    def identity(self) -> Hashable | None:
        """Return device and inode."""
        found = self._opened().identity
        return None if found is None else found[:2]

    def length(self) -> int | None:
        """Return the number of events, by the same rule as for any file."""
        from ..file.events import Events

        return Events(self._opened(), []).length

    def definitions(self) -> list[dict[str, Any]]:
        """Return the basins of the file."""
        return self.context.definitions_of(self._opened())


@hookimpl
def dcread_register_basins() -> type[Basin]:
    """Offer the format ``hdf5``."""
    return HDF5FileBasin
