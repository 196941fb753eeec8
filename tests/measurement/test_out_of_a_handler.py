"""What the handler of a signal raises is no damage of the file, whenever it comes."""

from __future__ import annotations

import ctypes
import io
import json
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import h5py
import numpy as np
import pytest

import dcread

MASKS = (np.arange(6 * 4 * 5) % 3 == 0).reshape(6, 4, 5)
AREAS = np.arange(6.0)

pytestmark = [
    pytest.mark.skipif(
        not hasattr(signal, "SIGALRM"), reason="there is no such signal"
    ),
    # (what comes while an object is freed is told by Python, and lost)
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    definition = {"type": "file", "format": "hdf5", "paths": ["basin.rtdc"]}
    with h5py.File(tmp_path / "basin.rtdc", "w") as h5:
        h5["events/area_um"] = AREAS
        h5.attrs["setup:module composition"] = "text"
    with h5py.File(tmp_path / "own.rtdc", "w") as h5:
        h5["events/mask"] = MASKS.astype("u1") * 255
        h5["events/contour/0"] = np.ones((3, 2))
        h5["logs/one"] = ["a line"]
        h5["tables/one"] = np.zeros(3, [("time", "f8")])
        h5["basins/one"] = [json.dumps(definition)]
        h5.attrs["experiment:event count"] = 6
        h5.attrs["setup:module composition"] = "text"
    return tmp_path / "own.rtdc"


@pytest.fixture(params=[KeyboardInterrupt, TimeoutError, ValueError, RuntimeError])
def interrupted(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Call a function; at its call number N of dcread's, a signal comes."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise request.param("out of the handler")

    def call(func: Callable[[], Any], number: int) -> bool:
        left = number

        def count(frame: FrameType, event: str, _: object) -> None:
            nonlocal left
            if event == "call" and frame.f_globals["__name__"].startswith("dcread."):
                left -= 1
                if left == 0:
                    signal.raise_signal(signal.SIGALRM)

        raised = None
        sys.setprofile(count)
        try:
            func()
        except request.param as exc:
            raised = exc
        finally:
            sys.setprofile(None)
        assert raised is None or type(raised) is request.param, raised
        assert raised is None or "out of the handler" in str(raised)
        return raised is not None

    before = signal.signal(signal.SIGALRM, handle)
    yield call
    signal.signal(signal.SIGALRM, before)


def use(hd: dcread.HDF5Data) -> None:
    assert np.array_equal(hd["mask"][:], MASKS)
    assert hd["area_um"].tolist() == AREAS.tolist()
    assert hd["contour"][0].tolist() == [[1, 1]] * 3
    assert hd.keys() == ["area_um", "contour", "mask"]
    assert hd.meta["setup:module composition"] == "text"
    assert list(hd.logs) == list(hd.tables) == ["one"]
    assert not hd.problems


def test_it_passes_and_all_can_be_read_afterwards(
    path: pathlib.Path, interrupted: Callable[..., Any]
) -> None:
    with dcread.HDF5Data(path) as hd:  # what is imported late is imported
        use(hd)
    came = []
    for number in range(1, 300, 7):
        with dcread.HDF5Data(path) as hd:
            came.append(interrupted(lambda: use(hd), number))
            use(hd)
    # (few come while an object is freed: Python tells of those, and goes on)
    assert sum(came) > 0.9 * len(came)


class ThrownError(BaseException):
    """What one thread throws into another, as libraries for time limits do."""


def test_what_is_thrown_into_a_thread_passes(path: pathlib.Path) -> None:
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    me = ctypes.c_ulong(threading.get_ident())
    came = 0
    for number in range(1, 600, 7):
        left = number

        def count(frame: FrameType, event: str, _: object) -> None:
            nonlocal left
            if event == "call" and frame.f_globals["__name__"].startswith("dcread."):
                left -= 1
                if left == 0:
                    sys.setprofile(None)
                    throw(me, ctypes.py_object(ThrownError))

        with dcread.HDF5Data(path) as hd:
            sys.setprofile(count)
            try:
                hd["area_um"]
                hd.keys()
            except ThrownError:
                came += 1
            finally:
                sys.setprofile(None)
            use(hd)
    assert came > 40


def test_it_passes_while_a_file_is_opened(
    path: pathlib.Path, interrupted: Callable[..., Any]
) -> None:
    came = [
        interrupted(lambda: dcread.HDF5Data(path).close(), number)
        for number in range(1, 100, 3)
    ]
    with dcread.HDF5Data(path) as hd:
        use(hd)
    assert sum(came) > 0.9 * len(came)


@pytest.mark.parametrize("changed", [False, True])
def test_it_passes_while_a_file_is_read_anew(
    path: pathlib.Path, interrupted: Callable[..., Any], changed: bool
) -> None:
    came = []
    for number in range(1, 150, 5):
        with dcread.HDF5Data(path) as hd:
            use(hd)
            if changed:
                os.utime(path, ns=(number, number))
            came.append(interrupted(hd.refresh, number))
            if changed:  # (it may have come before that was noticed)
                hd.refresh()
            use(hd)
    assert sum(came) > 0.5 * len(came)


class Late(io.BytesIO):
    """A file object that a signal interrupts in one of its calls."""

    left = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._count()
        return super().read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._count()
        return super().seek(offset, whence)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGALRM)


@pytest.fixture
def stream(path: pathlib.Path) -> Late:
    with h5py.File(path, "a") as h5:
        del h5["basins"]
        h5["events/area_um"] = AREAS
    return Late(path.read_bytes())


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError, RuntimeError])
def test_it_passes_through_a_file_object(
    stream: Late, error: type[BaseException]
) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        raise error("out of the handler")

    came = 0
    before = signal.signal(signal.SIGALRM, handle)
    try:
        for number in range(1, 200, 3):
            with dcread.HDF5Data(stream) as hd:
                stream.left = number
                raised = None
                try:
                    use(hd)
                except error as exc:
                    raised = exc
                stream.left = 0
                if raised is not None:
                    assert (type(raised), *raised.args) == (error, "out of the handler")
                    came += 1
                use(hd)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert came > 10
