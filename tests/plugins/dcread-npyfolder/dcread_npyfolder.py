"""Basins in folders of NumPy files: ``deform.npy``, ``image.npy``, ..."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

import numpy as np

import dcread


class NpyFolderBasin(dcread.Basin):
    """One ``.npy`` file for each feature, one row for each event."""

    format = "npyfolder"
    type = "file"

    def available(self) -> bool:
        """Tell whether the folder is there."""
        return self.context.check_path(self.location).is_dir()

    def open(self) -> dcread.Opened:
        """Return the features; memory maps read what is asked for."""
        folder = self.context.check_path(self.location)
        name, status = folder / "identifier.txt", os.stat(folder)
        return dcread.Opened(
            features={
                path.stem: np.load(path, mmap_mode="r", allow_pickle=False)
                for path in sorted(folder.glob("*.npy"))
            },
            identifier=name.read_text().strip() if name.exists() else None,
            identity=(status.st_dev, status.st_ino),
        )


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
