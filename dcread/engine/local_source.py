"""A local file as a source of bytes: a descriptor of our own beside that of HDF5."""

from __future__ import annotations

import bisect
import errno
import os
import pathlib
import stat
import time
from collections.abc import Callable, Iterable, Sequence

from dcread_ext.timed_read import HAS_PREAD, timed_read

from ..errors import (
    DCReadError,
    FileChangedError,
    FileMissingError,
    FormatError,
    NotAFileError,
    RemoteError,
)
from ..problems import pass_on
from ..sync.locks import BriefLock
from .byte_ranges import RangeLimits, cut_at_multiples, merge_ranges
from .parallel_reads import Sink, drop_memory, read_side_by_side
from .read_speed import ReadSpeed
from .source import PIECE, ByteSource, FileIdentity, identity_of
from .stop import Stop
from .thread_pool import get_num_threads

DEPTH = 16
"""Reads of a slow share that are under way at once, of ranges of 1 MiB at the most."""

DISTANT = 8_000_000
"""Nanoseconds of a read from which on there are twice as many."""

HEAD = 2**16
"""Bytes at the start and the end of a file in which its structures begin."""

GAP = 2**16
"""Bytes of a slow share that are read along rather than left out."""

PAGE = 2**12
"""Bytes that the system holds in memory together, at the least."""

FEW = 2**20
"""Bytes that are not worth another thread, once the system was asked for them."""

