"""Work that no exception out of a signal handler cuts short.

Python calls handlers of signals in the main thread, between any two instructions.
HDF5 cannot close a file that it writes if what it calls raises: the file stays open,
half taken apart, and the process dies later. So another thread does such work.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from .background import BackgroundThread
from .locks import letting_go

T = TypeVar("T")

Report = Callable[[float], object]


class _GivenUp(BaseException):
    """Ends the work, since nobody waits for its result any more."""


class _Local(threading.local):
    given_up: threading.Event | None = None
    """Whether the caller for whom this thread works was interrupted."""


_local = _Local()


def raise_if_given_up() -> None:
    """End the work of this thread if its caller was interrupted."""
    if _local.given_up is not None and _local.given_up.is_set():
        raise _GivenUp


def _unheard(_done: float) -> None:
    raise_if_given_up()


def call_in_worker(work: Callable[[Report], T], report: Report | None = None) -> T:
    """Return what a function returns, called in a thread of its own.

    If the caller is interrupted, the work ends at the next call of its argument, or of
    `raise_if_given_up`; then the caller goes on. Other threads than the main one, to
    which no signal comes, call the function themselves.

    Parameters
    ----------
    work : callable
        Given a function to call with what is done so far.
    report : callable, optional
        Called with the same by the caller, while the work waits. What it raises ends
        the work, too.
    """
    if threading.get_ident() != threading.main_thread().ident:
        return work(report or _unheard)
    messages: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    replies: queue.SimpleQueue[None] = queue.SimpleQueue()
    given_up = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def tell(done: float) -> None:
        messages.put(done)
        replies.get()
        raise_if_given_up()

    def run() -> None:
        _local.given_up = given_up
        try:
            results.append(work(_unheard if report is None else tell))
        except BaseException as exc:
            errors.append(exc)
        finally:
            messages.put(None)

    def hear() -> None:
        while True:
            try:
                done = messages.get(timeout=1)
            except queue.Empty:
                continue  # (for signals, which may not end a wait that they find)
            if done is None:
                return
            if report is not None:
                report(done)
            replies.put(None)

    thread = BackgroundThread(run)
    try:
        thread.start()
        letting_go(hear)
    except BaseException:
        given_up.set()
        replies.put(None)
        thread.join()
        raise
    if errors:
        raise errors.pop()
    return results[0]
