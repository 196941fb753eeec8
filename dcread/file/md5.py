"""MD5 sums of files, remembered for as long as the file stays the same."""

from __future__ import annotations

import functools
import hashlib
import operator
import os
import pathlib
import stat
import time
from typing import Any, BinaryIO

from ..engine.home import absolute
from ..errors import FileMissingError, NotAFileError
from ..problems import pass_on

__all__ = ["md5sum"]

_READ_SIZE = 1 << 20
_SETTLED_NS = 2 * 10**9
"""A file that changed less than this ago may change again within the same tick of the
clock of its file system (up to 2 s), so that its sum is not remembered yet."""


def md5sum(
    path: str | os.PathLike[str] | BinaryIO, blocksize: int = 65536, count: int = 0
) -> str:
    """Compute the MD5 sum of a file or of its first bytes.

    Parameters
    ----------
    path : str, path or binary file object
        The file. The sum of a path is remembered until the file's device, inode,
        size or modification time change. A file that was modified within the last
        seconds is read each time, since none of these need change with its bytes.
        A file object is read from its beginning, and its position is restored.
    blocksize : int
        Size in bytes of one block; 0 for the whole file.
    count : int
        Number of blocks to read from the beginning; 0 for the whole file.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    FileMissingError
        If there is no such file.
    NotAFileError
        If the path leads to no regular file (a directory, a FIFO, a device), or to
        one that cannot be read.
    TypeError
        If `path` is neither a path nor a file object.
    ValueError
        If `blocksize` or `count` is negative.

    Examples
    --------
    >>> import io
    >>> md5sum(io.BytesIO(b"events"), blocksize=2, count=1) == md5sum(io.BytesIO(b"ev"))
    True
    """
    blocksize, count = operator.index(blocksize), operator.index(count)
    for name, value in (("blocksize", blocksize), ("count", count)):
        if value < 0:
            raise ValueError(f"`{name}` must not be negative, got {value}")
    limit = blocksize * count or None
    if not isinstance(path, (str, os.PathLike)):
        return _of_stream(path, limit)
    where = absolute(path)
    try:
        status = where.stat()
        if not stat.S_ISREG(status.st_mode):  # to open a FIFO is to wait for a writer
            folder = stat.S_ISDIR(status.st_mode)
            kind = "directory" if folder else "FIFO, device or socket"
            raise NotAFileError(f"{where}: expected a regular file, found a {kind}")
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if time.time_ns() - status.st_mtime_ns < _SETTLED_NS:
            with where.open("rb") as stream:
                return _digest(stream, limit)
        return _of_path(where, limit, identity)
    except NotAFileError:
        raise
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise FileMissingError(
            f"no file at {where}; check the path, or whether its drive is mounted"
        ) from exc
    except OSError as exc:
        pass_on(exc)
        raise NotAFileError(
            f"{where}: cannot be opened for reading: {exc.strerror}"
        ) from exc


def _of_stream(stream: BinaryIO, limit: int | None) -> str:
    if not (hasattr(stream, "read") and hasattr(stream, "seek")):
        raise TypeError(
            "`path` must be a path or a binary file object, got "
            f"{type(stream).__name__} ({stream!r:.100})"
        )
    position = stream.tell()
    try:
        stream.seek(0)
        return _digest(stream, limit)
    finally:
        stream.seek(position)


@functools.lru_cache(maxsize=128)
def _of_path(path: pathlib.Path, limit: int | None, identity: tuple[int, ...]) -> str:
    # `identity` is part of the key: another state of the file is another sum.
    with path.open("rb") as stream:
        return _digest(stream, limit)


def _digest(stream: Any, limit: int | None) -> str:
    hasher = hashlib.md5(usedforsecurity=False)
    left = limit
    while left is None or left > 0:
        data = stream.read(_READ_SIZE if left is None else min(left, _READ_SIZE))
        if not data:
            break
        hasher.update(data)
        if left is not None:
            left -= len(data)
    return hasher.hexdigest()
