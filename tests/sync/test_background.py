"""Threads in the background: those that end, and those that serve again."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from dcread.sync.background import BackgroundThread


class Work:
    """Notes which thread did it."""

    ident = 0

    def __call__(self) -> None:
        self.ident = threading.get_ident()


def done(work: Callable[[], None], *, awaited: bool = False) -> None:
    thread = BackgroundThread(work, awaited=awaited)
    thread.start()
    thread.join()
    assert not thread.alive


def test_a_thread_serves_again() -> None:
    first, second = Work(), Work()
    done(first)
    done(second)
    assert first.ident == second.ident != threading.get_ident()


def test_what_a_thread_has_done_does_not_stay() -> None:
    """Neither the first work of a new thread nor a later one, while it is idle."""
    gate = threading.Event()
    busy = [
        BackgroundThread(lambda: gate.wait() and None, awaited=False) for _ in range(40)
    ]
    for thread in busy:
        thread.start()  # whatever was idle has something to do: the next one is new
    for _ in range(2):
        work = Work()
        kept = weakref.ref(work)
        done(work)
        del work
        until = time.monotonic() + 5
        while kept() is not None and time.monotonic() < until:
            time.sleep(0.001)
        assert kept() is None
    gate.set()
    for thread in busy:
        thread.join()


def test_what_fails_ends_its_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(
        "sys.unraisablehook", lambda found: told.append(found.exc_value)
    )

    def fail() -> None:
        raise ValueError("this one")

    done(fail)
    work = Work()
    done(work)
    assert work.ident
    until = time.monotonic() + 5
    while not told and time.monotonic() < until:
        time.sleep(0.001)
    assert [str(exc) for exc in told] == ["this one"]


def test_many_at_once() -> None:
    """More than are kept; none waits for another one to end."""
    barrier = threading.Barrier(50)
    for _ in range(3):
        threads = [
            BackgroundThread(lambda: barrier.wait(20) and None, awaited=False)
            for _ in range(50)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not barrier.broken


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own(
    in_forked_child: Callable[..., None],
) -> None:
    done(Work())  # there is an idle one now

    def check() -> bool:
        work = Work()
        done(work)
        return bool(work.ident)

    in_forked_child(check)
    gc.collect()


LATE = """
import atexit
from dcread.sync.background import BackgroundThread

def read():
    thread = BackgroundThread(lambda: None, awaited=False)
    thread.start()
    thread.join()

read()
atexit.register(read)
print("done", flush=True)
"""


def test_idle_threads_are_not_waited_for_at_exit(
    run_python: Callable[..., Any],
) -> None:
    """What is read at exit has threads all the same."""
    begin = time.monotonic()
    assert run_python(LATE, timeout=30).stdout == "done\n"
    assert time.monotonic() - begin < 20
