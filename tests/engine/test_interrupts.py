"""An interrupt ends a read soon, and nothing goes on behind the caller's back."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import zlib

import h5py
import numpy as np
import pytest

from dcread import engine
from dcread.engine import decode, filters, open_dataset
from dcread.engine.buffer_pool import Lease
from dcread.engine.local_source import LocalSource

GZIP = 1


class Stop(BaseException):
    """Raised out of a signal handler."""


@pytest.fixture(params=[KeyboardInterrupt, Stop, TimeoutError])
def kind(request):
    """What the handler of a signal raises."""
    raised = request.param

    def handle(number, frame):
        raise raised("from the handler")

    before = signal.signal(signal.SIGALRM, handle)
    yield raised
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def python_gzip():
    """Let Python decode gzip, as where libdeflate is missing."""
    from dcread_ext.decode import set_native, set_python

    assert filters.available(GZIP)
    set_native(GZIP, 0, 0, 0)
    set_python(GZIP, filters.inflate)
    yield set_python
    filters._ready.clear()
    assert filters.available(GZIP)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("threads", "python_gzip")
@pytest.mark.parametrize("delay", [0.001, 0.004, 0.01, 0.03])
def test_in_the_middle_of_a_read(tools, tmp_path, opened, kind, delay):
    data = np.random.default_rng(0).integers(0, 9, (4000, 40, 50)).astype("u1")
    path = tools.make_dataset(tmp_path / "x.h5", data, (20, 40, 50), (GZIP, 3))
    reader = open_dataset(opened(path), "x")
    out = np.empty_like(data)
    for _ in range(5):
        start = time.perf_counter()
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            reader.read(slice(0, 4000), out)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except kind:
            assert time.perf_counter() - start < 2
            out[:] = 255
            time.sleep(0.02)
            assert (out == 255).all(), "a thread wrote into it"
    assert np.array_equal(reader.read(slice(0, 4000)), data)


def test_a_codec_in_python_that_is_interrupted(tools, tmp_path, opened, python_gzip):
    data = np.arange(400, dtype="u2")
    path = tools.make_dataset(tmp_path / "x.h5", data, (400,), (GZIP,))
    reader = open_dataset(opened(path), "x")
    for raised in (KeyboardInterrupt, Stop, MemoryError):

        def interrupted(stored, size, raised=raised):
            raise raised("meanwhile")

        python_gzip(GZIP, interrupted)
        with pytest.raises(raised):
            reader.read(slice(0, 400))
    python_gzip(GZIP, lambda stored, size: zlib.decompress(stored))
    assert np.array_equal(reader.read(slice(0, 400)), data)


def test_decoders_are_freed_by_the_functions_that_made_them(
    tools, tmp_path, opened, request
):
    data = np.arange(400, dtype="u2")
    path = tools.make_dataset(tmp_path / "x.h5", data, (400,), (GZIP,))
    reader = open_dataset(opened(path), "x")
    assert np.array_equal(reader.read(slice(0, 400)), data)  # an idle decoder at least
    request.getfixturevalue("python_gzip")
    decode._idle.clear()  # as where more are idle than may be kept
    assert np.array_equal(reader.read(slice(0, 400)), data)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.usefixtures("threads")
def test_forks_beside_reading_threads(
    tools, tmp_path, opened, running, in_forked_child
):
    data = np.random.default_rng(0).integers(0, 9, (1000, 40, 50)).astype("u1")
    path = tools.make_dataset(tmp_path / "x.h5", data, (20, 40, 50), (GZIP, 3))
    reader = open_dataset(opened(path), "x")
    ended = threading.Event()

    def read():
        while not ended.is_set():
            reader.read(slice(0, 1000))

    def check():
        return np.array_equal(reader.read(slice(0, 1000)), data)

    with running(read):
        try:
            for _ in range(5):
                in_forked_child(check)
        finally:
            ended.set()
    assert engine.get_num_threads() == 4


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [LocalSource, Lease])
def test_what_was_never_made_is_freed_in_silence(kind: type) -> None:
    kind.__new__(kind)  # (as if an interrupt came before its first line)
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_opening_interrupted_anywhere_leaves_files_of_others_open(tools, tmp_path):
    path = tools.make_dataset(tmp_path / "x.h5", np.arange(4.0))
    calls = interrupted = 0
    last = None

    def trace(frame, event, _):
        nonlocal calls
        calls += event == "call"
        if calls == last:
            raise KeyboardInterrupt

    def opened():
        nonlocal calls
        calls = 0
        sys.settrace(trace)
        try:
            handle = engine.open_file(path)
        except KeyboardInterrupt:
            return False
        finally:
            sys.settrace(None)
        handle.close()
        return True

    with h5py.File(path) as other, h5py.File(tmp_path / "y.h5", "w") as writer:
        writer["x"] = 1
        assert opened()
        for last in range(1, calls):  # noqa: B007  (the trace looks at it)
            interrupted += not opened()  # (not where it is ignored: within a callback)
            assert other.id.valid
            assert writer.id.valid
        assert writer["x"][()] == 1
        assert np.array_equal(other["x"], np.arange(4.0))
    assert interrupted > 80
