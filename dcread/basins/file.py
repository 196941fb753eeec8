"""Basins in other files on this machine (format ``hdf5``)."""

from __future__ import annotations

from .base import Basin, Opened
from .hookspecs import hookimpl


class HDF5FileBasin(Basin):
    """The features in ``/events`` of another HDF5 file."""

    format = "hdf5"
    type = "file"

    def open(self) -> Opened:
        """Open the file."""
        return self.context.open_file(self.location)


@hookimpl
def dcread_register_basins() -> type[Basin]:
    """Offer the format ``hdf5``."""
    return HDF5FileBasin
