"""Many threads, forks and forgotten objects."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import pathlib
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dcread.basins import BasinSet
from dcread.errors import ClosedError

Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., dict[str, Any]]

COUNT = 8
RAMP = np.arange(5) * 1.5


@pytest.fixture
def many(write_file: Write, file_basin: Make) -> pathlib.Path:
    """A file with basins in several files, some nested, some missing."""
    basins = []
    for number in range(COUNT):
        far = write_file(f"far{number}.rtdc", {f"userdef{number}": RAMP + number})
        near = write_file(f"near{number}.rtdc", {}, [file_basin(far)])
        basins.append(file_basin("gone.rtdc", near, name=f"n{number}"))
    return write_file("ref.rtdc", basins=basins)


def test_threads_get_the_same_answers_and_open_each_file_once(
    many: pathlib.Path, open_basins: Open
) -> None:
    opened = open_basins(many)
    start = threading.Barrier(8)

    def work(seed: int) -> list[float]:
        start.wait()
        found = []
        for number in np.random.default_rng(seed).permutation(COUNT):
            values = opened.values(f"userdef{number}")
            assert values.tolist() == (RAMP + number).tolist()
            assert len(opened.basins.features()) == COUNT
            assert opened.basins.find("image") is None
            found.append(float(values[0]))
        assert all(record.available for record in opened.basins.status())
        return sorted(found)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[float(number) for number in range(COUNT)]] * 8
    groups = {id(opened.basins.get_data(index)[0]) for index in range(COUNT)}
    assert len(groups) == COUNT
    assert len(opened.basins._session._files) == 2 * COUNT + 1


def test_close_while_threads_ask_gives_closed_errors_only(
    many: pathlib.Path, open_basins: Open
) -> None:
    opened = open_basins(many)
    stop = time.monotonic() + 20

    def work(number: int) -> str:
        while time.monotonic() < stop:
            try:
                values = opened.values(f"userdef{number % COUNT}")
                assert values.tolist() == (RAMP + number % COUNT).tolist()
            except ClosedError:
                return "closed"
        return "never closed"

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, number) for number in range(4)]
        time.sleep(0.2)
        opened.basins.close()
        assert [future.result() for future in futures] == ["closed"] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork_while_a_thread_opens_basins_does_not_hang(
    many: pathlib.Path, open_basins: Open
) -> None:
    opened = open_basins(many)
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            fresh = BasinSet(opened.referrer, [{"type": "file", "paths": ["x"]}])
            fresh.find("image")
            opened.basins.features()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    found = opened.basins.features()
                    code = 0 if len(found) == COUNT else 2
                finally:
                    os._exit(code)
            deadline = time.monotonic() + 30
            while True:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() > deadline:
                    os.kill(child, 9)
                    os.waitpid(child, 0)
                    pytest.fail("the forked child hangs")
                time.sleep(0.01)
            assert os.waitstatus_to_exitcode(status) == 0
    finally:
        done.set()
        thread.join()


def test_forgotten_set_closes_its_files(many: pathlib.Path, open_basins: Open) -> None:
    template = open_basins(many)
    definitions = [item.definition for item in template.basins._sources]
    basins = BasinSet(template.referrer, definitions)
    assert len(basins.features()) == COUNT
    group = basins.get_data(0)[0]
    handle = weakref.ref(next(iter(basins._session._files.values())))
    assert handle() is template.referrer.handle
    others = [
        weakref.ref(item)
        for item in basins._session._files.values()
        if item is not template.referrer.handle
    ]
    assert len(others) == 2 * COUNT
    assert group.id.valid
    del group, basins
    gc.collect()
    assert [ref for ref in others if ref() is not None] == []
    assert not template.referrer.handle.closed


def test_cycles_of_opening_and_closing_leak_no_descriptors(
    many: pathlib.Path, open_basins: Open
) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    before = descriptors()
    for _ in range(30):
        opened = open_basins(many)
        assert len(opened.basins.features()) == COUNT
        opened.basins.close()
        opened.referrer.handle.close()
    gc.collect()
    assert descriptors() <= before + 2
