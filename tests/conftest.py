"""Fixtures that all tests share."""

from __future__ import annotations

import contextlib
import functools
import gc
import ipaddress
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from dcread.engine import ArrayReader, RowReader, Rows
from dcread.errors import FormatError

# How long an example takes says nothing on a busy machine.
settings.register_profile("dcread", deadline=None)
settings.load_profile("dcread")

DATA = pathlib.Path(__file__).parent.parent.parent / "shared" / "data"
if "DCREAD_TEST_DATA" in os.environ:
    DATA = pathlib.Path(os.environ["DCREAD_TEST_DATA"])
FILES = sorted(DATA.glob("*.rtdc"))


@pytest.fixture(autouse=True)
def _nothing_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a test would look up a name or connect to another machine."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def local_connect(sock: socket.socket, address: Any) -> None:
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            assert ipaddress.ip_address(address[0]).is_loopback, address
        connect(sock, address)

    def local_look_up(host: Any, *args: Any, **options: Any) -> Any:
        if host not in {None, "", "localhost"}:
            ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket.socket, "connect", local_connect)
    monkeypatch.setattr(socket, "getaddrinfo", local_look_up)


def _require_data() -> None:
    if FILES:
        return
    message = f"no real measurements in {DATA}; set DCREAD_TEST_DATA to their folder"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(params=[p.name for p in FILES] or ["(no data)"])
def real_file(request: pytest.FixtureRequest) -> pathlib.Path:
    """Each real measurement in turn; read-only, never to be changed."""
    _require_data()
    return DATA / request.param


@pytest.fixture
def data_dir() -> pathlib.Path:
    """The folder of real measurements."""
    _require_data()
    return DATA


def _open_files() -> set[pathlib.Path]:
    descriptors = pathlib.Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("no /proc here to look at")
    paths = set()
    for descriptor in descriptors.iterdir():
        with contextlib.suppress(OSError):
            paths.add(descriptor.readlink())
    return paths


@pytest.fixture
def open_files() -> Callable[[], set[pathlib.Path]]:
    """A function that returns the paths of all files that this process has open."""
    return _open_files


@pytest.fixture
def no_collector() -> Iterator[None]:
    """No cyclic garbage collection: only the last reference frees an object."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@contextlib.contextmanager
def _running(
    *calls: Callable[[], Any], until: type[Exception] | None = None
) -> Iterator[list[Future[Any]]]:
    futures: list[Future[Any]] = [Future() for _ in calls]

    def run(call: Callable[[], Any], future: Future[Any]) -> None:
        try:
            future.set_result(call())
        except BaseException as exc:
            future.set_exception(exc)

    pairs = zip(calls, futures, strict=True)
    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in pairs]
    for thread in threads:
        thread.start()
    try:
        yield futures
    finally:
        for thread in threads:
            thread.join(120)
    for future in futures:
        if until is None:
            future.result(0)
        else:
            assert type(future.exception(0)) is until, future


@pytest.fixture(scope="session")
def running() -> Callable[..., contextlib.AbstractContextManager[list[Future[Any]]]]:
    """A context in which each of some functions runs in a thread of its own.

    It gives their futures, and waits for them at its end, where it raises what one of
    them raises. With an error as `until`, all of them have to end with it.
    """
    return _running


@pytest.fixture(scope="session")
def in_threads() -> Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]:
    """A function that calls another with each of some items, all at the same time.

    It returns what the calls return, in the order of the items, and raises what one of
    them raises.
    """

    def call_all(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        items = list(items)
        start = threading.Barrier(len(items))

        def call(item: Any) -> Any:
            start.wait(60)
            return work(item)

        with _running(*(functools.partial(call, item) for item in items)) as futures:
            pass
        return [future.result() for future in futures]

    return call_all


@pytest.fixture(scope="session")
def wait_for() -> Callable[[Callable[[], object]], None]:
    """A function that waits until a condition holds, twenty seconds at the most."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, "what is waited for does not happen"
            time.sleep(0.002)

    return wait


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs code in a process of its own, which has to end well.

    Further arguments stand in ``sys.argv[1:]``; `options` are those of Python, and
    others those of `subprocess.run`. With ``check=False`` it may end as it likes.
    """

    def run(
        code: str,
        *args: object,
        options: tuple[str, ...] = (),
        check: bool = True,
        timeout: float = 120,
        **others: Any,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *options, "-c", code, *map(str, args)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **others,
        )
        assert not (check and done.returncode), done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def in_forked_child() -> Callable[[Callable[[], object]], None]:
    """A function that calls another in a fork, where it has to return what is true.

    A child that hangs is killed after a minute.
    """

    def fork(check: Callable[[], object]) -> None:
        child = os.fork()
        if child == 0:
            status = 9
            try:
                status = 0 if check() else 1
            except BaseException:
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(status)
        end = time.monotonic() + 60
        while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                pytest.fail("the forked child hangs")
            time.sleep(0.01)
        assert os.waitstatus_to_exitcode(done[1]) == 0

    return fork


BAD = [
    1.5,
    "a",
    b"x",
    [1.0],
    np.array([]),
    {1},
    2**70,
    object(),
    [[1, 2], [3]],
    slice(1.5, None),
    slice(None, None, 0),
    np.float64(1),
]


def _one(length: int) -> st.SearchStrategy[Any]:
    inside = st.integers(-length, max(length - 1, 0))
    near = st.integers(-length - 1, length)
    bound = st.none() | st.integers(-length - 2, length + 2)
    step = st.sampled_from([None, None, 1, 2, 3, -1, -2])
    several = st.lists(inside, max_size=5)
    return st.one_of(
        st.builds(slice, bound, bound, step),
        inside,
        near,
        several,
        st.lists(near, max_size=3),
        several.map(lambda items: np.array(items, dtype=np.int16)),
        several.map(lambda items: np.array(items, dtype=np.int64)[:, np.newaxis]),
        st.lists(st.booleans(), min_size=length, max_size=length).map(np.array),
        st.lists(st.booleans(), min_size=length, max_size=length),
        inside.map(np.array),
        st.sampled_from([None, Ellipsis, slice(None), True, False, np.True_]),
        st.sampled_from([range(2), (0, 1), [[]], np.uint64(0), np.uint8(200)]),
        st.sampled_from(BAD),
    )


@st.composite
def _expressions(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    count = draw(st.integers(1, len(shape)))
    items = tuple(draw(_one(shape[axis])) for axis in range(count))
    if count == 1 and draw(st.booleans()):
        return items[0]
    if len(shape) > 1 and draw(st.integers(0, 9)) == 0:
        seed = draw(st.integers(0, 99))
        axes = draw(st.integers(2, len(shape)))
        return np.random.default_rng(seed).random(shape[:axes]) < 0.5
    return items


@pytest.fixture(scope="session")
def expressions() -> Callable[[tuple[int, ...]], st.SearchStrategy[Any]]:
    """Index expressions for a shape, right and wrong ones."""
    return _expressions


def _outcome(array: Any, expr: Any) -> tuple[Any, Exception | None]:
    try:
        return array[expr], None
    except Exception as exc:
        return None, exc


def _judge(view: Any, array: np.ndarray, expr: Any) -> None:
    expected, wrong = _outcome(array, expr)
    found, found_wrong = _outcome(view, expr)
    assert type(found_wrong) is type(wrong), (expr, found_wrong)
    if wrong is not None:
        return
    assert type(found) is type(expected), expr
    assert found.dtype == expected.dtype, expr
    assert found.shape == expected.shape, expr
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="session")
def judge() -> Callable[[Any, np.ndarray, Any], None]:
    """Assert that a view answers like an array, or raises the same."""
    return _judge


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Forty images of 6 x 5 pixels, all different."""
    return np.random.default_rng(4).integers(0, 256, (40, 6, 5)).astype(np.uint8)


