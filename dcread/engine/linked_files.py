"""The source files of virtual datasets: found, opened once, closed together."""

from __future__ import annotations

import os
import pathlib
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ClosedError, DCReadError, PolicyError
from ..sync.locks import PatientLock

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
        self._open: OrderedDict[str, FileHandle] = OrderedDict()
        self._readers: dict[str, dict[str, DatasetReader]] = {}  # of adopted files

    @property
    def _owner(self) -> FileHandle:
        owner = self._owner_reference()
        if owner is None:
            raise ClosedError("the file that names the sources is gone; open it again")
        return owner

    def get(self, name: str, where: str) -> FileHandle:
        """Return the open source file of a virtual dataset.

        Parameters
        ----------
        name : str
            As stored: ``"."`` (the owner itself), an absolute path, or one relative
            to the owner's folder; a file that is gone is looked for beside the owner.
        where : str
            What error messages call the virtual dataset.

        Raises
        ------
        FileMissingError, NotAFileError, FormatError, PolicyError
            If it is not there, not readable, or not allowed.
        """
        from .open_file import open_file

        if name == ".":
            return self._owner
        with self._lock:
            found = self._open.get(name)
            if found is not None and not found.closed:
                self._open.move_to_end(name)
                return found
        try:
            handle = open_file(self._locate(name, where))
        except DCReadError as exc:
            raise type(exc)(f"{where}: its source cannot be read: {exc}") from exc
        handle.allow_source = self._owner.allow_source
        handle.allow_external = self._owner.allow_external
        surplus = None
        with self._lock:
            twin = self._open.get(name)
            if twin is not None and not twin.closed:
                handle, surplus = twin, handle
            else:
                self._open[name] = handle
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
        reader = self._readers.get(name, {}).pop(dataset, None)
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
                if name not in self._open:
                    handle, readers = opened.pop(name)
                    self._open[name], self._readers[name] = handle, readers
                    handle.allow_source = self._owner.allow_source
                    handle.allow_external = self._owner.allow_external

    def _locate(self, name: str, where: str) -> pathlib.Path:
        path, owner = pathlib.Path(name), self._owner
        folder = None if owner.path is None else owner.path.parent
        baseless = folder is None and not path.is_absolute()
        if baseless or (owner.allow_source is None and owner.is_file_object):
            raise PolicyError(
                f"{where}: names the file {name}, but a file that is not on disk may "
                "not name others; open it from its path"
            )
        candidates = [path] if path.is_absolute() else []
        if folder is not None and owner.path is not None:
            real = pathlib.Path(os.path.realpath(owner.path)).parent
            candidates += [folder / path, folder / path.name, real / path.name]
        chosen = next((c for c in candidates if c.exists()), candidates[0]).absolute()
        if owner.allow_source is not None:
            owner.allow_source(chosen)
        return chosen

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
