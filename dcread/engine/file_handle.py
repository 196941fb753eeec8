"""An open measurement that many threads share and that closes safely."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pathlib
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import h5py
from h5py import h5f, h5fd, h5i

from ..errors import ClosedError, FileChangedError, FormatError
from ..problems import UNREADABLE, ignoring, pass_on
from ..sync.locks import h5_lock
from .file_object import FileObjectSource
from .h5py_errors import close_file
from .index_claims import OddError, attributes_fit, lists_safely, looks_up_safely
from .metadata_blocks import MetadataFile
from .name_resolver import NameResolver
from .source import ByteSource, FileIdentity, RemoteIdentity, identity_of

T = TypeVar("T")

EXIT_SECONDS = 1.0
"""How long Python waits at its end for a thread within h5py."""

_FEW_NAMES = 2**16
"""Bytes of the names of a group of which each is looked at: that takes 3 ms."""

_handles: weakref.WeakSet[FileHandle] = weakref.WeakSet()


class Numbering(NamedTuple):
    """How HDF5 counts the bytes of a file.

    Attributes
    ----------
    userblock : int
        Bytes before what addresses count from.
    address_bytes, size_bytes : int
        How many bytes an address has in the file, and a size.
    """

    userblock: int
    address_bytes: int
    size_bytes: int


class FileHandle:
    """An open HDF5 file that many threads share and that closes safely.

    Attributes
    ----------
    path : pathlib.Path or None
        Absolute path; None for file objects and in-memory files.
    label : str
        What error messages call the file.
    owned : bool
        Whether `close` closes the h5py file (False for a caller's own).
    identity : FileIdentity, RemoteIdentity or None
        State of the file when it was opened; None for file objects.
    source : ByteSource or None
        The bytes of the file, if the engine may read them itself.
    reason : str
        Why `source` is None.
    metadata : MetadataFile or None
        What h5py reads from, if the file is remote.
    names : NameResolver
        What the names in the file lead to: links, the sources of virtual datasets.
    resource : Any
        What stands in the place of a file, if it is none (see `dcread.file.resource`).
    linked_files : LinkedFiles
        The other files that it names; given by who opens it.
    """

    def __init__(
        self,
        h5: h5py.File,
        path: pathlib.Path | None,
        label: str,
        *,
        owned: bool,
        identity: FileIdentity | RemoteIdentity | None,
        source: ByteSource | None = None,
        reason: str = "",
        names: NameResolver | None = None,
        metadata: MetadataFile | None = None,
    ) -> None:
        self._h5 = h5
        self._id = h5.id  # looked at for each image: h5py takes a lock to give it
        self.path = path
        self.label = label
        self.owned = owned
        self.identity = identity
        self.source = source
        self.reason = reason
        self.names = names or NameResolver()
        self.metadata = metadata
        # Without a lock, which another thread might hold while it waits for h5py's
        # (to free an object): methods of dict and list are atomic.
        self._users: dict[int, None] = {}
        self._attributes_fit: tuple[Any, ...] = ()
        self._owed = [None]  # taken by the one who releases the file
        self._closed = False
        self.resource: Any = None
        self.linked_files: Any = None
        _handles.add(self)

    @property
    def closed(self) -> bool:
        """Whether `close` was called or the h5py file was closed by its owner."""
        return self._closed or not self._id.valid

    @property
    def h5(self) -> h5py.File:
        """The open h5py file.

        Raises
        ------
        ClosedError
            After `close`.
        """
        if self._closed or not self._id.valid:
            raise self._closed_error()
        return self._h5

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"{self.label} is closed; open it again to read from it")

    def using(self) -> AbstractContextManager[None]:
        """Keep the file open for the length of a ``with`` block.

        Raises
        ------
        ClosedError
            If the file is closed already.
        """
        use = _Use()
        use.handle = self
        return use

    def _release_if_last(self) -> None:
        if self._closed and not self._users and self._owed:
            try:
                self._owed.pop()
            except IndexError:  # another thread was quicker
                return
            self._release()

    def fetching(self, func: Callable[..., T], *arguments: Any) -> T:
        """Call a function; of a remote file, fetch what it lacks and call it again.

        Parameters
        ----------
        func : callable
            Asks h5py something, and changes nothing, since it may be called several
            times. Without this, h5py's lock is held while the network is waited for.
        *arguments : object
            What it is called with.
        """
        if self.metadata is None:
            return func(*arguments)
        return self.metadata.fetching(lambda: func(*arguments))

    def preload(self, func: Callable[[], object]) -> None:
        """Fetch what ``func()`` asks h5py for, if the file is remote.

        Parameters
        ----------
        func : callable
            Does what is about to be done, and leaves no traces. Its errors are left
            to whoever does it then.
        """
        if self.metadata is not None:
            try:
                self.metadata.fetching(func)
            except UNREADABLE as exc:
                pass_on(exc)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        if self.source is not None:
            return self.source.size
        with h5_lock:
            return int(self._id.get_filesize())

    @property
    def is_remote(self) -> bool:
        """Whether it lies on a server, as a file or as a resource."""
        return self.metadata is not None or self.resource is not None

    @functools.cached_property
    def numbering(self) -> Numbering:
        """How the file counts; the caller holds the h5py lock."""
        settings = self._id.get_create_plist()
        return Numbering(settings.get_userblock(), *settings.get_sizes())

    def read_structure(self, address: int, size: int) -> bytes:
        """Return bytes of the file, fewer at its end, as HDF5 reads them.

        The caller holds the h5py lock, and is called by `fetching`.

        Raises
        ------
        OddError
            If addresses and sizes are not of 8 bytes.
        """
        if self.source is None:
            raise self._closed_error()
        userblock, *widths = self.numbering
        if widths != [8, 8]:
            raise OddError
        start = userblock + address
        size = max(0, min(size, self.source.size - start))
        if self.metadata is not None and size:
            return self.metadata.look(start, start + size)
        try:
            return self.source.read(start, size) if size else b""
        except FormatError:
            self.source.check()  # that it changed explains everything else
            raise

    def check_listing(self, group: Any) -> None:
        """Refuse a group whose members HDF5 would not survive to list.

        The caller holds the h5py lock, and is called by `fetching`.

        Raises
        ------
        FormatError
            If the tree of the group leads back to itself, or its names are not in
            order.
        """
        if self.source is None:
            return
        if not lists_safely(group, self.read_structure):
            raise FormatError(
                f"{self.label}: expected a group with a tree of members in the order "
                "of their names, found a node or a name in it that does not belong "
                "there; the file is damaged: copy it again"
            )

    def check_names(self, group: Any) -> None:
        """Refuse a group in which members have the names of others.

        The caller holds the h5py lock, and is called by `fetching`.

        Raises
        ------
        FormatError
            If its names do not lie where they should.
        """
        if self.source is None:
            return
        most = 0 if self.source.is_far else _FEW_NAMES
        if not looks_up_safely(group, self.read_structure, most):
            raise FormatError(
                f"{self.label}: expected a group with the names of its members, and "
                "a tree that leads to them, found something else there; the file is "
                "damaged: copy it again"
            )

    def check_attributes(self, group: Any) -> None:
        """Refuse a group whose attributes HDF5 would not survive to look up.

        The caller holds the h5py lock.

        Raises
        ------
        FormatError
            If the tree of their names cannot be.
        """
        if self.source is None or group in self._attributes_fit:
            return
        if not attributes_fit(group, self.read_structure):
            raise FormatError(
                f"{self.label}: expected a tree of attributes, found something else; "
                "the file is damaged: copy it again"
            )
        if group == self._id:
            self._attributes_fit = (group,)

    @property
    def shifts_addresses(self) -> bool:
        """Whether HDF5 tells addresses without the user block that lies before them.

        The caller holds the h5py lock.
        """
        older = h5py.version.hdf5_version_tuple < (2,)
        return older and bool(self.numbering.userblock)

    @property
    def is_file_object(self) -> bool:
        """Whether the bytes come from a Python file object, or over a network.

        Such a file has no folder, and may not name files of this machine.
        """
        return self.metadata is not None or isinstance(self.source, FileObjectSource)

    def check_unchanged(self) -> None:
        """Compare the file on disk with its state at opening.

        Raises
        ------
        FileChangedError
            If device, inode, size or modification time differ.
        """
        if self.identity is None or self.path is None:
            return
        try:
            now = identity_of(os.stat(self.path))
        except OSError as exc:
            pass_on(exc)
            raise FileChangedError(
                f"{self.label} vanished after it was opened"
            ) from exc
        if now != self.identity:
            raise FileChangedError(
                f"{self.label} changed after it was opened: expected "
                f"{self.identity}, found {now}; open it again"
            )

    def close(self) -> None:
        """Close the file as soon as nobody reads from it; twice is fine."""
        self._closed = True
        if self.resource is not None:
            self.resource.close()
        source = self.source
        if source is not None:
            source.interrupt()
        self._release_if_last()

    def _release(self) -> None:
        if self.linked_files is not None:
            self.linked_files.close()
        source, self.source = self.source, None
        if source is not None:
            source.close()
        if self.owned:
            close_file(self._h5)
        _handles.discard(self)

    def _renew(self) -> None:
        """Forget, in a forked child, the threads that were reading."""
        self._users = {}
        if self.linked_files is not None:
            self.linked_files.renew()


class _Use:
    """What `FileHandle.using` gives; a class, since it comes dozens of times a file."""

    __slots__ = ("handle",)
    handle: FileHandle  # set by `using`: an ``__init__`` would be one more call

    def __enter__(self) -> None:
        handle = self.handle
        try:
            handle._users[id(self)] = None
            # After that: `close` looks for users once it has said so.
            if handle._closed or not handle._id.valid:
                raise handle._closed_error()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        handle = self.handle
        handle._users.pop(id(self), None)
        if handle._closed:
            handle._release_if_last()


def _all_handles() -> list[FileHandle]:
    """Return all handles that are not closed.

    Without a lock: callers hold that of h5py, which freeing an object may need.
    """
    while True:
        try:
            return list(_handles)
        except RuntimeError:  # another thread opened a file meanwhile
            continue


_first_seen: dict[tuple[int, int], FileIdentity] = {}
"""How files were when HDF5 opened them, by device and inode."""

_MANY = 1024  # of them, from which on those that are closed are forgotten


def opened_before_change(identity: FileIdentity) -> bool:
    """Tell whether HDF5 holds a file open as it was before it changed.

    It does as long as any object of the file is alive (a dataset out of ``hd.h5``),
    whoever holds it, and would go on with what it knows of it.
    """
    key = identity[:2]
    with h5_lock:
        known = _first_seen.get(key)
        if known is not None and known != identity and key in _held_open():
            return True
        if known is None and len(_first_seen) >= _MANY:
            _forget_all_but(_held_open())
        _first_seen[key] = identity
    return False


def _forget_all_but(held: set[tuple[int, int]]) -> None:
    for other in [one for one in _first_seen if one not in held]:
        del _first_seen[other]


def _held_open() -> set[tuple[int, int]]:
    """Return device and inode of all files that HDF5 reads by descriptors."""
    found = set()
    for one in h5f.get_obj_ids(h5f.OBJ_ALL, h5f.OBJ_ALL):
        # ValueError, RuntimeError, ...: closed meanwhile, or of no file
        with ignoring(OSError, ValueError, RuntimeError, TypeError):
            file = h5i.get_file_id(one)
            if file.get_access_plist().get_driver() in (h5fd.LOG, h5fd.SEC2):
                status = os.fstat(file.get_vfd_handle())
                found.add((status.st_dev, status.st_ino))
    return found


def count_opened_here() -> int:
    """Return how many files our own handles hold open, each by an id of its own."""
    return sum(handle.owned and handle._h5.id.valid for handle in _all_handles())


def _close_streams() -> None:
    """Close, at the end of the interpreter, what HDF5 reads through Python."""
    for handle in _all_handles():
        if handle.owned and handle._h5.id.valid and handle._h5.driver == "fileobj":
            handle.close()
            with h5_lock, contextlib.suppress(*UNREADABLE):
                handle._h5.close()  # even if a thread is reading
    if _keep_h5_lock():
        _close_leaked()


def _keep_h5_lock() -> bool:
    """Take the lock of h5py for good, unless a thread goes on reading; tell whether.

    A daemon thread that gets it when Python has ended never gives it back, and the main
    thread needs it to free its objects.
    """
    end = time.monotonic() + EXIT_SECONDS
    while not h5_lock.acquire(False):
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def _close_leaked() -> None:
    """Close streams of which an interrupt within h5py has left an object open.

    HDF5 would close them after Python has ended, and call what is gone by then.
    """
    for one in h5f.get_obj_ids(h5f.OBJ_ALL, h5f.OBJ_ALL):
        with contextlib.suppress(*UNREADABLE):
            file = h5i.get_file_id(one) if one.valid else None
            if file is None or b"<dcread." not in file.name:
                continue
            if file.get_access_plist().get_driver() == h5fd.fileobj_driver:
                h5py.File(file).close()


def _renew_handles() -> None:
    for handle in _all_handles():
        handle._renew()


atexit.register(_close_streams)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_handles)
