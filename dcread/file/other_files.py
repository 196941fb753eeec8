"""The files of this machine that an open file leads to, without its basins."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from h5py import Dataset, h5d

from ..errors import DCReadError
from ..problems import ignoring
from ..sync.locks import h5_lock
from .dataset_group import DatasetGroup
from .events import Events
from .source_check import locate
from .source_records import has_sources, read_sources

if TYPE_CHECKING:
    from ..engine import FileHandle


def other_files(handle: FileHandle) -> set[pathlib.Path]:
    """Return the files that hold the features of an open file.

    They are those that links and virtual datasets lead to, and the sources of a
    concatenated file. What cannot be used leads nowhere.
    """
    found: set[pathlib.Path] = set()
    with ignoring(DCReadError):
        places = [locate(source.path, handle.path) for source in read_sources(handle)]
        found.update(place for place in places if place is not None)
    for name, feature in Events(handle, []).look_at_all().items():
        if feature.shape is None or not feature.plain:
            found |= _files_of(handle, f"events/{name}")
    return found


def _files_of(handle: FileHandle, name: str) -> set[pathlib.Path]:
    """Return the files that hold a dataset, or a group of traces."""
    found: set[pathlib.Path] = set()
    with ignoring(DCReadError, KeyError), handle.using(), h5_lock:
        place = handle.names.find(handle, name)
        if place.handle.path is not None:
            found.add(place.handle.path)
        if isinstance(place.id, h5d.DatasetID):
            found |= virtual_files(place.handle, Dataset(place.id))
        elif name == "events/trace":
            for member in DatasetGroup(place):
                found |= _files_of(handle, f"{name}/{member}")
    return found


def virtual_files(handle: FileHandle, dataset: Dataset) -> set[pathlib.Path]:
    """Return the files that a virtual dataset takes its rows from.

    Files that dcread concatenated tell their sources themselves. The caller holds the
    h5py lock.

    Raises
    ------
    FileMissingError, PolicyError
        If one is missing or not allowed.
    """
    if not dataset.is_virtual or has_sources(dataset.file):
        return set()
    where = f"{handle.label}: '{dataset.name}'"
    found = set()
    for name in {source.file_name for source in dataset.virtual_sources()} - {"."}:
        source = handle.names.open_named(handle, name.replace("%%", "%"), where)
        found.add(pathlib.Path(source.label))
        source.close()
    return found
