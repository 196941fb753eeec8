"""Opening measurements: one place that opens and identifies files."""

from __future__ import annotations

import functools
import os
import pathlib
from typing import TYPE_CHECKING, Any, BinaryIO

import h5py
import hdf5plugin  # noqa: F401  (plain h5py has its filters, too, from here on)
from h5py import h5f, h5fd, h5p

from ..errors import ClosedError, DCReadError, FileChangedError, FormatError
from ..problems import ignoring, pass_on
from ..sync.locks import h5_lock
from .file_handle import FileHandle, count_opened_here
from .file_object import FileObjectSource
from .first_seen import opened_before_change
from .h5py_errors import call_holding_lock, close_file, unreadable
from .linked_files import LinkedFiles
from .local_source import LocalSource
from .metadata_blocks import Blocks, MetadataFile
from .open_ids import open_ids
from .source import (
    ByteSource,
    FileIdentity,
    SourceStream,
    identity_of,
)

if TYPE_CHECKING:
    from .name_resolver import NameResolver

__all__ = ["FileHandle", "FileIdentity", "identity_of", "open_file"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_OTHER_FILE = "another file lies at its path now"
_ATTEMPTS = 3
"""How often a file is opened that changes meanwhile."""


def open_file(
    target: str | os.PathLike[str] | LocalSource | BinaryIO | h5py.File,
    names: NameResolver | None = None,
) -> FileHandle:
    """Open a measurement read-only.

    Parameters
    ----------
    target : str, path, LocalSource, binary file object or h5py.File
        A caller's ``h5py.File`` is used as it is and never closed. A `LocalSource` is
        taken over, and nothing but the very file that it has open is read.
    names : NameResolver, optional
        What the names in the file may lead to.

    Raises
    ------
    FileMissingError, NotAFileError, FormatError
        If there is no file, not a regular file, or no HDF5 in it.
    FileChangedError
        If another file lies at the path of a `LocalSource` by now.
    """
    if isinstance(target, (str, os.PathLike)):
        handle = _open_path(pathlib.Path(target).expanduser().absolute())
    elif isinstance(target, LocalSource):
        handle = _open_source(target, pathlib.Path(target.label), named=True)
    elif isinstance(target, h5py.File):
        handle = _wrap_h5(target)
    else:
        handle = _open_file_object(target)
    if names is not None:
        handle.names = names
    handle.linked_files = LinkedFiles(handle, open_file)
    return handle


def _open_path(path: pathlib.Path) -> FileHandle:
    for _ in range(_ATTEMPTS - 1):
        try:
            return _open_source(LocalSource(path), path)
        except FileChangedError:
            continue  # as it is now
    return _open_source(LocalSource(path), path)


def _open_file_object(target: BinaryIO) -> FileHandle:
    label = f"file object {target!r}"
    source = FileObjectSource(target, label)
    h5 = _open_stream(source)
    return FileHandle(h5, None, label, owned=True, identity=None, source=source)


def _wrap_h5(h5: Any) -> FileHandle:
    if not h5.id.valid:
        raise ClosedError("the h5py.File that was given is closed")
    name = os.fsdecode(h5.filename)
    path = pathlib.Path(name).absolute()
    driver = _driver(h5)
    if driver not in ("log", "sec2", "stdio") or not path.exists():
        reason = f"opened by the driver '{driver}'"
        return FileHandle(h5, None, name, owned=False, identity=None, reason=reason)
    source, reason = _own_source(h5, path, driver)
    identity = identity_of(os.stat(path)) if source is None else source.identity
    return FileHandle(
        h5,
        path,
        str(path),
        owned=False,
        identity=identity,
        source=source,
        reason=reason,
    )


def _driver(h5: Any) -> str:
    """Return the name of the driver; h5py does not know that of "log"."""
    with h5_lock:
        is_log = h5.id.get_access_plist().get_driver() == h5fd.LOG
        return "log" if is_log else str(h5.driver)


def _own_source(
    h5: Any, path: pathlib.Path, driver: str, source: LocalSource | None = None
) -> tuple[LocalSource | None, str]:
    """Return a descriptor that is sure to see what HDF5 sees, or why there is none."""
    reason = ""
    with h5_lock:
        if h5.id.get_intent() != h5f.ACC_RDONLY:
            reason = "open for writing"
        elif driver in ("log", "sec2"):
            expected = identity_of(os.fstat(h5.id.get_vfd_handle()))
        else:
            reason = f"opened by the driver '{driver}'"
    if not reason:
        try:
            source = source or LocalSource(path)
            if source.identity == expected:
                return source, ""
            reason = _OTHER_FILE
        except (DCReadError, OSError) as exc:
            pass_on(exc)
            reason = str(exc)
    if source is not None:
        source.close()
    return None, reason


def _read_structures_ahead(source: LocalSource) -> None:
    """Have the system read what HDF5 will ask for piece by piece, side by side.

    The bytes are in the memory of the system then; nothing of them is used here.
    """
    stream = MetadataFile(source, Blocks(source.size))
    with ignoring(DCReadError, OSError):
        for rounds in (1, 2):
            stream.follow_hints(rounds)
            found = source.settle()
            if found is not None:
                break
        if found:
            stream.follow_hints()


def _open_source(
    source: LocalSource, path: pathlib.Path, *, named: bool = False
) -> FileHandle:
    """Open a file whose descriptor is open; `named`: by a file, not by the caller."""
    identity = source.identity
    try:
        source.probe_by(lambda: _read_structures_ahead(source))
        _require_signature(source)
        if not opened_before_change(identity):
            place = source.same_file() if named else path
            h5, driver = call_holding_lock(_open_h5, place)
            own, reason = _own_source(h5, path, driver, source)
            if named and own is None:
                _require_same_file(h5, source)
            if reason == _OTHER_FILE and not h5.swmr_mode:
                close_file(h5)
                raise FileChangedError(
                    f"{source.label} changed while it was opened; open it again"
                )
        else:
            # HDF5 would go on with what it knows of the file as it was.
            h5 = _open_stream(source)
            own, reason = source, ""
    except BaseException:
        source.close()
        raise
    return FileHandle(
        h5, path, str(path), owned=True, identity=identity, source=own, reason=reason
    )


def _require_same_file(h5: Any, source: LocalSource) -> None:
    with h5_lock:
        found = os.fstat(h5.id.get_vfd_handle())
    if (found.st_dev, found.st_ino) != source.identity[:2]:
        close_file(h5)
        raise FileChangedError(
            f"{source.label} was replaced while it was opened; open it again"
        )


def _open_stream(source: ByteSource) -> Any:
    """Open a file as a Python file object: HDF5 knows nothing of it yet."""
    try:
        return call_holding_lock(h5py.File, SourceStream(source), "r")
    except DCReadError:
        raise
    except (OSError, ValueError, RuntimeError) as exc:
        pass_on(exc)
        remedy = "it may be damaged, or not be written completely yet"
        raise unreadable(source.label, exc, remedy) from exc


def _require_signature(source: LocalSource) -> None:
    """Look for HDF5's signature, at 0, 512, 1024, 2048, ..."""
    size = source.identity.size
    if size == 0:
        raise FormatError(
            f"{source.label}: expected an HDF5 file, found an empty file; copy it again"
        )
    offset = 0
    while offset + len(_SIGNATURE) <= size:
        if source.read(offset, len(_SIGNATURE)) == _SIGNATURE:
            return
        offset = 2 * offset or 512
    # (its bytes are not shown: they may be those of a file that is none of ours)
    raise FormatError(
        f"{source.label}: expected an HDF5 file, found one of {size} bytes without an "
        "HDF5 signature; check that it is a measurement (.rtdc)"
    )


def _open_h5(path: pathlib.Path) -> tuple[Any, str]:
    """Open without locking and without getting in anybody's way; tell the driver.

    The caller holds `h5_lock`.

    HDF5 refuses a second opening in one process with other locking flags than the
    first (dclab opens without locks, dcnum and plain h5py with them), but only
    within one driver: with a driver that others hardly ever use, all of them can
    open the file before and after us. A file that this process is writing is
    shared with the writer instead, whose data need not be on disk yet. A plain
    opening cannot read what a SWMR writer has open.
    """
    first: OSError | None = None
    ways: tuple[dict[str, Any], ...] = (
        {"locking": False},
        {},
        {"locking": "best-effort"},
        {"locking": True},
        {"locking": False, "swmr": True, "libver": "latest"},
        {"swmr": True, "libver": "latest"},
    )
    if not _written_here(path):
        for swmr in (False, True):
            try:
                return _open_by_log_driver(path, swmr=swmr), "log"
            except (OSError, ValueError, RuntimeError) as exc:
                pass_on(exc)
                if not _in_the_way(exc):
                    break
    for way in ways:
        try:
            h5 = h5py.File(path, "r", **way)
            return h5, _driver(h5)
        except (OSError, ValueError, RuntimeError) as exc:
            pass_on(exc)
            first = first or OSError(str(exc))
            if not _in_the_way(exc):
                break
    remedy = "the file may be damaged, or open for writing elsewhere"
    raise unreadable(path, first, remedy) from first


def _in_the_way(exc: Exception) -> bool:
    """Tell whether HDF5 refused a file since somebody else has it open or locked.

    Only then is another way worth a try: as a reader beside a SWMR writer, HDF5 takes
    a file that is cut short for one that grows, and waits for the rest, for ever.
    (Not "lock" alone: HDF5 names the "sblock" of a truncated file.)
    """
    return " lock" in str(exc) or "already open" in str(exc)


def _open_by_log_driver(path: pathlib.Path, *, swmr: bool) -> Any:
    """Open by the driver "log", which is the usual one as long as it logs nothing.

    Unlike "stdio", it reads without moving a position that forked processes share.
    """
    intent = h5f.ACC_RDONLY | (h5f.ACC_SWMR_READ if swmr else 0)
    access = _access_by_log_driver(swmr=swmr)
    return h5py.File(h5f.open(os.fsencode(path), intent, fapl=access))


@functools.cache
def _access_by_log_driver(*, swmr: bool) -> h5p.PropFAID:
    plist = h5p.create(h5p.FILE_ACCESS)
    plist.set_file_locking(False, True)
    plist.set_fapl_log(b"", 0, 0)
    if swmr:
        plist.set_libver_bounds(h5f.LIBVER_LATEST, h5f.LIBVER_LATEST)
    return plist


def _written_here(path: pathlib.Path) -> bool:
    """Tell whether this process has the file open for writing."""
    # Listing takes longer the more files are open, as the sources of a virtual dataset.
    if h5f.get_obj_count(h5f.OBJ_ALL, h5f.OBJ_FILE) == count_opened_here():
        return False
    for found in open_ids(h5f.OBJ_FILE):
        # ValueError, RuntimeError: somebody closed it after it was listed
        with ignoring(OSError, ValueError, RuntimeError):
            writable = found.get_intent() & h5f.ACC_RDWR
            if writable and os.path.samefile(os.fsdecode(h5f.get_name(found)), path):
                return True
    return False
