"""Whether the sources of a concatenated file are there and still fit.

A source is looked for at its path, else by its name in the folder of the
concatenated file. It is unchanged if size and modification time (to the microsecond)
agree, and for another file (moved, copied) the identifier; or if the content does.
One that changed otherwise is read as it is now, if it still is the same measurement
with as many events: its owner may have added a log. That becomes a problem.
"""

from __future__ import annotations

import os
import pathlib
import re
import stat
from typing import TYPE_CHECKING

from ..engine import FileIdentity, open_file
from ..engine.local_source import LocalSource
from ..engine.name_resolver import NameResolver
from ..engine.source import identity_of
from ..errors import (
    DCReadError,
    FileChangedError,
    FileMissingError,
    FormatError,
    NotAFileError,
)
from ..problems import Problem, pass_on, text_of
from ..sync.locks import h5_lock
from .events import Events
from .identifier import identifier_of
from .source_records import (
    MAX_HASHED_BYTES,
    SOURCES,
    Source,
    describe,
    digest_of,
    read_sources,
)

if TYPE_CHECKING:
    from ..engine import FileHandle
    from .policy import Policy

_MAX_NESTING = 8


def describe_file(path: pathlib.Path, policy: Policy) -> Source:
    """Return the record of a file that is no input, but that one depends on."""
    handle = open_file(path)
    try:
        check_sources(handle, policy)
        identifier = identifier_of(handle)
        with handle.using(), h5_lock:
            return describe(handle, None, identifier)
    finally:
        handle.close()


def locate(stored: str, file: pathlib.Path | None) -> pathlib.Path | None:
    """Return where a source is: at its stored path, else by its name beside `file`.

    Beside is also where `file` is a symbolic link to.
    """
    path = pathlib.Path(stored)
    # (os.path.exists, since a path that cannot exist raises otherwise)
    if path.is_absolute() and os.path.exists(path):
        return path
    # Both separators: a file may have been written on another system.
    name = re.split(r"[\\/]", stored)[-1]
    if file is None or name in ("", ".", ".."):
        return None
    for owner in (file, pathlib.Path(os.path.realpath(file))):
        if os.path.exists(owner.parent / name):
            return owner.parent / name
    return None


def check_sources(
    handle: FileHandle,
    policy: Policy | None = None,
    problems: list[Problem] | None = None,
    *,
    folder: pathlib.Path | None = None,
) -> list[pathlib.Path]:
    """Check that the sources of a concatenated file are there, and still fit.

    Costs next to nothing for other files, and one ``stat`` a source for a
    concatenated file whose sources are unchanged.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    policy : Policy, optional
        Which paths the file may lead to; the default allows regular files.
    problems : list of Problem, optional
        Where to put sources that changed and are read as they are now, and records
        that cannot be understood; those raise an error if there is no list.
    folder : pathlib.Path, optional
        What "beside" means to the policy; the folder of the file by default.

    Returns
    -------
    list of pathlib.Path
        Where the sources are.

    Raises
    ------
    FileMissingError
        If a source is neither at its path nor beside the concatenated file.
    FileChangedError
        If a source is another measurement, or has another number of events.
    NotAFileError, PolicyError, FormatError
        If a source is not a regular file, not allowed, or not understood.
    """
    try:
        sources = read_sources(handle)
    except FormatError as exc:
        if problems is None:
            raise
        problems.append(Problem("source", SOURCES, str(exc)))
        return []
    if not sources:
        return []
    if folder is None and handle.path is not None:
        folder = handle.path.parent
    check = _Check(policy, folder, [] if problems is None else problems)
    found = [check.source(source, handle, _MAX_NESTING) for source in sources]
    by_path = dict(zip(map(_real, found), sources, strict=True))
    handle.names = _SourceResolver(handle.names, by_path, check, handle.label)
    return found


def _real(path: pathlib.Path) -> str:
    return os.path.realpath(path)


class _SourceResolver(NameResolver):
    """Has each source compared again when the engine opens it to read from it.

    Parameters
    ----------
    names : NameResolver
        Opens the files.
    sources : dict of str to Source
        What the sources were, by their resolved path.
    check : _Check
        Compares them.
    label : str
        What error messages call the concatenated file.
    """

    def __init__(
        self, names: NameResolver, sources: dict[str, Source], check: _Check, label: str
    ) -> None:
        self.follows_links = names.follows_links
        self.is_confined = names.is_confined
        self._names = names
        self._sources = sources
        self._check = check
        self._label = label

    def open_path(self, path: pathlib.Path) -> LocalSource:
        """Open a file; a source only if it is the one that was concatenated."""
        opened = self._names.open_path(path)
        source = self._sources.get(_real(path))
        if source is not None:
            try:
                self._check.same(source, path, self._label)
            except BaseException:
                opened.close()
                raise
        return opened


