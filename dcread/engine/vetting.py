"""Sources that HDF5 itself will open: looked at before it does.

Of a virtual dataset that is left to h5py, HDF5 opens whatever its sources name, waits
for ever at a FIFO, and fills the rows of a missing source with the fill value.
"""

from __future__ import annotations

import math
import pathlib
from typing import TYPE_CHECKING, Any

from ..errors import FileMissingError, FormatError, PolicyError, ShapeMismatchError

if TYPE_CHECKING:
    from .dataset_reader import DatasetReader
    from .file_handle import FileHandle

MAX_DEPTH = 8
"""Virtual datasets of virtual datasets that are followed."""


def vet_sources(owner: DatasetReader) -> None:
    """Make sure that HDF5 will find, and may read, the sources of a virtual dataset.

    Those of virtual sources included: HDF5 opens them all. The caller holds the h5py
    lock.

    Raises
    ------
    PolicyError
        If a source is not allowed, or if names follow a pattern.
    FileMissingError, NotAFileError, FormatError, ShapeMismatchError
        If a source is not there, or not what the virtual dataset says.
    """
    _vet(owner, set())


def _vet(owner: DatasetReader, vetted: set[tuple[int, str]]) -> None:
    where = name_of(owner)
    for source in owner.h5ds.virtual_sources():
        file, dataset = (_plain(name, where) for name in source[1:3])
        reader = source_reader(owner, file, dataset)
        if reader.handle is not owner.handle:
            _require_same_place(owner.handle, reader.handle, file, where)
            if owner.handle.names.is_confined:
                raise PolicyError(
                    f"{where}: its layout leaves it to HDF5 to open {file}, which the "
                    "policy confines; allow all local files, or copy the data"
                )
        _require_rows(reader, source, where)
        key = id(reader.handle), reader.name
        if not reader.h5ds.is_virtual:
            reader.layout  # noqa: B018  (looks whether it is stored in another file)
        elif key not in vetted:
            vetted.add(key)
            _vet(reader, vetted)


def name_of(owner: DatasetReader) -> str:
    """Return what error messages call a virtual dataset."""
    return f"{owner.filename}: virtual dataset '{owner.name}'"


def source_reader(owner: DatasetReader, file: str, dataset: str) -> DatasetReader:
    """Open a source of a virtual dataset.

    Raises
    ------
    PolicyError, FileMissingError, NotAFileError, FormatError
        If it is not allowed, not there, or nested too deep.
    """
    where = name_of(owner)
    siblings = owner.handle.siblings
    try:
        reader = siblings.reader(file, dataset, where)
    except KeyError as exc:
        label = siblings.get(file, where).label
        raise FormatError(
            f"{where}: expected a dataset '{dataset}' in {label}, found none; restore "
            "the source file"
        ) from exc
    reader.depth = owner.depth + 1
    if reader.depth > MAX_DEPTH:
        raise FormatError(f"{where}: nested more than {MAX_DEPTH} times")
    return reader


def _plain(name: str, where: str) -> str:
    if "%" in name.replace("%%", ""):
        raise PolicyError(
            f"{where}: its sources follow the pattern '{name}', which is not followed, "
            "since what it stands for cannot be checked beforehand"
        )
    return name.replace("%%", "%")


def _require_same_place(
    owner: FileHandle, handle: FileHandle, name: str, where: str
) -> None:
    """Refuse a source that we find, but HDF5 will not."""
    path = pathlib.Path(name)
    if owner.path is not None:
        path = owner.path.parent / path
    if handle.path != path:
        raise FileMissingError(
            f"{where}: no file at {path}, and its layout does not allow to take "
            f"{handle.label} instead; move the source file there"
        )


def _require_rows(reader: DatasetReader, source: Any, where: str) -> None:
    """Refuse a source that is shorter than what is taken of it."""
    from h5py import h5s

    try:
        if source.src_space.get_select_type() == h5s.SEL_ALL:
            needed = source.vspace.get_select_npoints()
            enough = math.prod(reader.shape) >= needed
        else:
            _, last = source.src_space.get_select_bounds()
            needed = tuple(int(index) + 1 for index in last)
            enough = len(needed) == len(reader.shape) and all(
                n <= m for n, m in zip(needed, reader.shape, strict=True)
            )
    except RuntimeError:  # a selection without end takes what there is
        return
    if not enough:
        raise ShapeMismatchError(
            f"{where}: expected at least {needed} values in {reader.filename}, "
            f"dataset '{reader.name}', found {reader.shape}; restore the source file"
        )
