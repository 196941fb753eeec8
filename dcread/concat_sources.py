"""What a concatenated file remembers of its sources, and whether they still fit.

A virtual dataset holds no data: where its source is missing, the HDF5 library
gives fill values. So a concatenated file says what its sources were, in the dataset
``/dcread/sources``: 1-D, variable-length UTF-8 text, one JSON object a source file.

==============  ====================================================================
``path``        absolute path when the file was written
``size``        in bytes
``mtime_ns``    modification time in nanoseconds (POSIX)
``device``      device and inode number, which tell the file itself from a copy
``inode``
``identifier``  measurement identifier, or null
``sha256``      of the whole file if it has at most 32 MiB, else null
``events``      how many events it gives; null for files that are not an input
``nested``      whether it is a concatenated file itself
==============  ====================================================================

A source is looked for at its path, else by its name in the folder of the
concatenated file. It is the same if size and modification time (to the microsecond)
agree, and for another file (moved, copied) the identifier; or if the content does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .engine import h5_lock, open_file
from .errors import (
    FileChangedError,
    FileMissingError,
    FormatError,
    NotAFileError,
    PolicyError,
)
from .identifiers import get_measurement_identifier
from .problems import Problem

if TYPE_CHECKING:
    import h5py

    from .basins import Policy
    from .engine import FileHandle

SOURCES = "dcread/sources"
"""Name of the dataset that tells the sources."""

MAX_HASHED_BYTES = 32 << 20
MAX_SOURCES = 1_000_000
_MAX_NESTING = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One source file, as it was when the concatenated file was written."""

    path: str
    size: int
    mtime_ns: int
    device: int
    inode: int
    identifier: str | None
    sha256: str | None
    events: int | None
    nested: bool


def describe(handle: FileHandle, events: int | None) -> Source:
    """Return the record of an open file.

    Raises
    ------
    FileChangedError
        If the file changed since it was opened.
    """
    if handle.path is None or handle.identity is None:
        raise FormatError(f"{handle.label}: expected a file with a path")
    state = handle.identity
    with handle.using(), h5_lock:
        identifier = get_measurement_identifier(handle.h5)
        nested = SOURCES in handle.h5
    small = state.size <= MAX_HASHED_BYTES
    source = Source(
        path=str(handle.path),
        size=state.size,
        mtime_ns=state.mtime_ns,
        device=state.device,
        inode=state.inode,
        identifier=identifier,
        sha256=_sha256(handle.path) if small else None,
        events=events,
        nested=nested,
    )
    handle.check_unchanged()
    return source


def describe_file(path: pathlib.Path) -> Source:
    """Return the record of a file that is no input, but that one depends on."""
    handle = open_file(path)
    try:
        check_sources(handle)
        return describe(handle, None)
    finally:
        handle.close()


def write_sources(h5: h5py.File, sources: Iterable[Source]) -> None:
    """Store the records in a new file."""
    import h5py

    lines = [json.dumps(dataclasses.asdict(source)) for source in sources]
    h5.create_dataset(SOURCES, data=lines, dtype=h5py.string_dtype())


def read_sources(handle: FileHandle) -> list[Source]:
    """Return the records in a file; [] if it is not a concatenated one.

    Raises
    ------
    FormatError
        If there are records that cannot be understood.
    """
    with handle.using(), h5_lock:
        if SOURCES not in handle.h5:
            return []
        try:
            dataset = handle.h5[SOURCES]
            if dataset.size > MAX_SOURCES:
                raise ValueError(f"{dataset.size} records")
            lines = [bytes(line) for line in dataset[:].tolist()]
            return [_parse(line) for line in lines]
        except (KeyError, TypeError, ValueError, OSError, RuntimeError) as exc:
            raise FormatError(
                f"{handle.label}: '/{SOURCES}' should tell which files were "
                f"concatenated, found {exc}; concatenate them again"
            ) from exc


def _parse(line: bytes) -> Source:
    raw = json.loads(line)
    if not isinstance(raw, dict):
        raise ValueError("a record that is no JSON object")
    # Keys of later versions are passed over.
    fields = {field.name: raw[field.name] for field in dataclasses.fields(Source)}
    numbers = [fields[name] for name in ("size", "mtime_ns", "device", "inode")]
    if not isinstance(fields["path"], str) or not all(
        isinstance(number, int) for number in numbers
    ):
        raise ValueError(f"a record with wrong types: {line[:200]!r}")
    return Source(**fields)


