"""The definitions in the files of basins: read late, and no more than may be read."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from ..engine import FileHandle
from ..file.basin_records import BasinRecord, read_basin_records
from ..file.policy import Policy
from ..problems import one_line
from ..sync.locks import PatientLock
from .findings import ProblemLog


class DefinitionReader:
    """Reads definitions of open files, of all together no more than the policy allows.

    Parameters
    ----------
    policy : Policy
        Bounds their number and size.
    log : ProblemLog
        Where to record what cannot be used.
    """

    def __init__(self, policy: Policy, log: ProblemLog) -> None:
        self._policy = policy
        self._log = log
        self._left = policy.max_definitions
        self._lock = PatientLock()

    def read(self, handle: FileHandle) -> list[dict[str, Any]]:
        """Return the definitions of an open file that are JSON objects."""
        with self._lock:
            left = self._left
            with handle.using():
                records = handle.fetching(
                    lambda: read_basin_records(handle, self._policy, left)
                )
            found = _usable(records)
            self._left -= len(found)
        for record in records:
            if record.reason:
                self._log.add(f"{one_line(handle.label)}: {record.key}", record.reason)
        return found


def _usable(records: Iterable[BasinRecord]) -> list[dict[str, Any]]:
    return [record.raw for record in records if record.raw is not None]


class Definitions(Sequence[Mapping[str, Any]]):
    """Definitions that are looked up when they are asked for."""

    @abc.abstractmethod
    def found(self) -> Sequence[Mapping[str, Any]]:
        """Return all of them."""

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, index: Any) -> Any:
        return self.found()[index]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.found())

    def __len__(self) -> int:
        return len(self.found())


class StoredDefinitions(Definitions):
    """The definitions in an open file, read once.

    Parameters
    ----------
    reader : DefinitionReader
        Reads them.
    handle : FileHandle
        The open file.
    """

    def __init__(self, reader: DefinitionReader, handle: FileHandle) -> None:
        self._reader = reader
        self._handle = handle
        self._found: list[dict[str, Any]] | None = None

    def found(self) -> Sequence[Mapping[str, Any]]:
        """Return all of them."""
        if self._found is None:
            self._found = self._reader.read(self._handle)
        return self._found
