"""An open measurement that many threads share and that closes safely."""

from __future__ import annotations

import functools
import os
import pathlib
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import h5py
from h5py import h5l, h5o

from dcread_ext.object_header import may_be_virtual

from ..errors import ClosedError, FileChangedError, FormatError
from ..problems import UNREADABLE, pass_on
from ..sync.locks import h5_lock
from .group_claims import attributes_in_header, lists_safely, looks_up_safely
from .h5py_errors import close_file
from .metadata_blocks import MetadataFile
from .name_resolver import NameResolver
from .object_headers import HEADER, OddError
from .source import ByteSource, FileIdentity, RemoteIdentity, identity_of
from .virtual_claims import mapping_fits

T = TypeVar("T")

_FEW_NAMES = 2**16
"""Bytes of the names of a group of which each is looked at: that takes 3 ms."""

_SUPERBLOCK = 36
_NUMBERS = {
    b"\x89HDF\r\n\x1a\n" + bytes([version]): places
    for version, places in enumerate(((13, 24), (13, 28), (9, 12), (9, 12)))
}
"""Where superblocks, by signature and version, have the sizes of addresses and sizes,
and from where addresses count."""
_ZERO = bytes(8)

_handles: set[weakref.ref[FileHandle]] = set()
"""All that are not closed. (A ``WeakSet`` is written in Python.)"""


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
    root : h5py.h5f.FileID
        The open file as the low-level functions of h5py take it, for who keeps the file
        open by `using`: unlike with `h5`, nobody looks whether it is closed.
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
        self.root = h5.id  # looked at for each image: h5py takes a lock to give it
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
        self._attributes: dict[bytes, bytes] | None = None
        self._owed = [None]  # taken by the one who releases the file
        self._closed = False
        self.resource: Any = None
        self.linked_files: Any = None
        _handles.add(weakref.ref(self, _handles.discard))

    @property
    def closed(self) -> bool:
        """Whether `close` was called or the h5py file was closed by its owner."""
        return self._closed or not self.root.valid

    @property
    def h5(self) -> h5py.File:
        """The open h5py file.

        Raises
        ------
        ClosedError
            After `close`.
        """
        if self._closed or not self.root.valid:
            raise self._closed_error()
        return self._h5

    def raise_if_closed(self) -> None:
        """Raise `ClosedError` if the file is closed."""
        if self._closed or not self.root.valid:
            raise self._closed_error()

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

    def preload(self, *steps: Callable[[], object]) -> None:
        """Fetch what steps ask h5py for, one after the other, if the file is remote.

        Parameters
        ----------
        *steps : callable
            Each does a part of what is about to be done, and leaves no traces: it is
            done again if it lacked something. Its errors are left to whoever does it
            then.
        """
        if self.metadata is None:
            return
        for step in steps:
            try:
                self.metadata.fetching(step)
            except UNREADABLE as exc:
                pass_on(exc)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        source = self.source
        if source is not None:
            return source.size
        with self.using(), h5_lock:
            return int(self.root.get_filesize())

    @property
    def is_remote(self) -> bool:
        """Whether it lies on a server, as a file or as a resource."""
        return self.metadata is not None or self.resource is not None

    @functools.cached_property
    def numbering(self) -> Numbering:
        """How the file counts; the caller holds the h5py lock."""
        source = self.source
        if source is not None and self.metadata is None and source.size >= _SUPERBLOCK:
            # HDF5 makes a list of properties to tell it, which takes ten times longer.
            head = source.read(0, _SUPERBLOCK)
            widths, base = _NUMBERS.get(head[:9], (0, 0))
            if (
                head[widths : widths + 2] == b"\x08\x08"
                and head[base : base + 8] == _ZERO
            ):
                return Numbering(0, 8, 8)
        settings = self.root.get_create_plist()
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
                f"{self.label}: expected a group with an index of its members in the "
                "order of their names, found a node or a name in it that does not "
                "belong there; the file is damaged: copy it again"
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
                f"{self.label}: expected a group with the names of its members and "
                "an index of them, found something else there; the file is damaged: "
                "copy it again"
            )

    def open_hard(self, group: Any, name: bytes) -> Any:
        """Open what a hard link leads to, if HDF5 survives that; None for other links.

        The caller holds the h5py lock, and is called by `fetching`.

        Parameters
        ----------
        group : h5py.h5g.GroupID
            The group with the link.
        name : bytes
            Its name.

        Raises
        ------
        KeyError
            If there is no link of that name.
        FormatError
            If it is a virtual dataset whose mapping cannot be.
        """
        link = group.links.get_info(name)
        if link.type != h5l.TYPE_HARD:
            return None
        source, address = self.source, link.u
        if source is not None:
            try:
                head = self.read_structure(address, HEADER)
            except OddError:
                return h5o.open(group, name)  # HDF5 says what is wrong
            # (almost all objects are no virtual datasets, which is seen at once)
            if may_be_virtual(head) and not mapping_fits(
                self.read_structure, address, head, source.size
            ):
                raise FormatError(
                    "expected a virtual dataset with a list of its sources, found "
                    "something else in its place; the file is damaged: copy it again"
                )
        return h5o.open(group, name)

    def attributes_of(self, group: Any) -> dict[bytes, bytes]:
        """Return the values of attributes that are in the header of a group, by name.

        As they are stored, and more bytes may follow. Those of very many attributes lie
        elsewhere. None at all of a file that is not read by its bytes. The caller
        holds the h5py lock.

        Raises
        ------
        FormatError
            If HDF5 would not survive to look up attributes of the group: the tree of
            their names cannot be.
        """
        is_root = group == self.root
        if self.source is None:
            return {}
        found = self._attributes if is_root else None
        if found is None:
            found = attributes_in_header(group, self.read_structure)
        if found is None:
            raise FormatError(
                f"{self.label}: expected an index of attributes, found something else; "
                "the file is damaged: copy it again"
            )
        if is_root:
            self._attributes = found
        return found

    @functools.cached_property
    def fileno(self) -> Any:
        """The number by which HDF5 knows the file; the caller holds the h5py lock."""
        return self.root.fileno

    @property
    def shifts_addresses(self) -> bool:
        """Whether HDF5 tells addresses without the user block that lies before them.

        The caller holds the h5py lock.
        """
        older = h5py.version.hdf5_version_tuple < (2,)
        return older and bool(self.numbering.userblock)

    @property
    def is_file_object(self) -> bool:
        """Whether the bytes come from elsewhere than the disk: an object, a network.

        Such a file has no folder, and may not name files of this machine.
        """
        return self.metadata is not None or (
            self.source is not None and self.path is None
        )

    def check_unchanged(self, *, may_grow: bool = False) -> None:
        """Compare the file on disk with its state at opening.

        Parameters
        ----------
        may_grow : bool
            Whether the same file may have been written to since.

        Raises
        ------
        FileChangedError
            If device or inode differ, or size or modification time where they count.
        """
        if self.identity is None or self.path is None:
            return
        try:
            now = identity_of(os.stat(self.path))
        except OSError as exc:
            pass_on(exc)
            raise FileChangedError(
                f"{self.label} is not there any more; bring it back and open it again"
            ) from exc
        if may_grow:
            if now[:2] != self.identity[:2]:
                raise FileChangedError(
                    f"{self.label} was replaced by another file after it was opened; "
                    "open it again"
                )
        elif now != self.identity:
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
        _handles.discard(weakref.ref(self))

    def _renew(self) -> None:
        """Forget, in a forked child, the threads that were reading."""
        self._users = {}


class _Use:
    """What `FileHandle.using` gives; a class, since there are dozens per file."""

    __slots__ = ("handle",)
    handle: FileHandle  # set by `using`: an ``__init__`` would be one more call

    def __enter__(self) -> None:
        handle = self.handle
        try:
            handle._users[id(self)] = None
            # After that: `close` looks for users once it has said so.
            if handle._closed or not handle.root.valid:
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


def all_handles() -> list[FileHandle]:
    """Return all handles that are not closed.

    Without a lock: callers hold that of h5py, which freeing an object may need.
    """
    references = list(_handles)
    return [handle for one in references if (handle := one()) is not None]


def count_opened_here() -> int:
    """Return how many files our own handles hold open, each by an id of its own."""
    return len([one for one in all_handles() if one.owned and one._h5.id.valid])


def _renew_handles() -> None:
    for handle in all_handles():
        handle._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_handles)