def locate(stored: str, file: pathlib.Path | None) -> pathlib.Path | None:
    """Return where a source is: at its stored path, else by its name beside `file`.

    Beside is also where `file` is a symbolic link to.
    """
    path = pathlib.Path(stored)
    if path.is_absolute() and path.exists():
        return path
    # Both separators: a file may have been written on another system.
    name = re.split(r"[\\/]", stored)[-1]
    if file is None or name in ("", ".", ".."):
        return None
    for owner in (file, pathlib.Path(os.path.realpath(file))):
        if (owner.parent / name).exists():
            return owner.parent / name
    return None


def check_sources(
    handle: FileHandle,
    policy: Policy | None = None,
    problems: list[Problem] | None = None,
    *,
    nesting: int = _MAX_NESTING,
) -> list[pathlib.Path]:
    """Check that the sources of a concatenated file are there and unchanged.

    Costs next to nothing for other files, and one ``stat`` a source for a
    concatenated file.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    policy : Policy, optional
        Which paths the file may lead to; the default allows regular files.
    problems : list of Problem, optional
        Where to put records that cannot be understood, instead of raising.

    Returns
    -------
    list of pathlib.Path
        Where the sources are.

    Raises
    ------
    FileMissingError
        If a source is neither at its path nor beside the concatenated file.
    FileChangedError
        If a source is not the one that was concatenated.
    NotAFileError, PolicyError, FormatError
        If a source is not a regular file, not allowed, or not understood.
    """
    folder = None if handle.path is None else handle.path.parent
    found = []
    try:
        sources = read_sources(handle)
    except FormatError as exc:
        if problems is None:
            raise
        problems.append(Problem("source", SOURCES, str(exc)))
        return []
    for source in sources:
        path = locate(source.path, handle.path)
        if path is None:
            beside = f" nor beside it in {folder}" if folder else ""
            raise FileMissingError(
                f"{handle.label}: its source {source.path} is missing: it is neither "
                f"there{beside}; bring it back, or concatenate again"
            )
        if policy is not None:
            path = policy.check_path(path, folder)
        _check(source, path, handle.label, nesting)
        found.append(path)
    if found:
        _watch(handle, dict(zip(found, sources, strict=True)))
    return found


def _watch(handle: FileHandle, sources: dict[pathlib.Path, Source]) -> None:
    """Have each source compared again when the engine opens it to read from it."""
    before = handle.allow_source

    def allow(path: pathlib.Path) -> None:
        if before is not None:
            before(path)
        elif handle.is_file_object:
            raise PolicyError(
                f"{handle.label}: a file object may not name other files, such as "
                f"{path}; open it from a path"
            )
        source = sources.get(path)
        if source is not None and path.exists():
            _check(source, path, handle.label, nesting=0)

    handle.allow_source = allow


def _check(source: Source, path: pathlib.Path, label: str, nesting: int) -> None:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise NotAFileError(f"{label}: its source {path} is not a regular file")
    if status.st_size != source.size:
        raise _changed(
            label, path, f"expected {source.size} bytes, found {status.st_size}"
        )
    same_time = status.st_mtime_ns // 1000 == source.mtime_ns // 1000
    same_file = (status.st_dev, status.st_ino) == (source.device, source.inode)
    if not same_time and not _same_content(source, path):
        raise _changed(label, path, "it was written after it was concatenated")
    if same_file and not (source.nested and nesting):
        return
    inner = open_file(path)
    try:
        with inner.using(), h5_lock:
            identifier = get_measurement_identifier(inner.h5)
        if identifier != source.identifier:
            raise _changed(
                label,
                path,
                f"expected measurement {source.identifier}, found {identifier}",
            )
        if source.nested and nesting:
            check_sources(inner, nesting=nesting - 1)
    finally:
        inner.close()


def _same_content(source: Source, path: pathlib.Path) -> bool:
    small = source.size <= MAX_HASHED_BYTES
    return small and source.sha256 is not None and source.sha256 == _sha256(path)


def _changed(label: str, path: pathlib.Path, what: str) -> FileChangedError:
    return FileChangedError(
        f"{label}: its source {path} is not the file that was concatenated: {what}; "
        "bring that file back, or concatenate again"
    )


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
