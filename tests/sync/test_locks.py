"""Threads that hold h5py's lock without knowing it, and threads that wait."""

from __future__ import annotations

import importlib
import os
import pathlib
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from dcread import HDF5Data
from dcread.engine import h5_lock
from dcread.sync.locks import letting_go, times_held

# h5py holds its lock between two items of `items()`; one thread reads there by dcread,
# another opens and reads, too, and needs h5py's lock while it holds locks of dcread.
ITEMS = """
import faulthandler, sys, threading
faulthandler.dump_traceback_later(60, exit=True)
import h5py, dcread

path, other = sys.argv[1:]
shared = dcread.HDF5Data(path, image_chunk_size=8)
stop = threading.Event()

def busy(row):
    while not stop.is_set():
        with dcread.HDF5Data(other) as data:
            data["deform"], data.image[row]
        shared.image[row], shared.image.get_chunk(row % shared.image.num_chunks)

threads = [threading.Thread(target=busy, args=(row,)) for row in (0, 33)]
for thread in threads:
    thread.start()
for turn in range(20):
    with h5py.File(other, locking=False) as h5:
        for name, item in h5["events"].items():
            with dcread.HDF5Data(path, image_chunk_size=8) as data:
                data["deform"], data.image[3], data.image[:]
            shared.image[turn], shared.image.get_chunk(turn % shared.image.num_chunks)
stop.set()
for thread in threads:
    thread.join()
shared.close()
print("done")
"""


@pytest.fixture
def files(tmp_path: pathlib.Path) -> list[pathlib.Path]:
    images = np.random.default_rng(4).integers(0, 9, (64, 80, 120), np.uint8)
    paths = [tmp_path / name for name in ("one.rtdc", "other.rtdc")]
    for path in paths:
        with h5py.File(path, "w") as h5:
            events = h5.create_group("events")
            events["deform"] = np.arange(64.0)
            events["area_um"] = np.arange(64.0)
            events.create_dataset(
                "image", data=images, chunks=(4, 80, 120), **hdf5plugin.Zstd(3)
            )
    return paths


def test_reading_while_h5py_iterates(
    files: list[pathlib.Path], run_python: Callable[..., Any]
) -> None:
    assert run_python(ITEMS, *files).stdout == "done\n"


def _others_may_take(lock: Any) -> bool:
    """Tell whether another thread may take a lock, which gives it back at once."""

    def take() -> bool:
        taken = bool(lock.acquire(blocking=False))
        if taken:
            lock.release()
        return taken

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(take).result()


def test_letting_go_gives_back_what_was_held() -> None:
    with h5_lock, h5_lock:
        assert letting_go(_others_may_take, h5_lock)
        h5_lock.release()  # both times were given back, so one is left
        assert not _others_may_take(h5_lock)
        h5_lock.acquire()
    assert _others_may_take(h5_lock)
    assert letting_go(_others_may_take, h5_lock)
    assert _others_may_take(h5_lock)


def test_letting_go_survives_errors() -> None:
    with h5_lock:
        with pytest.raises(KeyError):
            letting_go({}.__getitem__, "x")
        assert not _others_may_take(h5_lock)
    assert _others_may_take(h5_lock)


def _interrupted(*_: Any, **__: Any) -> None:
    """Do as h5py, interrupted between the taking of its lock and what follows."""
    h5_lock.acquire()
    raise KeyboardInterrupt


