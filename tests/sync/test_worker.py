"""Work that another thread does, so that no signal handler cuts it short."""

from __future__ import annotations

import os
import pathlib
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dcread import HDF5Data, concatenated_hdf5_data
from dcread.sync.locks import h5_lock
from dcread.sync.worker import call_in_worker, raise_if_given_up

NAME = "fl-no-contour_2019.rtdc"


def test_the_result_comes_back_and_reports_come_to_the_caller() -> None:
    told = []

    def work(tell: Callable[[float], object]) -> int:
        tell(0.5)
        tell(1.0)
        return threading.get_ident()

    def report(done: float) -> None:
        told.append((done, threading.get_ident()))

    me = threading.get_ident()
    with h5_lock:  # given back to the worker meanwhile
        assert call_in_worker(work, report) != me
    assert told == [(0.5, me), (1.0, me)]


def test_what_the_work_raises_is_raised() -> None:
    def work(_: object) -> None:
        raise FileExistsError("there is one")

    with pytest.raises(FileExistsError, match="there is one"):
        call_in_worker(work, print)


def test_a_report_that_raises_ends_the_work() -> None:
    ended = []

    def work(tell: Callable[[float], object]) -> None:
        try:
            while True:
                tell(0.0)
        finally:
            ended.append(True)

    def report(_: float) -> None:
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        call_in_worker(work, report)
    assert ended == [True]


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize("waits_on", [False, True])
def test_the_caller_goes_on_when_the_work_has_ended(waits_on: bool) -> None:
    ended = []

    def work(_: object) -> None:
        if waits_on:  # as it does if the signal comes just before the wait
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        else:
            os.kill(os.getpid(), signal.SIGINT)
        try:
            while True:
                time.sleep(0.001)
                raise_if_given_up()
        finally:
            time.sleep(0.05)
            ended.append(True)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            call_in_worker(work, print)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [True]
    raise_if_given_up()  # nobody has given up on this thread


def test_other_threads_work_themselves(in_threads: Callable[..., Any]) -> None:
    def ask(_: int) -> bool:
        return call_in_worker(lambda _: threading.get_ident(), print) == (
            threading.get_ident()
        )

    assert all(in_threads(ask, range(3)))


# Joining is interrupted again and again; another file can be opened after each time,
# which HDF5 does not survive if one that it writes was left half closed.
JOINED = """
import faulthandler, os, pathlib, random, signal, sys
import dcread

faulthandler.dump_traceback_later(100, exit=True)
signal.signal(signal.SIGALRM, signal.default_int_handler)
source, target = map(pathlib.Path, sys.argv[1:])
rng = random.Random(3)
interrupted = 0
for turn in range(80):
    out = (None, target)[turn % 2]
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.002, 0.06))
        dcread.concatenated_hdf5_data([source] * 4, out, overwrite=True).close()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    with dcread.HDF5Data(source) as hd:
        assert hd["deform"][3] == hd.h5["events/deform"][3]
    assert {one.name for one in target.parent.iterdir()} <= {target.name, source.name}
print("interrupted" if interrupted > 10 else interrupted)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_interrupted_writing_leaves_no_file_half_closed(
    data_dir: pathlib.Path, tmp_path: pathlib.Path, run_python: Callable[..., Any]
) -> None:
    folder = tmp_path / "joined"
    folder.mkdir()
    # (Python tells on stderr what came within a callback of its own.)
    assert run_python(JOINED, data_dir / NAME, folder / "out.rtdc").stdout == (
        "interrupted\n"
    )


def test_progress_comes_to_the_thread_that_joins(
    data_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    threads = []
    paths = [data_dir / NAME] * 2
    target = tmp_path / "joined.rtdc"

    def progress(_: float) -> None:
        threads.append(threading.get_ident())

    concatenated_hdf5_data(paths, target, progress=progress).close()
    assert set(threads) == {threading.get_ident()}

    def stop(done: float) -> None:
        if done > 0.6:
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        concatenated_hdf5_data(paths, target, overwrite=True, progress=stop)
    with HDF5Data(target) as joined:  # as it was
        assert len(joined) > 0
