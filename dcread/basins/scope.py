"""What all basins of a measurement share: the policy, open files, limits, closing."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import h5py

from ..engine import FileHandle, open_file
from ..engine.local_source import LocalSource
from ..engine.name_resolver import Place
from ..engine.stop import Stop
from ..errors import ClosedError, PolicyError
from ..file.addresses import looks_like_url
from ..file.credentials import Credentials
from ..file.identifier import identifier_of
from ..file.links import PolicyResolver, RemoteResolver, subgroup
from ..file.policy import Policy
from ..file.source_check import check_sources
from ..problems import Problem, one_line
from ..sync.locks import PatientLock, h5_lock
from .findings import ProblemLog
from .opened import Opened
from .stored_definitions import DefinitionReader, StoredDefinitions

_USES_PER_BASIN = 200
"""How many definitions may lead to one basin, on an average."""


class Scope:
    """What all basins of one measurement share, those of its basins included.

    Parameters
    ----------
    policy : Policy
        What may be opened.
    root : FileHandle or None
        The measurement that the caller opened.
    log : ProblemLog
        Where to record what cannot be used.
    credentials : sequence of Credentials
        The caller's, each for one origin.

    Attributes
    ----------
    policy, log
        As given.
    shared : dict
        What basins in one file found there, by the identity of what they opened:
        thousands of definitions may lead to it.
    version : int
        Goes up whenever something comes to be known of a basin.
    """

    def __init__(
        self,
        policy: Policy,
        root: FileHandle | None,
        log: ProblemLog,
        *,
        credentials: Sequence[Credentials] = (),
    ) -> None:
        self.policy = policy
        self.log = log
        self._credentials = credentials
        self._stop = Stop()
        self.version = 0
        self.folder = root.path.parent if root is not None and root.path else None
        self._names = PolicyResolver(policy, None if root is None else root.path)
        self._root = root
        self._files: dict[tuple[object, object], FileHandle] = {}
        self.shared: dict[int, dict[str, Any]] = {}
        self._measurements: dict[tuple[Any, str], Opened] = {}
        self._others: set[Hashable] = set()
        self._definitions = DefinitionReader(policy, log)
        self._uses = 0
        self._nestings = 0
        self._lock = PatientLock()
        if root is not None and root.identity is not None:
            self._files[root.identity[:2]] = root

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._stop.is_set()

    def interrupt(self) -> None:
        """End the queries that wait for a server: `close` is about to be called."""
        self._stop.set()

    def check_location(self, reach: str, location: str, *, far: bool) -> None:
        """Hold a location of any basin class against the policy, by its text.

        Parameters
        ----------
        reach : str
            What the class says of its locations.
        location : str
            One of them.
        far : bool
            Whether a remote file names it, which never leads to local ones.

        Raises
        ------
        PolicyError
            If the policy does not allow it.
        """
        if looks_like_url(location):
            self.policy.check_url(location)
        elif reach == "local":
            self.check_path(location, far=far)
        elif reach == "remote" and self.policy.remote is not True:
            raise PolicyError(
                f"Policy(remote={self.policy.remote!r}) does not allow remote basins "
                "whose location is not a URL; pass another Policy to allow it"
            )

    def check_url(self, url: str) -> None:
        """Raise PolicyError unless a URL may be contacted."""
        self.policy.check_url(url)

    def check_path(
        self, path: str | os.PathLike[str], *, far: bool = False
    ) -> pathlib.Path:
        """Return the path to open, or raise PolicyError."""
        if far:
            raise _not_local(path)
        return self.policy.check_path(path, self.folder)

    def open_file(
        self, path: str | os.PathLike[str], *, far: bool = False
    ) -> FileHandle:
        """Open a file, or share it if it is open already."""
        if far:
            raise _not_local(path)
        source = self._names.open_path(pathlib.Path(path))
        handle: FileHandle | None = None
        try:
            with self._lock:
                if self._stop.is_set():
                    raise _closed()
                known = self._files.get(source.identity[:2])
                if known is not None and not known.closed:
                    source.close()
                    return known
                self._raise_if_full()
                handle = self._open_checked(source)
                self._files[source.identity[:2]] = handle
                if self._stop.is_set():  # by the handler of a signal, meanwhile
                    raise _closed()
        except BaseException:
            if handle is not None:  # it is among the files maybe, and has the source
                handle.close()
            source.close()
            raise
        return handle

    def open_url(self, url: str, renew: Callable[[], str] | None) -> FileHandle:
        """Open a file behind a URL, or share it if it is open already."""
        from ..file.open_url import open_url  # costs as much as the rest of dcread

        with self._lock:
            if self._stop.is_set():
                raise _closed()
            self._raise_if_full()
        handle = open_url(url, self.policy, credentials=self._credentials, renew=renew)
        handle.names = RemoteResolver(self.policy, None)
        assert handle.identity is not None
        key = handle.identity[:2]
        with self._lock:
            known = self._files.get(key)
            if known is None or known.closed:
                known = handle
                if not self.closed:
                    self._files[key] = handle
        if known is not handle or self.closed:
            handle.close()
        if self.closed:
            raise _closed()
        return known

    def get_json(self, url: str) -> Any:
        """Return a JSON document behind a URL."""
        from ..file.open_url import get_json

        if self.closed:
            raise _closed()
        return get_json(
            url, self.policy, credentials=self._credentials, stop=self._stop
        )

    def _open_checked(self, source: LocalSource) -> FileHandle:
        handle = open_file(source, self._names)
        try:
            # HDF5 gives zeros for what is missing of a concatenated file.
            notes: list[Problem] = []
            check_sources(handle, self.policy, notes, folder=self.folder)
            for note in notes:
                self.log.add(one_line(handle.label), note.reason)
        except BaseException:
            handle.close()
            raise
        return handle

    def confine(self, handle: FileHandle) -> None:
        """Have the policy apply to the other files that an open one names."""
        handle.names = self._names

    def as_opened(self, handle: FileHandle, group: str) -> Opened:
        """Return what an open file gives as a basin."""
        key = (handle, group)
        known = self._measurements.get(key)
        if known is None:

            def look() -> tuple[Place, str | None]:
                with h5_lock:
                    return group_at(handle, group), identifier_of(handle)

            with handle.using():
                place, identifier = handle.fetching(look)
            identity = None if handle.identity is None else handle.identity[:2]
            known = Opened(
                h5py.Group(place.id),
                identifier,
                identity,
                None,
                StoredDefinitions(self._definitions, handle),
            )
            self.shared[id(known)] = {"place": place}
            self._measurements[key] = known
        return known

    def place_of(self, group: h5py.Group) -> Place:
        """Return a group together with the open file in which it lies.

        Raises
        ------
        ClosedError
            If it is closed, or none that was opened here.
        """
        if group.id.valid:
            number = group.id.fileno
            for handle in self._open_files():
                if not handle.closed and handle.root.fileno == number:
                    return Place(handle, group.id)
        raise ClosedError("the group lies in no open file of this measurement")

    def _open_files(self) -> Iterator[FileHandle]:
        """Yield the files of the measurement, those that links lead to included."""
        for handle in [self._root, *self._files.values()]:
            if handle is not None:
                yield handle
                if handle.linked_files is not None:
                    yield from handle.linked_files.open_handles()

    def count_nesting(self) -> None:
        """Count a basin whose own basins are followed.

        A few files that refer to one another in all ways open up ever more ways
        to the same files.
        """
        with self._lock:
            self._nestings += 1
            if self._nestings > self.policy.max_basins:
                raise PolicyError(
                    f"nested basins of {self.policy.max_basins} basins are followed "
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

    def close(self) -> None:
        """Close all files except the measurement itself; twice is fine."""
        self._stop.set()
        with self._lock:
            handles, self._files = list(self._files.values()), {}
            self._measurements = {}
            self.shared = {}
        for handle in handles:
            if handle is not self._root:
                handle.close()


def group_at(handle: FileHandle, path: str) -> Place:
    """Return a group of an open file; the caller holds the h5py lock.

    Raises
    ------
    BasinError, FormatError
        If there is none.
    PolicyError
        If a link leads where the policy does not allow to go.
    """
    place = Place(handle, handle.root)
    for part in path.strip("/").split("/"):
        place = subgroup(place.handle, part, place.id)
    return place


def _closed() -> ClosedError:
    return ClosedError("the measurement is closed; open it again")


def _not_local(path: str | os.PathLike[str]) -> PolicyError:
    return PolicyError(f"{path}: a remote file never leads to local files")
