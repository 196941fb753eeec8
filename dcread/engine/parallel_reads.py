"""Many reads on their way at once; each range is handed on as soon as it is here."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from ..sync.locks import letting_go
from .stop import Stop, StoppedError

Sink: TypeAlias = Callable[[int, memoryview], None]
"""``sink(number, data)`` gets a range of bytes that has arrived."""

Cut: TypeAlias = Callable[[int, int], list[tuple[int, int]]]


MAPPED = 2**18
"""Bytes from which on a range gets pages of its own."""

_PRIVATE = {"flags": mmap.MAP_PRIVATE} if hasattr(mmap, "MAP_PRIVATE") else {}


def _memory(size: int) -> bytearray | mmap.mmap:
    """Return memory that the system has back as soon as its last view is gone.

    Of what threads free into the heap of the C library, some MB would stay there.
    """
    return bytearray(size) if size < MAPPED else mmap.mmap(-1, size, **_PRIVATE)


class _Range:
    """A range that arrives in pieces."""

    def __init__(self, number: int, start: int, stop: int, pieces: int) -> None:
        self.number = number
        self.start = start
        self.data = _memory(stop - start)
        self.pieces = pieces
        self.lock = threading.Lock()

    def is_complete(self) -> bool:
        """Count a piece; tell whether it was the last one."""
        with self.lock:
            self.pieces -= 1
            return not self.pieces


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
        Gets each range when it is complete. What it raises ends the reading.
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
    taking = threading.Lock()
    failures: list[BaseException] = []

    def work(place: int = 0) -> None:
        try:
            while not inner.is_set() and place < depth(count):
                with taking:
                    found = next(pieces, None)
                if found is None:
                    return
                whole, start, end = found
                view = memoryview(whole.data)
                read_into(whole.start + start, view[start:end], inner)
                if whole.is_complete():
                    sink(whole.number, view)
                del found, whole, view  # before memory for the next one is taken
        except BaseException as exc:
            failures.append(exc)
            inner.set()

    threads = [
        threading.Thread(target=work, args=(place,), daemon=True, name="dcread-reader")
        for place in range(1, min(depth(count), count))
    ]
    started: list[threading.Thread] = []
    try:
        # Whoever waits for the network must not keep others from using h5py.
        with letting_go():
            for thread in threads:
                thread.start()
                started.append(thread)
            work()
            for thread in started:
                thread.join()
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
