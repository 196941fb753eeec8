"""HDF5 metadata of a remote file: blocks in memory, fetched in few rounds.

HDF5 reads from `MetadataFile`, which has nothing but blocks in memory. A read of what
is not there raises `MissingBytesError` out of h5py; `MetadataFile.fetching` fetches it,
together with what `Hints` expects next, and repeats the call. So nobody waits for the
network under the lock of h5py.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from ..errors import RemoteError
from ..problems import pass_on
from ..sync.locks import BriefLock, letting_go
from .byte_ranges import cut_at_multiples, merge_ranges
from .hdf5_hints import FOLLOWED, Hints
from .source import ByteSource, SourceStream

T = TypeVar("T")

BLOCK = 2**16
"""Bytes of a block."""

GAP = 2**16
"""Bytes between blocks that are fetched along rather than left out."""

ON_HINTS = 2**22
"""Bytes that are fetched on hints in one round."""

PART = 2**18
"""Bytes of such a place that one request asks for."""

AHEAD = 6
"""Rounds in which structures are fetched without being asked for."""

KEPT = 2**25
"""Bytes of blocks that the process keeps, those of closed files included."""


class MissingBytesError(RemoteError):
    """HDF5 asked for bytes that are not in memory; never leaves `fetching`."""


class Blocks:
    """Pieces of one state of a file, by number.

    Parameters
    ----------
    size : int
        Bytes of the file.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._blocks: dict[int, bytes] = {}

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return len(self._blocks) * BLOCK

    def put(self, start: int, data: bytes | memoryview) -> None:
        """Keep the whole blocks that lie in a piece of the file."""
        stop = start + len(data)
        for number in range(-(-start // BLOCK), -(-stop // BLOCK)):
            low, high = number * BLOCK, min((number + 1) * BLOCK, self.size)
            if high <= stop:
                self._blocks[number] = bytes(data[low - start : high - start])

    def read(self, start: int, stop: int) -> bytes | None:
        """Return bytes of the file; None if some of them are not here."""
        parts = []
        for number in range(start // BLOCK, -(-stop // BLOCK)):
            block = self._blocks.get(number)
            if block is None:
                return None
            low = number * BLOCK
            parts.append(block[max(0, start - low) : stop - low])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def lacking(self, ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return ranges of whole blocks that are wanted and not here."""
        wanted = [
            (number * BLOCK, min((number + 1) * BLOCK, self.size))
            for start, stop in ranges
            for number in range(start // BLOCK, -(-min(stop, self.size) // BLOCK))
            if number not in self._blocks
        ]
        return merge_ranges(wanted, GAP)

    def shrink(self, nbytes: int) -> None:
        """Forget the blocks that came first, down to a size."""
        excess = (self.nbytes - nbytes) // BLOCK
        for number in list(self._blocks)[: max(0, excess)]:
            self._blocks.pop(number, None)


class BlockStore:
    """Blocks of files by identity, so that a second opening need not fetch them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: OrderedDict[Hashable, Blocks] = OrderedDict()
        self._lock = BriefLock()

    def of(self, identity: Hashable, size: int, *, keep: bool) -> Blocks:
        """Return the blocks of a file; new ones if nothing is known of it.

        Parameters
        ----------
        identity : hashable
            State of the file.
        size : int
            Bytes of the file.
        keep : bool
            Whether equal identities mean equal bytes.
        """
        if not keep:
            return Blocks(size)
        with self._lock:
            found = self._files.setdefault(identity, Blocks(size))
            self._files.move_to_end(identity)
            while len(self._files) > 1 and self._total() > self._limit:
                self._files.popitem(last=False)
        return found

    def knows(self, match: Callable[[Hashable], bool]) -> bool:
        """Tell whether there are blocks of a file."""
        with self._lock:
            return any(match(identity) for identity in self._files)

    def clear(self) -> None:
        """Forget all blocks."""
        with self._lock:
            self._files.clear()

    def _total(self) -> int:
        return sum(blocks.nbytes for blocks in self._files.values())


store = BlockStore(KEPT)


class _Asking(threading.local):
    """What the current thread asks of HDF5."""

    depth = 0
    missing: tuple[int, int] | None = None


class MetadataFile(SourceStream):
    """A remote file as HDF5 sees it: blocks that are in memory.

    Parameters
    ----------
    source : ByteSource
        Where blocks come from.
    blocks : Blocks
        What is known of the file; grows.

    Attributes
    ----------
    rounds : int
        How often blocks were fetched.
    waits : int
        How often that happened within a call of HDF5, for want of `fetching`.
    """

    def __init__(self, source: ByteSource, blocks: Blocks) -> None:
        super().__init__(source)
        self.rounds = 0
        self.waits = 0
        self._blocks = blocks
        self._hints = Hints(source.size)
        self._unscanned: list[tuple[int, int]] = []
        self._passed: dict[int, int] = {}
        self._asking = _Asking()
        self._loading = BriefLock()  # (held by who waits for the network only)

    # -- the file object that HDF5 reads from, under its lock

    def readinto(self, buffer: Any) -> int:
        """Copy bytes that are in memory; raise if they are not."""
        view = memoryview(buffer).cast("B")
        start = self._position
        stop = min(start + len(view), self._source.size)
        if stop <= start:
            return 0
        data = self.look(start, stop)
        view[: len(data)] = data
        self._position = stop
        if len(self._passed) < FOLLOWED:
            self._passed[start] = stop
        return len(data)

    def look(self, start: int, stop: int) -> bytes:
        """Return bytes of the file as for HDF5, from which no hints are taken."""
        data = self._blocks.read(start, stop)
        if data is None:
            if self._asking.depth:
                self._asking.missing = (start, stop)
                raise MissingBytesError("bytes of the file that are on their way")
            self.waits += 1
            self._load((start, stop))
            data = self._blocks.read(start, stop)
            if data is None:
                raise RemoteError(f"{self._source.label}: metadata did not arrive")
        return data

    def end_if_lacking(self) -> None:
        """End what is called by `fetching` if bytes were missing in it already.

        Whoever takes an error for a problem of a part, and goes on with the rest, calls
        it: all of it is done again anyway.
        """
        if self._asking.depth and self._asking.missing is not None:
            raise MissingBytesError("bytes of the file that are on their way")

    # -- what is missing is fetched outside of it

    def put(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Take pieces of the file, with their offsets, that have arrived."""
        for start, data in pieces:
            self._blocks.put(start, data)
            self._hints.scan(start, data)

    def _scan(self) -> None:
        """Look for hints in what HDF5 has read and in blocks that were fetched.

        Only if more is to be fetched: nobody needs those of the last round.
        """
        passed = self._passed.copy()
        self._passed = {}
        for start, stop in passed.items():
            data = self._blocks.read(start, stop)
            if data is not None:
                self._hints.look_at(start, data)
        ranges, self._unscanned = self._unscanned, []
        for start, stop in ranges:
            data = self._blocks.read(start, stop)
            if data is not None:
                self._hints.scan(start, data)

    def peek(self, start: int, size: int) -> bytes:
        """Return bytes of the file, fetched if need be."""
        data = self._blocks.read(start, start + size)
        if data is None:
            self._load((start, start + size))
            data = self._blocks.read(start, start + size)
        return data or b""

    def fetching(self, func: Callable[[], T]) -> T:
        """Return ``func()``; fetch what it lacks and call it again.

        Parameters
        ----------
        func : callable
            Asks h5py; may be called several times, so it should change nothing. The
            lock of h5py is let go of between two calls, if the caller holds it.
        """
        asking = self._asking
        if asking.depth:
            return func()
        while True:
            asking.missing = None
            asking.depth = 1
            try:
                found = func()
            except MissingBytesError:
                pass
            except Exception as exc:
                pass_on(exc)
                if asking.missing is None:
                    raise
            else:
                if asking.missing is None:
                    return found
            finally:
                asking.depth = 0
            missing = asking.missing
            assert missing is not None
            letting_go(self._load, missing)

    def _load(self, missing: tuple[int, int]) -> None:
        """Fetch what is missing, and what will probably be asked for next."""
        with self._loading:
            if self._blocks.read(*missing) is not None:
                return  # another thread has fetched it
            if self._blocks.nbytes > KEPT:
                self._blocks.shrink(KEPT // 2)
            self._scan()
            self._fetch([missing, *self._hints.take(self._blocks.read, ON_HINTS)])

    def _fetch(self, wanted: list[tuple[int, int]]) -> None:
        ranges = [
            part
            for lacking in self._blocks.lacking(wanted)
            for part in cut_at_multiples(*lacking, PART)
        ]
        self.rounds += 1
        self._unscanned += ranges
        self._source.read_ranges(
            ranges, lambda i, data: self._blocks.put(ranges[i][0], data)
        )

    def follow_hints(self, rounds: int = AHEAD) -> None:
        """Fetch the head, the tail, and what they lead to, without HDF5."""
        size = self._source.size
        head, tail = (0, min(BLOCK, size)), (max(0, size - BLOCK), size)
        while self.rounds < rounds and self._blocks.nbytes < ON_HINTS:
            wanted = [head, tail]
            if self.rounds:
                if not self._hints.follow(self._blocks.read):
                    return  # (a search of what came last would not find more)
                self._scan()
                wanted = self._hints.take(self._blocks.read, ON_HINTS)
            self._fetch(wanted)
            self._hints.look_at(0, self._blocks.read(*head) or b"")
