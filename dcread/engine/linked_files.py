"""The source files of virtual datasets: found, opened once, closed together."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ClosedError, DCReadError
from ..sync.locks import PatientLock
from .name_resolver import SOURCE_PREFIX

if TYPE_CHECKING:
    from .dataset_reader import DatasetReader
    from .file_handle import FileHandle

MAX_OPEN = 128
"""Source files that one file keeps open; the one used longest ago is closed."""


class Opened(NamedTuple):
    """A file that is open already, and readers of datasets in it, by name."""

    handle: FileHandle
    readers: dict[str, DatasetReader]


class Siblings:
    """Files that the virtual datasets of `owner` name."""

    def __init__(self, owner: FileHandle) -> None:
        # By a weak reference: a forgotten handle closes at once.
        self._owner_reference = weakref.ref(owner)
        self._lock = PatientLock()
        self._open: OrderedDict[tuple[str, str], FileHandle] = OrderedDict()
        # Of adopted files.
        self._readers: dict[tuple[str, str], dict[str, DatasetReader]] = {}

    @property
    def _owner(self) -> FileHandle:
        owner = self._owner_reference()
        if owner is None:
            raise ClosedError("the file that names the sources is gone; open it again")
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
        from .open_file import open_file

        owner = self._owner
        if name == ".":
            return owner
        key = name, prefix
        with self._lock:
            found = self._open.get(key)
            if found is not None and not found.closed:
                self._open.move_to_end(key)
                return found
        try:
            source = owner.names.open_named(owner, name, where, prefix)
            handle = open_file(source, owner.names)
        except DCReadError as exc:
            raise type(exc)(f"{where}: its source cannot be read: {exc}") from exc
        surplus = None
        with self._lock:
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

    def reader(self, name: str, dataset: str, where: str) -> DatasetReader:
        """Return a reader of a dataset in a source file.

        Parameters
        ----------
        name, where : str
            As of `get`.
        dataset : str
            Its path in the file.

        Raises
        ------
        KeyError
            If there is no such dataset.
        FileMissingError, NotAFileError, FormatError, PolicyError
            As `get` does.
        """
        reader = self._readers.get((name, SOURCE_PREFIX), {}).pop(dataset, None)
        if reader is not None and not reader.handle.closed:
            return reader
        return self.get(name, where).dataset(dataset)

    def adopt(self, opened: dict[str, Opened]) -> None:
        """Take over files that are open already, by the paths that name them.

        The caller has made sure that this file may lead to them, and closes those that
        remain in `opened`.
        """
        with self._lock:
            for name in list(opened)[: MAX_OPEN - len(self._open)]:
                key = name, SOURCE_PREFIX
                if key not in self._open:
                    handle, readers = opened.pop(name)
                    self._open[key], self._readers[key] = handle, readers
                    handle.names = self._owner.names

    def open_handles(self) -> list[FileHandle]:
        """Return the files that are open now."""
        with self._lock:
            return list(self._open.values())

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            handles = list(self._open.values())
            self._open.clear()
            self._readers.clear()
        for handle in handles:
            handle.close()

    def renew(self) -> None:
        """Replace the lock in a forked child."""
        self._lock = PatientLock()
