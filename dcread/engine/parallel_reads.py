"""Many reads on their way at once; each range is handed on as soon as it is here."""

from __future__ import annotations

import collections
import functools
import mmap
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from ..sync.background import BackgroundThread
from ..sync.locks import BriefLock, letting_go
from .stop import Stop, StoppedError

Sink: TypeAlias = Callable[[int, memoryview], None]
"""``sink(number, data)`` gets a range of bytes that has arrived.

They are valid during the call: afterwards the memory may serve another range."""

Cut: TypeAlias = Callable[[int, int], list[tuple[int, int]]]

MAPPED = 2**18
"""Bytes from which on a range gets pages of its own."""

_PRIVATE = {"flags": mmap.MAP_PRIVATE} if hasattr(mmap, "MAP_PRIVATE") else {}

KEPT = 12
"""Pieces of memory for ranges that are kept for the next ones, each of `LARGEST`.

Those of files behind URLs stay for the next file: clearing as many anew takes a tenth
of the processor time of opening a file and reading 1000 images.
"""

LARGEST = 2**21

_kept: collections.deque[mmap.mmap] = collections.deque()  # (its methods are atomic)


def drop_memory() -> None:
    """Let go of what is kept: a file on a slow share is closed."""
    _kept.clear()


class _Range:
    """A range that arrives in pieces.

    Large ones have pages of their own: of what threads free into the heap of the C
    library, much more would stay there. Clearing new pages takes half as long as
    receiving them, so those of a range are used again.
    """

    def __init__(self, number: int, start: int, stop: int, pieces: int) -> None:
        self.number = number
        self.start = start
        self.size = stop - start
        self.pieces = pieces
        self.lock = threading.Lock()
        self._pages: mmap.mmap | None = None
        if MAPPED <= self.size <= LARGEST:
            try:
                self._pages = _kept.pop()
            except IndexError:
                self._pages = mmap.mmap(-1, LARGEST, **_PRIVATE)
        elif self.size > LARGEST:
            self._pages = mmap.mmap(-1, self.size, **_PRIVATE)
        memory = bytearray(self.size) if self._pages is None else self._pages
        self.view = memoryview(memory)[: self.size]

    def is_complete(self) -> bool:
        """Count a piece; tell whether it was the last one."""
        with self.lock:
            self.pieces -= 1
            return not self.pieces

    def keep_pages(self) -> None:
        """Leave the memory to another range; nobody looks at it any more."""
        pages = self._pages
        if pages is not None and self.size <= LARGEST and len(_kept) < KEPT:
            _kept.append(pages)


def read_side_by_side(
    ranges: Sequence[tuple[int, int]],
    read_into: Callable[[int, memoryview, Stop], None],
    sink: Sink,
    *,
    depth: Callable[[int], int],
    cut: Cut,
    stop: Stop | None = None,
) -> None:
    """Read ranges by several threads; each hands on what it completes.

    Parameters
    ----------
    ranges : sequence of (start, stop)
        What to read, in this order.
    read_into : callable
        ``read_into(start, view, stop)`` fills the view, or raises.
    sink : callable
        Gets each range when it is complete, valid during the call. What it raises ends
        the reading.
    depth : callable
        ``depth(count)`` returns how many threads read so many parts at the most, the
        calling one included; asked again and again, since it may become less.
    cut : callable
        ``cut(start, stop)`` returns the parts in which a range is read, by several
        threads.
    stop : Stop, optional
        Its parts of the work end when this is set.

    Raises
    ------
    Exception
        The first one that a thread met; the others have ended by then.
    """
    inner = Stop(stop)
    parts = [cut(start, end) for start, end in ranges]
    pieces = _pieces(ranges, parts)
    count = sum(map(len, parts))
    taking = BriefLock()
    failures: list[BaseException] = []

    def work(place: int = 0) -> None:
        try:
            while not inner.is_set() and place < depth(count):
                with taking:
                    found = next(pieces, None)
                if found is None:
                    return
                whole, start, end = found
                read_into(whole.start + start, whole.view[start:end], inner)
                if whole.is_complete():
                    sink(whole.number, whole.view)
                    whole.keep_pages()
                del found, whole  # before memory for the next one is taken
        except BaseException as exc:
            failures.append(exc)
            inner.set()

    threads = [
        BackgroundThread(functools.partial(work, place), awaited=False)
        for place in range(1, min(depth(count), count))
    ]

    def work_together() -> None:
        started: list[BackgroundThread] = []
        for thread in threads:
            thread.start()
            started.append(thread)
        work()
        for thread in started:
            thread.join()

    try:
        # Whoever waits for the network must not keep others from using h5py.
        letting_go(work_together)
    except BaseException:  # an interrupt, or a thread that cannot be started
        inner.set()
        raise
    for failure in failures:
        if not isinstance(failure, StoppedError):
            raise failure
    if failures:
        raise failures[0]


def _pieces(
    ranges: Sequence[tuple[int, int]], parts: Sequence[Sequence[tuple[int, int]]]
) -> Iterator[tuple[_Range, int, int]]:
    for number, (start, stop) in enumerate(ranges):
        whole = _Range(number, start, stop, len(parts[number]))
        for low, high in parts[number]:
            yield whole, low - start, high - start
