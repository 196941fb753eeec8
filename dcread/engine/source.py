"""Bytes by offset: a descriptor of our own beside that of HDF5, or a file object."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterable
from typing import Any, BinaryIO, NamedTuple, Protocol

from ..errors import FileChangedError, FileMissingError, FormatError, NotAFileError
from ..sync.locks import BriefLock, h5_lock


class FileIdentity(NamedTuple):
    """What tells one state of a file from another."""

    device: int
    inode: int
    size: int
    mtime_ns: int


def identity_of(status: os.stat_result) -> FileIdentity:
    """Return the identity that a stat result tells."""
    return FileIdentity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    )


class Source(Protocol):
    """Where stored bytes come from.

    Attributes
    ----------
    fd : int
        A descriptor that ``pread`` may use; -1: use `read`.
    label : str
        What error messages call the file.
    size : int
        Bytes of the file.
    """

    fd: int
    label: str
    size: int

    def check(self) -> None:
        """Raise `FileChangedError` if the file is not as it was."""

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes, or raise `FormatError`."""

    def advise(self, ranges: Iterable[tuple[int, int]], advice: str) -> None:
        """Tell the system what comes, if it can be told."""

    def close(self) -> None:
        """Let go of the file."""


class LocalSource:
    """A regular file, read by offset.

    Attributes
    ----------
    fd : int
        The descriptor; -1 after `close`.
    label : str
        What error messages call the file.
    identity : FileIdentity
        The state of the file when it was opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.fd = -1
        self.label = os.fspath(path)
        self._seeking = BriefLock()  # where there is no pread
        self._advice = "NORMAL"
        # O_NONBLOCK: opening a FIFO would wait for a writer, for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            if os.path.isdir(path):  # Windows cannot open one to look at it
                raise NotAFileError(
                    f"{self.label}: expected a regular file, found a directory"
                )
            self.fd = os.open(path, flags)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise FileMissingError(
                f"no file at {self.label}; check the path, or whether its drive is "
                "mounted"
            ) from exc
        except OSError as exc:
            if isinstance(exc, NotAFileError):
                raise
            reason = f"{self.label}: cannot be opened for reading: {exc.strerror}"
            raise NotAFileError(reason) from exc
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise NotAFileError(
                f"{self.label}: expected a regular file, found {_kind(status.st_mode)}"
            )
        self.identity = identity_of(status)
        self.size = self.identity.size

    def check(self) -> None:
        """Compare the open file with its state at opening.

        Raises
        ------
        FileChangedError
            If its size or modification time differ.
        """
        now = identity_of(os.fstat(self.fd))
        if now != self.identity:
            raise FileChangedError(
                f"{self.label} changed after it was opened: expected {self.identity}, "
                f"found {now}; open it again"
            )

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes.

        Raises
        ------
        FormatError
            If the file ends before.
        """
        if hasattr(os, "pread"):
            data = os.pread(self.fd, size, offset)
        else:
            with self._seeking:
                os.lseek(self.fd, offset, os.SEEK_SET)
                data = os.read(self.fd, size)
        return _exactly(data, size, offset, self.label)

    def advise(self, ranges: Iterable[tuple[int, int]], advice: str) -> None:
        """Tell the kernel what comes (``"WILLNEED"``, ``"SEQUENTIAL"``, ``"NORMAL"``).

        A hint only: no error, nothing where the system does not know it. The latter
        two hold for the descriptor, and are not told twice.
        """
        if advice != "WILLNEED":
            if advice == self._advice:
                return
            self._advice = advice
        if hasattr(os, "posix_fadvise"):
            number = getattr(os, f"POSIX_FADV_{advice}")
            with contextlib.suppress(OSError):
                for offset, size in ranges:
                    os.posix_fadvise(self.fd, offset, size, number)

    def close(self) -> None:
        """Close the descriptor; twice is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        if os is not None:  # the interpreter is not shutting down
            self.close()


class FileObjectSource:
    """A binary file object, which HDF5 reads as well: both under the one lock.

    Attributes
    ----------
    fd, label, size
        See `Source`.
    """

    def __init__(self, stream: BinaryIO, label: str) -> None:
        self.fd = -1
        self.label = label
        self._stream = stream
        with h5_lock:
            self.size = stream.seek(0, os.SEEK_END)

    def check(self) -> None:
        """Do nothing: a file object tells no state."""

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes.

        Raises
        ------
        FormatError
            If the file object ends before.
        """
        parts: list[bytes] = []
        missing = size
        with h5_lock:
            self._stream.seek(offset)
            while missing:  # raw streams may return less than they were asked for
                part = self._stream.read(missing)
                if not part:
                    break
                parts.append(part)
                missing -= len(part)
        return _exactly(b"".join(parts), size, offset, self.label)

    def advise(self, ranges: Iterable[tuple[int, int]], advice: str) -> None:
        """Do nothing: there is no system to be told."""

    def close(self) -> None:
        """Do nothing: the stream is the caller's."""


class SourceStream(io.RawIOBase):
    """A source as a binary file object, for HDF5; it ends with the source."""

    def __init__(self, source: LocalSource) -> None:
        super().__init__()
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it has a position."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; return it."""
        base = {os.SEEK_CUR: self._position, os.SEEK_END: self._source.size}
        self._position = base.get(whence, 0) + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read at the position, at the most as much as the buffer holds."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._source.size - self._position))
        view[:count] = self._source.read(self._position, count)
        self._position += count
        return count


def _exactly(data: bytes, size: int, offset: int, label: str) -> bytes:
    if len(data) != size:
        raise FormatError(
            f"{label}: expected {size} bytes at byte {offset}, found {len(data)}; the "
            "file is truncated: copy it again"
        )
    return data


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISDIR, "a directory"),
    ):
        if test(mode):
            return name
    return "something else"
