"""Threads that take what there is to do from one list."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _Shared(Generic[T]):
    """An iterator that several threads take from."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._taking = threading.Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._taking:
            return next(self._items)


def seconds_of(
    work: Callable[[Iterator[T]], None], items: Iterable[T], threads: int
) -> float:
    """Return how long threads take that call `work` with what is left of `items`."""
    shared = _Shared(items)
    started = [
        threading.Thread(target=work, args=(iter(shared),)) for _ in range(threads)
    ]
    begin = time.perf_counter()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return time.perf_counter() - begin
