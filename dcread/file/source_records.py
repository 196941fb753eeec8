"""What a concatenated file remembers of its sources.

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
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import operator
import os
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..engine import FileIdentity
from ..engine.thread_pool import share
from ..errors import BasinError, ClosedError, FileChangedError, FormatError
from ..problems import UNREADABLE, pass_on
from ..sync.locks import h5_lock
from .links import STRICT, has_member, subgroup
from .text_lines import read_lines

if TYPE_CHECKING:
    import h5py

    from ..engine import FileHandle

SOURCES = "dcread/sources"
"""Name of the dataset that tells the sources."""

MAX_HASHED_BYTES = 32 << 20
_MAX_TEXT_BYTES = 64 << 20
_FEW_BYTES = 1 << 20
"""Files that are hashed sooner than other threads have begun with it."""

_SIZE = operator.attrgetter("size")


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

    def check_unchanged(self) -> None:
        """Compare the file with what it was when it was looked at.

        Raises
        ------
        FileChangedError
            If it changed or vanished.
        """
        try:
            status = os.stat(self.path)
            now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError as exc:
            pass_on(exc)
            now = None
        if now != (self.device, self.inode, self.size, self.mtime_ns):
            raise FileChangedError(f"{self.path} changed while it was concatenated")


def describe(handle: FileHandle, events: int | None, identifier: str | None) -> Source:
    """Return the record of an open file, without the hash of its content.

    The caller keeps the file open and holds the h5py lock.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    events : int or None
        How many events it gives; None if it is no input.
    identifier : str or None
        The identifier of the measurement.

    Raises
    ------
    FileChangedError
        If the file changed since it was opened.
    """
    if handle.path is None or not isinstance(handle.identity, FileIdentity):
        raise FormatError(f"{handle.label}: expected a file with a path")
    state = handle.identity
    source = Source(
        path=str(handle.path),
        size=state.size,
        mtime_ns=state.mtime_ns,
        device=state.device,
        inode=state.inode,
        identifier=identifier,
        sha256=None,
        events=events,
        nested=has_sources(handle.h5),
    )
    handle.check_unchanged()
    return source


def with_digests(sources: Iterable[Source]) -> list[Source]:
    """Return the records with the hashes of files that are not too large for that.

    The files are read by all threads: it takes longer than all else that is looked at.

    Raises
    ------
    FileChangedError
        If a file is not as its record says.
    """
    records = list(sources)
    # (a file can be an input several times)
    small = {one.path: one for one in records if one.size <= MAX_HASHED_BYTES}
    paths = list(small)
    digests: dict[str, str] = {}

    def digest(numbers: Iterable[int]) -> None:
        for number in numbers:
            path = paths[number]
            try:
                digests[path] = digest_of(pathlib.Path(path))
            except OSError:
                small[path].check_unchanged()
                raise

    if sum(map(_SIZE, small.values())) < _FEW_BYTES:
        digest(range(len(paths)))
    else:
        share(digest, len(paths))
    for one in records:
        one.check_unchanged()
    return [dataclasses.replace(one, sha256=digests.get(one.path)) for one in records]


def write_sources(h5: h5py.File, sources: Iterable[Source]) -> None:
    """Store the records in a new file; the caller holds the h5py lock."""
    import h5py

    lines = [json.dumps(dataclasses.asdict(source)) for source in sources]
    h5.create_dataset(SOURCES, data=lines, dtype=h5py.string_dtype())


def has_sources(h5: h5py.Group) -> bool:
    """Tell whether a file tells sources, without following links out of it.

    The caller holds the h5py lock.
    """
    group, name = SOURCES.split("/")
    root = h5.file.id
    if not has_member(root, group):  # as mostly
        return False
    try:
        members = subgroup(None, group, root)
        return has_member(members.id, name)
    except (BasinError, FormatError):
        return False


def read_sources(handle: FileHandle) -> list[Source]:
    """Return the records in a file; [] if it is not a concatenated one.

    Raises
    ------
    FormatError
        If there are records that cannot be understood.
    """
    group, name = SOURCES.split("/")

    def look() -> list[str]:
        if not has_member(handle.root, group):
            return []
        members = subgroup(handle, group, names=STRICT)
        if not has_member(members.id, name):
            return []
        return read_lines(members, name, _MAX_TEXT_BYTES, "the list")

    try:
        with handle.using(), h5_lock:
            lines = handle.fetching(look)
        return list(dict.fromkeys(map(_parse, lines)))
    except ClosedError:
        raise
    except UNREADABLE as exc:
        pass_on(exc)
        raise FormatError(
            f"{handle.label}: '/{SOURCES}' should tell which files were "
            f"concatenated, found {exc}; concatenate them again"
        ) from exc


_TYPES: dict[str, tuple[type, ...]] = {
    "path": (str,),
    "size": (int,),
    "mtime_ns": (int,),
    "device": (int,),
    "inode": (int,),
    "identifier": (str, type(None)),
    "sha256": (str, type(None)),
    "events": (int, type(None)),
    "nested": (bool,),
}


def _parse(line: str) -> Source:
    raw: Any = json.loads(line)
    if not isinstance(raw, dict):
        raise ValueError("a record that is not a JSON object")
    # Keys of later versions are passed over.
    fields = {name: raw[name] for name in _TYPES}
    for name, types in _TYPES.items():
        if not isinstance(fields[name], types):
            raise ValueError(f"a record with a wrong '{name}': {line[:200]!r}")
    return Source(**fields)


def digest_of(path: pathlib.Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