def test_the_lock_that_h5py_leaves_taken_is_given_back(
    files: list[pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = HDF5Data(files[0])
    with monkeypatch.context() as patch:
        patch.setattr(h5py.File, "close", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.close()
        assert _others_may_take(h5_lock)
    with monkeypatch.context() as patch:
        patch.setattr(h5py.File, "__init__", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            HDF5Data(files[1])
        assert _others_may_take(h5_lock)
        with h5_lock, h5_lock:  # who holds it already goes on holding it
            with pytest.raises(KeyboardInterrupt):
                HDF5Data(files[1])
            assert times_held() == 2
            assert not _others_may_take(h5_lock)
    assert times_held() == 0
    assert _others_may_take(h5_lock)


def test_an_interrupt_within_a_file_object_comes_out_as_it_is(
    files: list[pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: Any, **__: Any) -> None:
        error = SystemError("seek returned a result with an exception set")
        error.__cause__ = SystemError("so did this")
        error.__cause__.__cause__ = KeyboardInterrupt()
        raise error

    monkeypatch.setattr(h5py.File, "__init__", opened)
    with files[0].open("rb") as file, pytest.raises(KeyboardInterrupt):
        HDF5Data(file)


# Interrupts while the lock is let go of, and before and after.
LET_GO = """
import signal, sys
from dcread.sync.locks import h5_lock, letting_go

signal.signal(signal.SIGALRM, signal.default_int_handler)
hits = 0
for turn in range(300):
    h5_lock.acquire(), h5_lock.acquire()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005 + turn * 1e-6)
        while True:
            letting_go(int)
    except KeyboardInterrupt as exc:
        hits += 1
        kept = exc  # with it all that its traceback keeps alive
    h5_lock.release(), h5_lock.release()
    try:
        h5_lock.release()
    except RuntimeError:
        continue
    sys.exit("held once more than it was taken")
print(hits)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_no_interrupt_keeps_h5py_lock_let_go_of(run_python: Callable[..., Any]) -> None:
    result = run_python(LET_GO, timeout=100)
    assert (result.stdout, result.stderr) == ("300\n", "")


LOCKS = ["sync.locks.BriefLock", "sync.locks.PatientLock"]
ALL = [*LOCKS, "basins.turns.Turns"]
INTERRUPTED = [*ALL, "sync.locks.h5_lock"]

HELD = """
def held():
    return lock.in_turn(None) if kind == "Turns" else lock
"""


@pytest.mark.parametrize("name", LOCKS)
def test_locks_can_be_taken_again(name: str) -> None:
    module, _, kind = name.rpartition(".")
    lock = getattr(importlib.import_module(f"dcread.{module}"), kind)()

    with lock, lock:
        assert not _others_may_take(lock._lock)
    with pytest.raises(KeyError), lock, lock:
        raise KeyError
    assert _others_may_take(lock._lock)


# Interrupts that hit a tight loop over a lock come at its every instruction.
INTERRUPTS = f"""
import importlib, signal, sys, threading, time

module, _, kind = sys.argv[1].rpartition(".")
lock = getattr(importlib.import_module(f"dcread.{{module}}"), kind)
lock = lock() if isinstance(lock, type) else lock
inner = getattr(lock, "_lock", lock)
{HELD}
signal.signal(signal.SIGALRM, signal.default_int_handler)
hits = left = 0
for turn in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005 + turn * 1e-6)
        while True:
            with held():
                pass
    except KeyboardInterrupt:
        hits += 1
    found = [False]
    def take():
        end = time.monotonic() + 5
        while not found[0] and time.monotonic() < end:
            found[0] = inner.acquire(False)
        if found[0]:
            inner.release()
    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    left += not found[0]
    if left:
        break
print(hits, left)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("name", INTERRUPTED)
def test_no_interrupt_leaves_a_lock_taken(
    name: str, run_python: Callable[..., Any]
) -> None:
    result = run_python(INTERRUPTS, name, timeout=100)
    assert (result.stdout, result.stderr) == ("300 0\n", "")


FORKED = f"""
import importlib, os, sys, threading

module, _, kind = sys.argv[1].rpartition(".")
lock = getattr(importlib.import_module(f"dcread.{{module}}"), kind)()
taken, done = threading.Event(), threading.Event()

{HELD}
def hold():
    with held():
        taken.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
taken.wait()
child = os.fork()
if child == 0:
    with held():
        os._exit(0)
done.set()
thread.join()
with held():
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("name", ALL)
def test_a_forked_child_finds_locks_free(
    name: str, run_python: Callable[..., Any]
) -> None:
    result = run_python(
        FORKED,
        name,
        options=(
            "-W",
            "ignore",
        ),
        timeout=30,
    )
    assert (result.stdout, result.stderr) == ("0\n", "")


WITHOUT_PHIL = """
import sys, h5py
del h5py.h5.phil
import dcread
with dcread.HDF5Data(sys.argv[1]) as data:
    print(data["deform"][5], data.image[5].shape)
"""


def test_a_library_without_its_lock_is_read(
    files: list[pathlib.Path], run_python: Callable[..., Any]
) -> None:
    run = run_python(WITHOUT_PHIL, files[0])
    assert (run.stdout, run.stderr) == ("5.0 (80, 120)\n", "")
