"""Opening a file behind a URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import FormatError
from ..problems import pass_on
from .disk_cache_setting import disk_cache
from .file_handle import FileHandle
from .h5py_errors import call_holding_lock, unreadable
from .http_client import HTTPClient
from .linked_files import LinkedFiles
from .metadata_blocks import MetadataFile, store
from .open_file import open_file
from .remote_source import RemoteSource
from .source import RemoteIdentity
from .urls import without_signature

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def open_remote(
    url: str,
    client: HTTPClient,
    *,
    renew: Callable[[], str] | None = None,
    expected: RemoteIdentity | None = None,
) -> FileHandle:
    """Open a measurement behind an http or https URL.

    Parameters
    ----------
    url : str
        Where it lies.
    client : HTTPClient
        Makes the connections; closed with the file.
    renew : callable, optional
        Returns the URL with a new signature, if that expires.
    expected : RemoteIdentity, optional
        The state that the file must have.

    Raises
    ------
    FileMissingError, RemoteError, PolicyError
        If there is no file, no answer, or it must not be contacted.
    FormatError
        If it is no HDF5 file.
    FileChangedError
        If it is not the expected file.
    """
    disk = disk_cache()
    source = RemoteSource(url, client, renew=renew, expected=expected, disk=disk)
    try:
        place = without_signature(url)
        known = store.knows(
            lambda found: isinstance(found, RemoteIdentity) and found.url == place
        )
        known = known or (disk is not None and disk.knows(place))
        parts = source.open(tail=not known)
        identity = source.identity
        assert identity is not None
        blocks = store.of(identity, source.size, keep=identity.is_certain)
        source.known = blocks.read
        stream = MetadataFile(source, blocks)
        stream.put(parts)
        _require_signature(stream, source)
        h5 = stream.fetching(lambda: _open_h5(stream, source.label))
    except BaseException:
        source.close()
        raise
    handle = FileHandle(
        h5,
        None,
        source.label,
        owned=True,
        identity=identity,
        source=source,
        metadata=stream,
    )
    handle.linked_files = LinkedFiles(handle, open_file)  # none but itself
    return handle


def _require_signature(stream: MetadataFile, source: RemoteSource) -> None:
    """Look for HDF5's signature, at 0, 512, 1024, ..."""
    offset = 0
    while offset + len(SIGNATURE) <= source.size:
        if stream.peek(offset, len(SIGNATURE)) == SIGNATURE:
            return
        offset = 2 * offset or 512
    raise FormatError(
        f"{source.label}: expected an HDF5 file, found one of {source.size} bytes "
        "without an HDF5 signature; check that it is a measurement (.rtdc)"
    )


def _open_h5(stream: MetadataFile, label: str) -> Any:
    import h5py
    import hdf5plugin  # noqa: F401  (registers the compression filters)

    try:
        return call_holding_lock(h5py.File, stream, "r")
    except (OSError, ValueError, RuntimeError) as exc:
        pass_on(exc)
        remedy = "it may be damaged, or not be written completely yet"
        raise unreadable(label, exc, remedy) from exc