ENOUGH = 32
"""Parts that the system was asked for which tell whether that makes a difference."""


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
    is_far : bool
        Whether the file is on a slow share.
    label : str
        What error messages call the file.
    identity : FileIdentity
        The state of the file when it was opened.
    """

    fd = -1
    range_limits = RangeLimits(depth=DEPTH, gap=GAP, least=PIECE, most=2**20)

    def __init__(
        self,
        path: str | os.PathLike[str],
        opener: Callable[[str, int], int] = os.open,
    ) -> None:
        self.label = os.fspath(path)
        self._confined = opener is not os.open
        self._opener = opener
        self._spare: list[int] = []  # further descriptors, where there is no pread
        self._speed = ReadSpeed()
        self._advice = "NORMAL"
        self._reads_ahead = False  # whether the system does, of a share, if it is asked
        self._latency = self._asked = self._waited = 0
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
            pass_on(exc)
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

    def probe(self, offset: int) -> bool:
        """Read a byte to see how long that takes; return `is_far`.

        Two bytes, if the first one takes long: a busy machine is no share. One, if
        opening was slow, too.
        """
        speed = self._speed
        if not self.is_far and self.size and self.fd >= 0:
            places = offset, (offset + self.size // 2) % self.size
            for place in places[: 1 if speed.is_suspect else 2]:
                _, taken = self._timed(bytearray(1), place)
                if not speed.is_slow(taken, 1):
                    break
            else:
                self._go_far(taken)
        return self.is_far

    def probe_by(self, read: Callable[[], object]) -> None:
        """Read the first byte; if that takes long, the file counts as far: ``read()``.

        The system is asked for the head and the tail before, so that they come with
        that byte. What is read in ``read()`` is a second look: `settle` takes it into
        account.
        """
        if self.size:
            tail = max(0, self.size - HEAD) // HEAD * HEAD  # whole blocks of HEAD
            self.advise([(0, HEAD), (tail, 2 * HEAD)], "WILLNEED")
            _, taken = self._timed(bytearray(1), 0)
            if self._speed.is_slow(taken, 1):
                self._go_far(taken)
                if hasattr(os, "posix_fadvise"):
                    _, more = self._timed(bytearray(self.size - tail), tail)
                    if 2 * more < taken:  # it came meanwhile
                        self._reads_ahead, self._latency = True, taken
                        self.range_limits = self.range_limits._replace(most=2**19)
                read()

    def _go_far(self, taken: int) -> None:
        """Count the file as far, after a read by itself that took so long."""
        self.is_far = True
        if taken >= DISTANT:
            self.range_limits = self.range_limits._replace(depth=2 * DEPTH)

    def settle(self) -> bool | None:
        """Decide by the reads since the last call; return `is_far`, None if unsure.

        They count as far if all were slow. A quick one tells nothing the first time:
        its bytes may be on their way since `probe_by`.
        """
        found = self._speed.settle()
        if found is not None:
            self.is_far = found
        return found

    def _note(self, taken: int, size: int, count: int = 1) -> None:
        """Note reads of a file that is far: they tell when it is near."""
        if self._speed.note(taken, size, count):
            self.is_far = False

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
            pass_on(exc)
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
        if HAS_PREAD:  # (for dozens of structures of HDF5, which are looked at)
            count, taken = timed_read(self.fd, data, offset)
        else:
            count, taken = self._timed(data, offset)
        if count != size:
            taken = self._fill(offset, data)
        if self.is_far:
            self._note(taken, size)
        return bytes(data)

    def read_ranges(self, ranges: Sequence[tuple[int, int]], sink: Sink) -> None:
        """Read ranges by several threads; see `ByteSource.read_ranges`."""
        if self._reads_ahead:
            self._read_asked_for(ranges, sink)
            return
        read_side_by_side(
            ranges,
            lambda start, view, _: self.read_into(start, view),
            sink,
            depth=lambda _: self.range_limits.depth,
            cut=self.parts_of,
        )

    def _read_asked_for(self, ranges: Sequence[tuple[int, int]], sink: Sink) -> None:
        """Have the system read ranges ahead of the few threads that wait for them.

        That takes less of the processor than a thread for each read does, and more of
        them are under way.
        """
        whole = merge_ranges(ranges, PAGE)
        total = sum(stop - start for start, stop in whole)
        parts = [part for found in whole for part in self.parts_of(*found)]
        ahead = 2 * self.range_limits.depth
        asking = BriefLock()
        asked = 0
        waits: list[int] = []

        def read_into(start: int, view: memoryview, _: Stop) -> None:
            nonlocal asked
            begin = time.perf_counter_ns()
            with asking:  # by then, all parts before these have been asked for
                stop = ahead + bisect.bisect(parts, (start + len(view),))
                self.advise([(a, b - a) for a, b in parts[asked:stop]], "WILLNEED")
                asked = max(asked, stop)
            since = 0 if waits else time.perf_counter_ns() - begin
            taken = since + self._fill(start, view)
            waits.append(taken)
            if self.is_far:
                # Others were on their way while the first one was waited for.
                count = max(1, len(view) // self.piece)
                self._note(max(taken, waits[0]), len(view) // count, count)

        threads = min(get_num_threads(), 1 + total // FEW)
        read_side_by_side(
            ranges,
            read_into,
            sink,
            depth=lambda _: threads,
            cut=lambda start, stop: [(start, stop)],
        )
        self._asked += len(parts)
        self._waited += sum(waits)
        if self._asked >= ENOUGH:
            self._reads_ahead = 2 * self._waited < self._asked * self._latency
            self._asked = self._waited = 0

    def parts_of(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the parts of a range, each of them one request of the system.

        Of two that meet within a page, one waits until the other has read the page.
        """
        return cut_at_multiples(start, stop, self.piece)

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill a view; once more if the share was away and is back."""
        taken = self._fill(offset, view)
        if self.is_far:
            self._note(taken, len(view))

    def _fill(self, offset: int, view: bytearray | memoryview) -> int:
        """Fill a view as `read_into` does; return the nanoseconds."""
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
        return taken

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
            pass_on(exc)
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

    @property
    def _revive_lock(self) -> BriefLock:
        """Held by the thread that opens the file anew; made by the first one."""
        lock: BriefLock = vars(self).setdefault("_revive_lock", BriefLock())
        return lock

    def _revive(self) -> bool:
        """Open the file anew, if its share is back and it is the same file."""
        with self._revive_lock:
            try:
                fd = self._descriptor()
            except OSError as exc:
                pass_on(exc)
                return False
            try:
                now = identity_of(os.fstat(fd))
                # A share that was mounted anew may have another device number.
                if self.fd < 0 or now[1:] != self.identity[1:]:
                    return False
                os.dup2(fd, self.fd, inheritable=False)
                self.identity = now
            except OSError as exc:
                pass_on(exc)
                return False
            finally:
                os.close(fd)
        return True

    def _unreachable(self, number: int) -> RemoteError:
        self.is_far = True  # reading by ranges looks whether it is back
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
            try:
                for offset, size in ranges:
                    os.posix_fadvise(self.fd, offset, size, number)
            except OSError as exc:
                pass_on(exc)

    def close(self) -> None:
        """Close the descriptor; twice is fine."""
        fd, self.fd = self.fd, -1  # before: an interrupt must not have it closed twice
        if fd >= 0:
            os.close(fd)
            if self.is_far:
                drop_memory()
        while self._spare:
            os.close(self._spare.pop())

    def __del__(self) -> None:
        # (not while the interpreter shuts down, nor if it was interrupted before it was
        # opened)
        if os is not None and self.fd >= 0:
            self.close()


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
