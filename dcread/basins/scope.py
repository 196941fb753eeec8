"""What basins share while a measurement is open, and what one may know of it."""

from __future__ import annotations

import os
import pathlib
import stat
import urllib.parse
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any

from ..engine import FileHandle, open_file
from ..engine.source import LocalSource
from ..errors import ClosedError, NotAFileError, PolicyError
from ..file.links import PolicyResolver
from ..file.policy import Policy
from ..file.source_check import check_sources
from ..sync.locks import PatientLock
from .definitions import load_definitions
from .paths import candidate_paths, folders_of

_USES_PER_BASIN = 16
"""How many definitions may lead to one basin, on an average."""


class Session:
    """What all basins of one measurement share: policy, open files, closing.

    Parameters
    ----------
    policy : Policy
        What may be opened.
    root : FileHandle or None
        The measurement that the caller opened.
    remote : bool
        Whether that is remote: then no basin may lead to local files.
    """

    def __init__(
        self, policy: Policy, root: FileHandle | None, *, remote: bool = False
    ) -> None:
        self.policy = policy
        self.remote = remote
        self.folder = root.path.parent if root is not None and root.path else None
        self._names = PolicyResolver(policy, None if root is None else root.path)
        self._root = root
        self._files: dict[tuple[object, object], FileHandle] = {}
        self._others: set[Hashable] = set()
        self._definitions: dict[tuple[object, object], list[dict[str, Any]]] = {}
        self._definitions_left = policy.max_definitions
        self._uses = 0
        self._nestings = 0
        self._lock = PatientLock()
        self._closed = False
        if root is not None and root.identity is not None:
            self._files[root.identity[:2]] = root

    def check_path(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Return the path to open, or raise PolicyError."""
        self._require_local(path)
        return self.policy.check_path(path, self.folder)

    def _require_local(self, path: str | os.PathLike[str]) -> None:
        if self.remote:
            raise PolicyError(f"{path}: a remote file never leads to local ones")

    def open_file(self, path: str | os.PathLike[str]) -> FileHandle:
        """Open a file, or share it if it is open already."""
        self._require_local(path)
        source = self._names.open_path(pathlib.Path(path))
        try:
            with self._lock:
                self._raise_if_closed()
                known = self._files.get(source.identity[:2])
                if known is not None and not known.closed:
                    source.close()
                    return known
                self._raise_if_full()
                handle = self._open_checked(source)
                self._files[source.identity[:2]] = handle
        except BaseException:
            source.close()
            raise
        return handle

    def _open_checked(self, source: LocalSource) -> FileHandle:
        handle = open_file(source, self._names)
        try:
            # HDF5 gives zeros for what is missing of a concatenated file.
            check_sources(handle, self.policy, [], folder=self.folder)
        except BaseException:
            handle.close()
            raise
        return handle

    def confine(self, handle: FileHandle) -> None:
        """Have the policy apply to the other files that an open one names."""
        handle.names = self._names

    def check_remote(self, location: str) -> None:
        """Raise PolicyError unless a remote location may be contacted."""
        allowed = self.policy.remote
        host = urllib.parse.urlsplit(location).hostname or ""
        if allowed is False or (allowed == "hosts" and host not in self.policy.hosts):
            raise PolicyError(
                f"{host or 'a remote basin'}: Policy(remote={allowed!r}) does not "
                "allow to contact it; pass another Policy to allow it"
            )

    def definitions_of(self, handle: FileHandle) -> list[dict[str, Any]]:
        """Return the basins of an open file; read once, and not without end."""
        key = handle.identity[:2] if handle.identity is not None else None
        with self._lock:
            if key in self._definitions:
                return self._definitions[key]
            left = replace(self.policy, max_definitions=self._definitions_left)
            with handle.using():
                found = load_definitions(handle.h5, policy=left).usable
            self._definitions_left -= len(found)
            if key is not None:
                self._definitions[key] = found
        return found

    def count_nesting(self) -> None:
        """Count a basin whose own basins are followed.

        A few files that refer to one another in all ways open up ever more ways
        to the same files.
        """
        with self._lock:
            self._nestings += 1
            if self._nestings > self.policy.max_basins:
                raise PolicyError(
                    f"the basins of {self.policy.max_basins} basins are followed "
                    "already; Policy(max_basins=...) allows more"
                )

    def count(self, identity: Hashable) -> None:
        """Count a basin in use, and its source if that is no file of `open_file`."""
        with self._lock:
            self._uses += 1
            if self._uses > _USES_PER_BASIN * self.policy.max_basins:
                raise PolicyError(
                    f"{self._uses - 1} definitions are in use already; "
                    "Policy(max_basins=...) allows more"
                )
            if identity in self._files or identity in self._others:
                return
            self._raise_if_full()
            self._others.add(identity)

    def _raise_if_full(self) -> None:
        opened = len(self._files) + len(self._others) - (self._root is not None)
        if opened >= self.policy.max_basins:
            raise PolicyError(
                f"{opened} basins are open already; Policy(max_basins=...) allows more"
            )

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise ClosedError("the measurement is closed; open it again")

    def close(self) -> None:
        """Close all files except the measurement itself; twice is fine."""
        with self._lock:
            self._closed = True
            handles, self._files = list(self._files.values()), {}
        for handle in handles:
            if handle is not self._root:
                handle.close()


class BasinContext:
    """What a basin may know of its referrer, and how it opens files.

    Attributes
    ----------
    policy : Policy
        What may be opened; `open_file` and `is_file` keep to it.
    handle : FileHandle or None
        The open file with the definition (for internal basins).
    path : pathlib.Path or None
        Its absolute path.
    """

    def __init__(self, session: Session, handle: FileHandle | None) -> None:
        self._session = session
        self.policy = session.policy
        self.handle = handle
        self.path = handle.path if handle is not None else None
        self._folders: list[pathlib.Path] | None = None

    def paths_for(self, stored: Iterable[str]) -> list[str]:
        """Return the absolute paths where stored paths may lead, in order."""
        pairs = self.policy.path_map
        assert isinstance(pairs, tuple)
        if self._folders is None:
            # No cached_property: in Python 3.11 its lock does not survive a fork.
            self._folders = folders_of(self.path)
        return candidate_paths(stored, self._folders, pairs)

    def check_path(self, path: str) -> pathlib.Path:
        """Return the path that may be opened, its links resolved where that matters.

        For basins that are no HDF5 files; `open_file` and `is_file` do it themselves.

        Raises
        ------
        PolicyError
            If the policy does not allow the path.
        """
        return self._session.check_path(path)

    def is_file(self, path: str) -> bool:
        """Tell whether there is a regular file at a path.

        Raises
        ------
        PolicyError
            If the policy does not allow the path.
        PermissionError
            If a folder on the way must not be looked into.
        NotAFileError
            If there is a directory, a FIFO, a device or a socket.
        """
        try:
            allowed = self._session.check_path(path)
            status = os.stat(allowed)
        except PermissionError:
            # (PolicyError is one, too)
            raise
        except (OSError, ValueError):
            # A path that cannot exist (too long, not encodable) leads nowhere.
            return False
        if not stat.S_ISREG(status.st_mode):
            raise NotAFileError(
                f"{path}: expected a regular file, found {_kind(status.st_mode)}"
            )
        return True

    def open_file(self, path: str) -> FileHandle:
        """Open an HDF5 file; it is closed together with the referrer.

        Raises
        ------
        PolicyError
            If the policy does not allow the path, or no further basin.
        FileMissingError, NotAFileError, FormatError
            If there is no file, not a regular one, or no HDF5 in it; of a
            concatenated file also if one of its sources is missing.
        FileChangedError
            If a source of a concatenated file changed.
        """
        return self._session.open_file(path)

    def definitions_of(self, handle: FileHandle) -> list[dict[str, Any]]:
        """Return the definitions in ``/basins`` of a file opened by `open_file`."""
        return self._session.definitions_of(handle)


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return name
    return "something else"
