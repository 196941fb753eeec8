"""Where a measurement comes from: its path, checksum, and state for pickling."""

from __future__ import annotations

import gc
import io
import os
import pathlib
import platform
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..engine import FileIdentity, open_file
from ..engine.h5py_errors import calling_back
from ..engine.source import RemoteIdentity
from ..engine.urls import is_signed, without_signature
from ..errors import FileChangedError, FormatError
from ..file.addresses import is_url
from ..file.links import PolicyResolver, RemoteResolver
from ..file.md5 import md5sum
from ..sync.locks import h5_lock

if TYPE_CHECKING:
    import h5py

    from ..engine import FileHandle
    from ..file.credentials import Credentials
    from ..file.policy import Policy

BLOCK, BLOCKS = 65536, 80
"""The checksum of a measurement covers its first 80 blocks (5 MiB)."""


RELEASE_SECONDS = 10.0


def open_target(
    target: Any,
    policy: Policy,
    credentials: list[Credentials],
    state: Mapping[str, Any],
) -> FileHandle:
    """Open what the caller named: a path, a URL, a file object or an h5py file.

    Parameters
    ----------
    target : object
        As `arguments.as_target` returns it.
    policy : Policy
        What may be contacted.
    credentials : list of Credentials
        For a URL.
    state : mapping
        Of a pickle, with ``identity``; of no pickle without.
    """
    if not is_url(target):
        return open_file(target)
    # (which cost as much as the rest of dcread)
    from ..file.open_url import open_url
    from ..file.resource import Resource, is_resource

    if is_resource(target):
        return Resource(target, policy, credentials).open()
    expected = state.get("identity")
    known = None if expected is None else RemoteIdentity(*expected)
    return open_url(
        target, policy, credentials=credentials, by_caller=True, expected=known
    )


def path_of(handle: FileHandle, target: Any) -> Any:
    """Return what ``HDF5Data.path`` is: a path, a URL, or the caller's object."""
    if handle.path is not None:
        return handle.path
    if handle.is_remote:
        return without_signature(target)
    if hasattr(target, "filename") and hasattr(target, "id"):
        return pathlib.Path(os.fsdecode(target.filename))
    return target


def apply_policy(handle: FileHandle, policy: Policy) -> None:
    """Tell the engine which other files this one may lead to."""
    resolver = RemoteResolver if handle.is_remote else PolicyResolver
    handle.names = resolver(policy, handle.path)


def reopened(handle: FileHandle) -> FileHandle:
    """Return a handle that sees what was written since the file was opened.

    A file that changed, or is being written, is closed and opened again: as long as
    one of its datasets is open, libhdf5 mixes old and new parts of its index. A
    file of the caller stays open; if it is a SWMR reader, its datasets are refreshed.

    Raises
    ------
    FileMissingError, FormatError
        If the file cannot be opened again; then it is closed.
    """
    if handle.resource is not None:
        fresh = _again(handle)
        handle.close()
        return fresh
    with handle.using(), h5_lock:
        growing = bool(handle.h5.swmr_mode)
        if growing and not handle.owned and handle.h5.mode == "r":
            _refresh_datasets(handle)
    if handle.metadata is not None or not handle.owned or handle.path is None:
        return handle
    try:
        handle.check_unchanged()
    except FileChangedError:
        growing = True
    if not growing:
        return handle
    handle.close()
    _wait_until_released(handle)
    return _again(handle)


def kept_open(handle: FileHandle) -> FileHandle:
    """Return a handle, opened again if it is closed."""
    return _again(handle) if handle.closed else handle


def _again(handle: FileHandle) -> FileHandle:
    """Open what a handle has open, or had."""
    if handle.resource is not None:
        fresh: FileHandle = handle.resource.again().open()
        return fresh
    return open_file(handle.path)


