"""Basins in Zarr stores: one array a feature, in a group of the store."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr

import dcread


class ZarrFeature:
    """A Zarr array whose scattered rows are read in one go."""

    def __init__(self, array: zarr.Array) -> None:
        self._array = array
        self.shape = array.shape
        self.dtype = np.dtype(array.dtype)
        self.chunks = array.chunks

    def __getitem__(self, rows: slice) -> Any:
        return self._array[rows]

    def read_rows(self, rows: Any) -> Any:
        return self._array.oindex[rows]


class ZarrFeatures(dict[str, Any]):
    """The arrays of a group by name, groups (``trace``) as mappings."""

    def __init__(self, group: zarr.Group) -> None:
        super().__init__(
            (name, ZarrFeature(item) if hasattr(item, "dtype") else ZarrFeatures(item))
            for name, item in group.members()
        )


class ZarrBasin(dcread.Basin):
    """The features in the group ``events`` of a Zarr store on this machine."""

    format = "zarr"
    type = "file"

    def available(self) -> bool:
        """Tell whether the store is there."""
        return self.context.check_path(self.location).is_dir()

    def open(self) -> dcread.Opened:
        """Open the store for reading."""
        path = self.context.check_path(self.location)
        root = zarr.open_group(str(path), mode="r")
        return dcread.Opened(
            features=ZarrFeatures(root["events"]),
            identifier=root.attrs.get("experiment:run identifier"),
            identity=str(path.resolve()),
        )


@dcread.hookimpl
def dcread_register_basins() -> type[dcread.Basin]:
    """Offer the format ``zarr``."""
    return ZarrBasin