@pytest.fixture(scope="session")
def image_path(
    tmp_path_factory: pytest.TempPathFactory, images: np.ndarray
) -> pathlib.Path:
    """A file with the images in chunks of 8, a background and masks."""
    path = tmp_path_factory.mktemp("views") / "images.rtdc"
    background = np.roll(images, 1, axis=0)
    with h5py.File(path, "w") as h5:
        for name, data in (
            ("image", images),
            ("image_bg", background),
            ("mask", (images > 100) * np.uint8(255)),
            ("wide", images.astype(np.uint16) * 257),
        ):
            h5.create_dataset(
                f"events/{name}",
                data=data,
                chunks=(8, 6, 5),
                fletcher32=True,
                **hdf5plugin.Zstd(clevel=3),
            )
        h5["events/plain"] = images
        h5["events/deform"] = np.linspace(0, 1, 40)
        h5.create_dataset("events/none", (0, 6, 5), "u1", maxshape=(None, 6, 5))
        h5["events/single"] = 3
        h5["events/image"].attrs["CLASS"] = "IMAGE"
    return path


@pytest.fixture
def h5(image_path: pathlib.Path) -> Iterator[h5py.File]:
    """The file with the images, open."""
    with h5py.File(image_path, "r") as h5:
        yield h5


_BLOCK = 8


class Slow(RowReader):
    """A reader that keeps book of what is read and held; it may fail or be slow.

    Attributes
    ----------
    asked : list of ndarray
        The rows of each call.
    held, most_held : int
        Bytes of the arrays that were handed out and are still referred to.
    reading, most : int
        Rows that are being read.
    """

    def __init__(self, array, delay=0.0, block_rows=_BLOCK):
        self.inner = ArrayReader(array)
        self.shape, self.dtype = self.inner.shape, self.inner.dtype
        self.name, self.filename, self.block_rows = "image", "a file", block_rows
        self.delay = delay
        self.asked = []
        self.threads = set()
        self.bad = None
        self.reading = self.most = self.held = self.most_held = 0
        self._lock = threading.RLock()

    def new_array(self, rows, window=None):
        out = np.empty(Rows.of(rows).shape(self.shape, window), self.dtype)
        self._note(out.nbytes)
        weakref.finalize(out, self._note, -out.nbytes)
        return out

    def read_into(self, rows, out, window):
        numbers = rows.numbers
        with self._lock:
            self.asked.append(numbers)
            self.threads.add(threading.get_ident())
            self.reading += len(numbers)
            self.most = max(self.most, self.reading)
        time.sleep(self.delay)
        try:
            if self.bad is not None and self.bad in numbers:
                raise FormatError(f"row {self.bad} is damaged")
            self.inner.read_into(rows, out, window)
        finally:
            with self._lock:
                self.reading -= len(numbers)

    def _note(self, nbytes):
        with self._lock:
            self.held += nbytes
            self.most_held = max(self.held, self.most_held)

    def map_blocks(self, rows, func, window=None):
        func(rows.start, self.read(rows, window=window))

    def settle(self):
        """Wait until nothing is being read for a while."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < 0.04 + 2 * self.delay:
            if self.reading or len(self.asked) != before:
                before, since = len(self.asked), time.monotonic()
            time.sleep(0.005)

    @property
    def rows_read(self):
        return sum(map(len, self.asked))

    @property
    def ahead(self):
        """Whether another thread than this one has read."""
        return bool(self.threads - {threading.get_ident()})


@pytest.fixture(scope="session")
def slow() -> type[Slow]:
    """A class of readers (test folders are not packages)."""
    return Slow
