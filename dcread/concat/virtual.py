"""Virtual datasets that other programs made, as inputs of a concatenation."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

from ..errors import FileMissingError
from ..file.source_check import locate
from ..file.source_records import has_sources

if TYPE_CHECKING:
    import h5py

    from ..file.policy import Policy


def virtual_files(dataset: h5py.Dataset, policy: Policy) -> set[pathlib.Path]:
    """Return the files that a virtual dataset takes its rows from.

    They are to be checked like inputs, since HDF5 gives fill values for those that
    are missing. Files that dcread concatenated tell their sources themselves. The
    caller holds the h5py lock.

    Raises
    ------
    FileMissingError, PolicyError
        If one is missing or not allowed.
    """
    if not dataset.is_virtual or has_sources(dataset.file):
        return set()
    file = pathlib.Path(os.fsdecode(dataset.file.filename)).absolute()
    found = set()
    for name in {source.file_name for source in dataset.virtual_sources()} - {"."}:
        path = locate(str(file.parent / name.replace("%%", "%")), file)
        if path is None:
            raise FileMissingError(
                f"{dataset.file.filename}: '{dataset.name}' takes its data from {name}"
                ", which is missing; bring it back"
            )
        found.add(policy.check_path(path, file.parent))
    return found
