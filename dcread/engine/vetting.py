"""The sources of virtual datasets: their names, and readers of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import FormatError, PolicyError

if TYPE_CHECKING:
    from .dataset_reader import DatasetReader

MAX_DEPTH = 8
"""Virtual datasets of virtual datasets that are followed."""


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


def literal(name: str, where: str) -> str:
    """Return the name of a source, where a doubled percent sign stands for one.

    Raises
    ------
    PolicyError
        If names follow a pattern.
    """
    if "%" in name.replace("%%", ""):
        raise PolicyError(
            f"{where}: its sources follow the pattern '{name}', which is not followed, "
            "since what it stands for cannot be checked beforehand"
        )
    return name.replace("%%", "%")
