"""Basins in folders of NumPy files: ``deform.npy``, ``image.npy``, ..."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

import dcread


class NpyFolderBasin(dcread.Basin):
    """One ``.npy`` file for each feature, one row for each event."""

    format = "npyfolder"
    type = "file"

    def _folder(self) -> pathlib.Path:
        # A path from a file: only what the user's policy allows.
        return self.context.check_path(self.location)

    def available(self) -> bool:
        """Tell whether the folder is there."""
        return self._folder().is_dir()

    def open(self) -> Mapping[str, Any]:
        """Return the features; memory maps read what is asked for."""
        return {
            path.stem: np.load(path, mmap_mode="r", allow_pickle=False)
            for path in sorted(self._folder().glob("*.npy"))
        }

    def identifier(self) -> str | None:
        """Return the measurement identifier, if the folder has one."""
        path = self._folder() / "identifier.txt"
        return path.read_text().strip() if path.exists() else None

    def identity(self) -> Hashable:
        """Return what tells this folder from others."""
        status = os.stat(self._folder())
        return status.st_dev, status.st_ino


@dcread.hookimpl
def dcread_register_basins() -> type[dcread.Basin]:
    """Offer the format ``npyfolder``."""
    return NpyFolderBasin


@dcread.hookimpl
def dcread_basin_locations(definition: dcread.BasinDefinition) -> Iterable[str]:
    """Look in the archive as well, whatever the format."""
    archive = os.environ.get("NPYFOLDER_ARCHIVE")
    if archive is None:
        return []
    return [os.path.join(archive, pathlib.Path(path).name) for path in definition.paths]
