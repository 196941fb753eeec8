"""Bytes by offset: a descriptor of our own beside that of HDF5, or a file object."""

from __future__ import annotations

import abc
import contextlib
import errno
import io
import os
import pathlib
import stat
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcread_ext.timed_read import HAS_PREAD, timed_read

from ..errors import (
    DCReadError,
    FileChangedError,
    FileMissingError,
    FormatError,
    NotAFileError,
    RemoteError,
)
from ..sync.locks import BriefLock
from .byte_ranges import RangeLimits, cut_at_multiples, cut_evenly, plan_ranges
from .parallel_reads import Sink, read_side_by_side
from .read_speed import ReadSpeed
from .storage import ReadCost

PIECE = 2**17
"""Bytes of a slow share that one read asks for."""

DEPTH = 16
"""Reads of a slow share that are under way at once; 16 ranges of 1 MiB at the most."""

GAP = 2**16
"""Bytes of a slow share that are read along rather than left out."""


class FileIdentity(NamedTuple):
    """What tells one state of a file from another."""

    device: int
    inode: int
    size: int
    mtime_ns: int


class RemoteIdentity(NamedTuple):
    """State of a remote file.

    Attributes
    ----------
    url : str
        Without its signature.
    etag : str
        The strong entity tag; "" if the server gives none.
    size : int
        Bytes of the file.
    last_modified : str
        As the server tells it; "" if it does not.
    """

    url: str
    etag: str
    size: int
    last_modified: str

    @property
    def is_certain(self) -> bool:
        """Whether equal identities mean equal bytes."""
        return bool(self.etag)


def identity_of(status: os.stat_result) -> FileIdentity:
    """Return the identity that a stat result tells."""
    return FileIdentity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    )