def _wait_until_released(handle: FileHandle) -> None:
    """Let threads that are reading finish (a chunk at the most)."""
    end = time.monotonic() + RELEASE_SECONDS
    while handle._h5.id.valid and time.monotonic() < end:
        time.sleep(0.001)


def _refresh_datasets(handle: FileHandle) -> None:
    from h5py import h5f

    for _ in range(2):
        if not h5f.get_obj_count(handle.h5.id, h5f.OBJ_DATASET):
            break
        gc.collect()
    else:
        raise FormatError(
            f"{handle.label} cannot be refreshed while datasets of it are open: let "
            "go of all images and other views of it, or open it anew"
        )
    calling_back(handle.h5["/"].visititems, _refresh)


def _refresh(_name: str, found: h5py.Group | h5py.Dataset) -> None:
    if hasattr(found, "refresh"):
        found.refresh()


def is_writable(handle: FileHandle) -> bool:
    """Tell whether the caller's h5py file may change while we read it."""
    with handle.using(), h5_lock:
        return handle.h5.mode != "r" or bool(handle.h5.swmr_mode)


def checksum(handle: FileHandle, target: Any) -> str:
    """Return the MD5 sum of the first 5 MiB of the file that is open.

    A file that may change in memory gets a random number instead.

    Raises
    ------
    FileChangedError
        If another file lies at the path by now.
    NotAFileError
        If it is no file.
    """
    if handle.resource is not None:
        raise handle.resource.no_file("checksum")
    with handle.using():
        if handle.metadata is not None and handle.source is not None:
            size = min(BLOCK * BLOCKS, handle.source.size)
            return md5sum(io.BytesIO(handle.source.read(0, size)))
        if handle.path is not None:
            handle.check_unchanged(may_grow=True)
            return md5sum(handle.path, BLOCK, BLOCKS)
        if hasattr(target, "read") and hasattr(target, "seek"):
            with h5_lock:
                return md5sum(target, BLOCK, BLOCKS)
        with h5_lock:
            in_memory = handle.h5.driver == "core" and handle.h5.mode == "r"
            image = handle.h5.id.get_file_image() if in_memory else b""
        if image:
            return md5sum(io.BytesIO(image[: BLOCK * BLOCKS]))
    return uuid.uuid4().hex


def pickled_origin(handle: FileHandle, target: Any) -> dict[str, Any]:
    """Return the part of a pickle that says which file it is about.

    Raises
    ------
    TypeError
        If another process could not open the file.
    """
    if handle.path is None and not isinstance(target, str):
        raise TypeError(
            f"{handle.label} cannot be pickled, since another process could not open "
            "it: expected a file on disk; write it there and open it by its path"
        )
    if handle.is_remote:
        if is_signed(target):
            raise TypeError(
                f"{handle.label} cannot be pickled: its address carries a signature, "
                "which is a secret and expires; open it by an address without one, "
                "with credentials from the environment"
            )
        known = handle.resource is None
        state = tuple(handle.identity or ()) if known else None
        return {"path": target, "identity": state, "host": ""}
    identity = None if is_writable(handle) else handle.identity
    return {
        "path": handle.path if handle.path is not None else target,
        "identity": None if identity is None else tuple(identity),
        "host": platform.node(),
    }


def check_origin(handle: FileHandle, state: Mapping[str, Any]) -> None:
    """Check that the file is the one that was pickled.

    Device and inode are compared on the same machine only: a network drive has
    other ones elsewhere.

    Raises
    ------
    FileChangedError
        If it is not.
    """
    expected = state.get("identity")
    if expected is None or not isinstance(handle.identity, FileIdentity):
        return  # (a URL was compared when it was opened)
    before, now = FileIdentity(*expected), handle.identity
    here = state.get("host") == platform.node()
    if before == now or (not here and before[2:] == now[2:]):
        return
    raise FileChangedError(
        f"{handle.label} is not the file that was pickled: expected {before}, found "
        f"{now}; open the measurement anew where the work is handed out"
    )