class _Check:
    """Checks sources, and the sources of sources, each file once.

    Parameters
    ----------
    policy : Policy or None
        Which paths may be followed.
    folder : pathlib.Path or None
        Folder of the file that the caller opened.
    problems : list of Problem
        Where to put which sources changed.
    """

    def __init__(
        self,
        policy: Policy | None,
        folder: pathlib.Path | None,
        problems: list[Problem],
    ) -> None:
        self._policy = policy
        self._folder = folder
        self._problems = problems
        self._looked_into: set[tuple[int, int]] = set()
        self._compared: dict[tuple[Source, str], FileIdentity] = {}

    def source(self, source: Source, owner: FileHandle, nesting: int) -> pathlib.Path:
        """Return where a source is; raise an error if it is not what it was."""
        path = locate(source.path, owner.path)
        if path is None:
            beside = f" nor beside it in {owner.path.parent}" if owner.path else ""
            raise FileMissingError(
                f"{owner.label}: its source {source.path} is missing: it is neither "
                f"there{beside}; bring it back, or concatenate again"
            )
        if self._policy is not None:
            path = self._policy.check_path(path, self._folder)
        key = self.same(source, path, owner.label)
        # Files can name each other in a circle.
        if source.nested and nesting and key not in self._looked_into:
            self._looked_into.add(key)
            inner = open_file(path)
            try:
                for one in read_sources(inner):
                    self.source(one, inner, nesting - 1)
            finally:
                inner.close()
        return path

    def same(self, source: Source, path: pathlib.Path, label: str) -> tuple[int, int]:
        """Raise an error unless a file is the source; return device and inode."""
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                raise NotAFileError(f"{label}: its source {path} is not a regular file")
            now = identity_of(status)
            key = (source, str(path))
            if self._compared.get(key) != now:
                change = _change(source, path, status, label)
                if change:
                    self._note(path, change)
                self._compared[key] = now
        except DCReadError:
            raise
        except OSError as exc:
            pass_on(exc)
            raise FileMissingError(
                f"{label}: its source {path} cannot be read: {exc.strerror}; make it "
                "readable, or concatenate again"
            ) from exc
        return status.st_dev, status.st_ino

    def _note(self, path: pathlib.Path, change: str) -> None:
        reason = f"changed since it was concatenated ({change}); read as it is now"
        note = Problem("source", str(path), reason)
        if note not in self._problems:
            self._problems.append(note)


def _change(
    source: Source, path: pathlib.Path, status: os.stat_result, label: str
) -> str:
    """Return how a source changed, or ""; raise FileChangedError if it is another."""
    same_file = (status.st_dev, status.st_ino) == (source.device, source.inode)
    same_size = status.st_size == source.size
    same_time = status.st_mtime_ns // 1000 == source.mtime_ns // 1000
    if same_file and same_size and same_time:
        return ""
    if same_size and not same_time and _same_content(source, path):
        return ""
    identifier, events = _measurement(path, label)
    if identifier != source.identifier:
        what = f"expected measurement {source.identifier}, found {identifier}"
        raise _changed(label, path, what)
    if same_size and same_time:
        return ""
    if events != source.events and source.events is not None:
        what = f"expected {source.events} events, found {events}"
        raise _changed(label, path, what)
    if not same_file and identifier is None:
        raise _changed(label, path, "another file, which has no measurement identifier")
    if same_size:
        return "written to since"
    return f"{source.size:,} bytes then, {status.st_size:,} now"


def _measurement(path: pathlib.Path, label: str) -> tuple[str | None, int | None]:
    """Return the identifier of a source and its number of events."""
    try:
        handle = open_file(path)
    except FormatError as exc:
        raise _changed(label, path, text_of(exc)) from exc
    try:
        return identifier_of(handle), Events(handle, []).length
    finally:
        handle.close()


def _same_content(source: Source, path: pathlib.Path) -> bool:
    small = source.size <= MAX_HASHED_BYTES
    return small and source.sha256 is not None and source.sha256 == digest_of(path)


def _changed(label: str, path: pathlib.Path, what: str) -> FileChangedError:
    return FileChangedError(
        f"{label}: its source {path} is not the file that was concatenated: {what}; "
        "bring that file back, or concatenate again"
    )