class ByteSource(abc.ABC):
    """Where stored bytes come from: a local file, a file object, a server.

    Attributes
    ----------
    fd : int
        A descriptor that kernels may read from by ``pread``; -1 if there is none, and
        the bytes come through `read_ranges`.
    label : str
        What error messages call the file.
    size : int
        Bytes of the file.
    identity : hashable or None
        State of the file when it was opened, can be pickled; None if unknown.
    is_far : bool
        Whether reading takes so long that many reads should be on their way at once.
    range_limits : RangeLimits
        How large the ranges of `read_ranges` should be, and how many travel at once.
    piece : int
        Bytes that `read_ranges` asks for at once at the most.
    """

    fd: int = -1
    label: str
    size: int
    identity: Hashable | None = None
    is_far: bool = False
    range_limits = RangeLimits(depth=1, gap=0, least=2**17, most=2**20)
    piece: int = PIECE

    @abc.abstractmethod
    def read_ranges(self, ranges: Sequence[tuple[int, int]], sink: Sink) -> None:
        """Read ranges, as many at once as the source can.

        Parameters
        ----------
        ranges : sequence of (start, stop)
            Byte offsets.
        sink : callable
            ``sink(number, data)`` gets each range once, in any order, maybe from
            several threads at once; what it raises ends the reading.

        Raises
        ------
        DCReadError
            If a range cannot be had in full: `FormatError` if the file ends before it,
            `FileChangedError`, `RemoteError`, `ClosedError`.
        """

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes, or raise as `read_ranges` does."""
        found: list[memoryview] = []
        self.read_ranges([(offset, offset + size)], lambda _, data: found.append(data))
        return bytes(found[0])

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill a view, or raise as `read_ranges` does."""
        view[:] = self.read(offset, len(view))

    def read_cost(
        self, starts: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> ReadCost:
        """Return what reading chunks takes; nothing is read.

        Parameters
        ----------
        starts, sizes : ndarray of int64, shape (n,)
            Where they lie, in ascending order of `starts`.
        """
        if not self.is_far:
            return ReadCost(len(starts), int(sizes.sum()))
        asked = [
            part
            for found in plan_ranges(starts, sizes, self.range_limits)
            for part in self.parts_of(found.start, found.stop)
            if not self.has_in_memory(*part)
        ]
        return ReadCost(len(asked), sum(stop - start for start, stop in asked))

    def parts_of(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the parts in which `read_ranges` asks for a range."""
        return cut_evenly(start, stop, self.piece)

    def has_in_memory(self, start: int, stop: int) -> bool:
        """Tell whether bytes are in memory, so that `read_ranges` asks nobody."""
        return False

    def check(self) -> None:
        """Raise `FileChangedError` if the file is not as it was."""
        return

    def advise(self, ranges: Iterable[tuple[int, int]], advice: str) -> None:
        """Tell the system what comes, if it can be told."""
        return

    def forget(self, start: int, stop: int) -> None:
        """Drop bytes that were kept on the disk and turned out to be damaged."""
        return

    def interrupt(self) -> None:
        """End the reads that wait for somebody else: the file is about to be closed."""
        return

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the file; twice is fine."""


class LocalSource(ByteSource):
    """A regular file, read by offset.

    Parameters
    ----------
    path : path
        Where it is.
    opener : callable
        Opens it, as that of the builtin ``open`` does, where not every file may be.

    Attributes
    ----------
    fd : int
        The descriptor; -1 after `close`.
    label : str
        What error messages call the file.
    identity : FileIdentity
        The state of the file when it was opened.
    """

    fd = -1

    def __init__(
        self,
        path: str | os.PathLike[str],
        opener: Callable[[str, int], int] = os.open,
    ) -> None:
        self.label = os.fspath(path)
        self._confined = opener is not os.open
        self._opener = opener
        self._locking = BriefLock()
        self._spare: list[int] = []  # further descriptors, where there is no pread
        self._speed = ReadSpeed()
        self.range_limits = RangeLimits(depth=DEPTH, gap=GAP, least=PIECE, most=2**20)
        self._advice = "NORMAL"
        try:
            if os.name == "nt" and os.path.isdir(path):  # it cannot be opened there
                raise NotAFileError(
                    f"{self.label}: expected a regular file, found a directory"
                )
            self.fd = self._descriptor()
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise FileMissingError(
                f"no file at {self.label}; check the path, or whether its drive is "
                "mounted"
            ) from exc
        except OSError as exc:
            if isinstance(exc, DCReadError):
                raise
            reason = f"{self.label}: cannot be opened for reading: {exc.strerror}"
            raise NotAFileError(reason) from exc
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise NotAFileError(
                f"{self.label}: expected a regular file, found {_kind(status.st_mode)}"
            )
        self.identity: FileIdentity = identity_of(status)
        self.size = self.identity.size

    def _descriptor(self) -> int:
        # O_NONBLOCK: opening a FIFO would wait for a writer, for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        return self._opener(self.label, flags)

    @property
    def is_far(self) -> bool:  # type: ignore[override]
        """Whether the file is on a slow share."""
        return self._speed.is_far

    def probe(self, offset: int) -> bool:
        """Read a byte to see how long that takes; return `is_far`.

        Two bytes, if the first one takes long: a busy machine is no share.
        """
        speed = self._speed
        if not speed.is_far and self.size and self.fd >= 0:
            for place in (offset, (offset + self.size // 2) % self.size):
                _, taken = self._timed(bytearray(1), place)
                if not speed.is_slow(taken, 1):
                    break
            else:
                speed.is_far = True
        return speed.is_far

    def probe_by(self, read: Callable[[], object]) -> None:
        """Read the first byte; if that takes long, the file counts as far: ``read()``.

        What is read there is a second look: `settle` takes it into account.
        """
        if self.size:
            _, taken = self._timed(bytearray(1), 0)
            if self._speed.is_slow(taken, 1):
                self._speed.is_far = True
                read()

    def settle(self) -> bool:
        """Decide by the reads so far: a quick one makes it near. Return `is_far`."""
        self._speed.settle()
        return self.is_far

    def same_file(self) -> pathlib.Path:
        """Return a path to the very file that is open, whatever lies at its own.

        Its own path where that may be any file, or where the system has no such paths.
        """
        by_descriptor = pathlib.Path(f"/proc/self/fd/{self.fd}")
        if self._confined and by_descriptor.exists():
            return by_descriptor
        return pathlib.Path(self.label)

    def check(self) -> None:
        """Compare the open file with its state at opening.

        Raises
        ------
        FileChangedError
            If its size or modification time differ.
        """
        try:
            now = identity_of(os.fstat(self.fd))
        except OSError as exc:
            raise self._unreachable(exc.errno or 0) from exc
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
        data = bytearray(size)
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read_ranges(self, ranges: Sequence[tuple[int, int]], sink: Sink) -> None:
        """Read ranges by several threads; see `ByteSource.read_ranges`."""
        read_side_by_side(
            ranges,
            lambda start, view, _: self.read_into(start, view),
            sink,
            depth=lambda _: self.range_limits.depth,
            cut=self.parts_of,
        )

    def parts_of(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the parts of a range, each of them one request of the system.

        Of two that meet within a page, one waits until the other has read the page.
        """
        return cut_at_multiples(start, stop, self.piece)

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill a view; once more if the share was away and is back."""
        size = len(view)
        if HAS_PREAD:  # as `_timed` does: HDF5 asks for dozens of pieces of a header
            count, taken = timed_read(self.fd, view, offset)
        else:
            count, taken = self._timed(view, offset)
        if count < 0 and self._revive():
            count, taken = self._timed(view, offset)
        if count < 0:
            raise self._unreachable(-count)
        if count != size:
            raise FormatError(
                f"{self.label}: expected {size} bytes at byte {offset}, found {count}; "
                "the file is truncated: copy it again"
            )
        if self._speed.is_far:
            self._speed.note(taken, size)

    def _timed(self, view: bytearray | memoryview, offset: int) -> tuple[int, int]:
        """Return the bytes that were read (or -errno), and the nanoseconds."""
        if HAS_PREAD:
            return timed_read(self.fd, view, offset)
        begin = time.perf_counter_ns()
        try:
            fd = self._spare.pop()
        except IndexError:
            fd = self._another()
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            data = os.read(fd, len(view))
        except OSError as exc:
            return -(exc.errno or errno.EIO), 0
        finally:
            self._spare.append(fd)
        view[: len(data)] = data
        return len(data), time.perf_counter_ns() - begin

    def _another(self) -> int:
        """Return one more descriptor of the file, with a position of its own."""
        fd = self._descriptor()
        if identity_of(os.fstat(fd)) != self.identity:
            os.close(fd)
            self.check()
            raise FileChangedError(f"{self.label} was replaced; open it again")
        return fd

    def _revive(self) -> bool:
        """Open the file anew, if its share is back and it is the same file."""
        with self._locking:
            try:
                fd = self._descriptor()
            except OSError:
                return False
            try:
                now = identity_of(os.fstat(fd))
                # A share that was mounted anew may have another device number.
                if self.fd < 0 or now[1:] != self.identity[1:]:
                    return False
                os.dup2(fd, self.fd, inheritable=False)
                self.identity = now
            except OSError:
                return False
            finally:
                os.close(fd)
        return True

    def _unreachable(self, number: int) -> RemoteError:
        self._speed.is_far = True  # reading by ranges looks whether it is back
        return RemoteError(
            f"{self.label}: reading failed: {os.strerror(number)}; is its drive still "
            "mounted? Reading goes on when it is back"
        )

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
        while self._spare:
            os.close(self._spare.pop())

    def __del__(self) -> None:
        # (not while the interpreter shuts down, nor if it was interrupted before it was
        # opened)
        if os is not None and self.fd >= 0:
            self.close()


class SourceStream(io.RawIOBase):
    """A source as a binary file object, for HDF5; it ends with the source."""

    def __init__(self, source: ByteSource) -> None:
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
        self._source.read_into(self._position, view[:count])
        self._position += count
        return count


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
