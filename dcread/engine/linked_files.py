"""The source files of virtual datasets: found, opened once, closed together."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from ..errors import ClosedError, DCReadError
from ..sync.locks import PatientLock
from .dataset_reader import DatasetReader
from .file_handle import FileHandle
from .local_source import LocalSource
from .name_resolver import SOURCE_PREFIX, NameResolver

MAX_OPEN = 128
"""Source files that one file keeps open; the one used longest ago is closed."""


_lock = PatientLock()
"""Held for a moment by who looks at the tables of any file, or changes them."""


class Opened(NamedTuple):
    """A file that is open already, and readers of datasets in it, by name."""

    handle: FileHandle
    readers: dict[str, DatasetReader]


class LinkedFiles:
    """Files that the virtual datasets and links of `owner` name.

    Parameters
    ----------
    owner : FileHandle
        The file that names them.
    open_file : callable
        Opens a file, given its open descriptor and what it may name itself.
    """

    def __init__(
        self,
        owner: FileHandle,
        open_file: Callable[[LocalSource, NameResolver], FileHandle],
    ) -> None:
        self._open_file = open_file
        # By a weak reference: a forgotten handle closes at once.
        self._owner_reference = weakref.ref(owner)
        self._open: OrderedDict[tuple[str, str], FileHandle] = OrderedDict()
        # Of adopted files.
        self._readers: dict[tuple[str, str], dict[str, DatasetReader]] = {}

    @property
    def _owner(self) -> FileHandle:
        owner = self._owner_reference()
        if owner is None:
            raise ClosedError(
                "the file that refers to its sources is closed; open it again"
            )
        return owner

    def get(self, name: str, where: str, prefix: str = SOURCE_PREFIX) -> FileHandle:
        """Return an open file that the owner names.

        Parameters
        ----------
        name : str
            As stored: ``"."`` (the owner itself), an absolute path, or one relative
            to the owner's folder; a file that is gone is looked for beside the owner.
        where : str
            What error messages call the object with the name.
        prefix : str
            See `NameResolver.open_named`.

        Raises
        ------
        FileMissingError, NotAFileError, FormatError, PolicyError
            If it is not there, not readable, or not allowed.
        """
        owner = self._owner
        if name == ".":
            return owner
        key = name, prefix
        with _lock:
            found = self._open.get(key)
            if found is not None and not found.closed:
                self._open.move_to_end(key)
                return found
        try:
            source = owner.names.open_named(owner, name, where, prefix)
            handle = self._open_file(source, owner.names)
        except DCReadError as exc:
            reason = str(exc).removeprefix(f"{where}: ")
            raise type(exc)(f"{where}: its source cannot be read: {reason}") from exc
        surplus = None
        with _lock:
            twin = self._open.get(key)
            if twin is not None and not twin.closed:
                handle, surplus = twin, handle
            else:
                self._open[key] = handle
                if len(self._open) > MAX_OPEN:
                    oldest, surplus = self._open.popitem(last=False)
                    self._readers.pop(oldest, None)
        if surplus is not None:
            surplus.close()
        return handle

    def adopted(self, name: str, dataset: str) -> DatasetReader | None:
        """Return the reader that came with an adopted file, the first time."""
        reader = self._readers.get((name, SOURCE_PREFIX), {}).pop(dataset, None)
        if reader is None or reader.closed:
            return None
        return reader

    def adopt(self, opened: dict[str, Opened]) -> None:
        """Take over files that are open already, by the paths that name them.

        The caller has made sure that this file may lead to them, and closes those that
        remain in `opened`.
        """
        with _lock:
            for name in list(opened)[: MAX_OPEN - len(self._open)]:
                self._adopt_one(name, opened)

    def _adopt_one(self, name: str, opened: dict[str, Opened]) -> None:
        key = name, SOURCE_PREFIX
        if key not in self._open:
            handle, readers = opened.pop(name)
            self._open[key], self._readers[key] = handle, readers
            handle.names = self._owner.names

    def open_handles(self) -> list[FileHandle]:
        """Return the files that are open now."""
        with _lock:
            return list(self._open.values())

    def close(self) -> None:
        """Close all of them."""
        with _lock:
            handles = list(self._open.values())
            self._open.clear()
            self._readers.clear()
        for handle in handles:
            handle.close()
