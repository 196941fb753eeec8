"""Bytes by offset: what all sources have in common, and what tells files apart."""

from __future__ import annotations

import abc
import io
import os
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .byte_ranges import RangeLimits, cut_evenly, plan_ranges
from .parallel_reads import Sink
from .storage import ReadCost

PIECE = 2**17
"""Bytes of a slow share that one read asks for."""


class FileIdentity(NamedTuple):
    """What tells one state of a file from another."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    def __str__(self) -> str:
        return (
            f"{self.size} bytes (modified {self.mtime_ns / 1e9:.6f} s after 1970, "
            f"inode {self.inode} of device {self.device})"
        )


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
            several threads at once; what it raises ends the reading. The data are
            valid during the call only.

        Raises
        ------
        DCReadError
            If a range cannot be had in full: `FormatError` if the file ends before it,
            `FileChangedError`, `RemoteError`, `ClosedError`.
        """

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes, or raise as `read_ranges` does."""
        found: list[bytes] = []
        self.read_ranges(
            [(offset, offset + size)], lambda _, data: found.append(bytes(data))
        )
        return found[0]

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill a view, or raise as `read_ranges` does."""

        def copy(_: int, data: memoryview) -> None:
            view[:] = data

        self.read_ranges([(offset, offset + len(view))], copy)

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
