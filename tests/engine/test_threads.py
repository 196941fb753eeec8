"""The pool: sharing, forks, exit; and many threads on one object."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from dcread.engine import open_dataset
from dcread.engine import thread_pool as pool
from dcread.errors import FormatError

DATA = np.random.default_rng(0).integers(0, 50, (640, 40, 50)).astype("u1")


@pytest.fixture
def path(tools, tmp_path):
    return tools.make_dataset(tmp_path / "a.rtdc", DATA, (16, 40, 50), (32015, 3))


def test_share_hands_out_each_piece_once(threads):
    seen, workers = [], set()

    def work(pieces):
        workers.add(threading.get_ident())
        for piece in pieces:
            seen.append(piece)
            time.sleep(0.001)

    pool.share(work, 200)
    assert sorted(seen) == list(range(200))
    assert threading.get_ident() in workers
    assert 1 < len(workers) <= 4


def test_share_within_share_runs_inline(threads):
    inner = []

    def nested(pieces):
        inner.extend((piece, threading.get_ident()) for piece in pieces)

    def work(pieces):
        for _ in pieces:
            before = len(inner)
            pool.share(nested, 5)
            assert len(inner) >= before + 5

    pool.share(work, 40)
    assert len(inner) == 200


def test_first_error_is_raised_and_stops_the_rest(threads):
    done = []

    def work(pieces):
        for piece in pieces:
            if piece == 3:
                raise FormatError("the third")
            done.append(piece)
            time.sleep(0.002)

    with pytest.raises(FormatError, match="the third"):
        pool.share(work, 500)
    assert len(done) < 50
    pool.share(done.extend, 4)  # and goes on working


def test_errors_in_blocks(path, opened, threads):
    def func(start, block):
        raise ZeroDivisionError(str(start))

    reader = open_dataset(opened(path), "x")
    with pytest.raises(ZeroDivisionError):
        reader.map_blocks(slice(0, 640), func)
    assert np.array_equal(reader.read(slice(0, 640)), DATA)


def test_map_blocks(path, opened, threads, monkeypatch):
    monkeypatch.setattr("dcread.engine.dataset_reader.BLOCK", 40000)
    reader = open_dataset(opened(path), "x")
    for rows in (slice(0, 640), slice(5, 633), slice(17, 18), slice(0, 0)):
        found = np.zeros_like(DATA)
        starts = []

        def func(start, block, starts=starts, found=found):
            starts.append(start)
            found[start : start + len(block)] += block
            nested = reader.read(slice(start, start + 1))
            assert np.array_equal(nested, DATA[start : start + 1])

        reader.map_blocks(rows, func)
        assert np.array_equal(found[rows], DATA[rows])
        assert not found[: rows.start].any()
        assert not found[rows.stop :].any()
        assert all(start % 16 == 0 for start in starts if start != rows.start)


def test_eight_threads_on_one_object(path, opened, threads, in_threads):
    reader = open_dataset(opened(path), "x")

    def read(seed):
        rng = np.random.default_rng(seed)
        end = time.monotonic() + 1.5
        count = 0
        while time.monotonic() < end:
            rows = rng.integers(0, 640, 30)
            assert np.array_equal(reader.read(rows), DATA[rows])
            start = int(rng.integers(0, 600))
            part = slice(start, start + int(rng.integers(1, 40)))
            assert np.array_equal(reader.read(part), DATA[part])
            count += 1
        return count

    assert min(in_threads(read, range(8))) > 0


PRELUDE = """
import os, sys, threading, time
import numpy as np
from dcread import engine
from dcread.engine import open_dataset
engine.set_num_threads(4)
handle = engine.open_file(sys.argv[1])
reader = engine.open_dataset(handle, "x")
full = reader.read(slice(0, 640))
def child(action):
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException as exc:
            print(repr(exc), flush=True)
            os._exit(1)
        os._exit(0)
    for _ in range(400):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(pid, 9)
    return "hangs"
def check():
    assert np.array_equal(reader.read(slice(0, 640)), full)
    rows = np.arange(640)[::-3]
    assert np.array_equal(reader.read(rows), full[rows])
    again = engine.open_file(handle.path)
    assert np.array_equal(open_dataset(again, "x").read(slice(0, 640)), full)
    again.close()
"""


@pytest.fixture
def run(path, run_python):
    """A function that runs code in a process of its own, which has `path` open."""
    options = ("-W", "ignore::DeprecationWarning")

    def run_code(code):
        return run_python(PRELUDE + code, path, options=options, timeout=60)

    return run_code


def test_fork_after_use(run):
    code = "print(child(check), child(lambda: child(check)))\nhandle.close()\n"
    result = run(code)
    assert result.stdout == "0 0\n", result


def test_fork_during_use(run):
    code = """
stop = False
def busy():
    while not stop:
        reader.read(slice(0, 640))
        other = engine.open_file(handle.path)
        open_dataset(other, "x").read(slice(0, 100))
        other.close()
workers = [threading.Thread(target=busy) for _ in range(4)]
for worker in workers:
    worker.start()
def close():
    check()
    handle.close()
print(*[child(close) for _ in range(15)])
stop = True
for worker in workers:
    worker.join()
check()
"""
    result = run(code)
    assert result.stdout == " ".join(["0"] * 15) + "\n", result


@pytest.mark.parametrize("turn", range(8))  # (what must not happen is a matter of luck)
def test_exit_under_load(run, turn):
    code = """
def busy():
    while True:
        reader.read(slice(0, 640))
for _ in range(3):
    threading.Thread(target=busy, daemon=True).start()
time.sleep(0.2)
print("ends")
"""
    result = run(code)
    assert (result.stdout, result.stderr) == ("ends\n", "")


def test_reading_while_the_interpreter_ends(run):
    code = """
import atexit
def last():
    assert np.array_equal(reader.read(slice(0, 640)), full)
    print("read at exit")
atexit.register(last)
"""
    result = run(code)
    assert (result.stdout, result.stderr) == ("read at exit\n", ""), result


def test_interrupt(run):
    code = """
import signal
hits = 0
signal.signal(signal.SIGALRM, signal.default_int_handler)
for delay in range(1, 40):
    # again after a while: Python drops an interrupt that hits a finalizer
    signal.setitimer(signal.ITIMER_REAL, delay / 2000, 0.3)
    try:
        while True:
            reader.read(slice(0, 640))
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        hits += 1
check()
handle.close()
print(hits, handle.closed)
"""
    result = run(code)
    assert result.stdout == "39 True\n", result
