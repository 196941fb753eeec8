"""Many threads, forks and forgotten objects."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dcread.basins import BasinSet
from dcread.basins.reports import data_of, features_of, status_of
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
            assert len(opened.features()) == COUNT
            assert opened.basins.find("image") is None
            found.append(float(values[0]))
        assert all(record.available for record in opened.all_status())
        return sorted(found)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[float(number) for number in range(COUNT)]] * 8
    groups = {id(opened.get_data(index)[0]) for index in range(COUNT)}
    assert len(groups) == COUNT


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
    many: pathlib.Path,
    open_basins: Open,
    running: Callable[..., Any],
    in_forked_child: Callable[..., None],
) -> None:
    opened = open_basins(many)
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            fresh = BasinSet(opened.referrer, [{"type": "file", "paths": ["x"]}])
            fresh.find("image")
            opened.features()

    with running(ask):
        try:
            for _ in range(5):
                in_forked_child(lambda: len(opened.features()) == COUNT)
        finally:
            done.set()


def open_here(folder: pathlib.Path) -> int:
    """Return how many files of a folder this process has open by our descriptors."""
    links = [
        os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")
    ]
    real = {os.path.realpath(link) for link in links if os.path.lexists(link)}
    return sum(os.path.dirname(path) == str(folder) for path in real)


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_forgotten_set_closes_its_files(
    many: pathlib.Path, open_basins: Open, without_collector: None
) -> None:
    template = open_basins(many)
    definitions = [item.definition for item in template.basins.entries]
    basins = BasinSet(template.referrer, definitions)
    assert len(features_of(basins)) == COUNT
    assert len(status_of(basins)) == COUNT
    assert data_of(basins, 0)[0].id.valid
    assert open_here(many.parent) == 2 * COUNT + 1
    del basins
    assert open_here(many.parent) == 1
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
        assert len(opened.features()) == COUNT
        opened.basins.close()
        opened.referrer.handle.close()
    gc.collect()
    assert descriptors() <= before + 2
