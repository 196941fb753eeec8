"""The one pool of decoding threads: its size, its work, forks and exit.

A caller hands out work by `share`: the same function runs in the caller and in as
many helpers as are free; the function draws pieces from a counter until none are
left. A helper that has not begun when the caller is through is cancelled, so that
callers never wait for each other's work, and a call from within a worker runs
inline, so that nothing can deadlock.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import pathlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator

from ..problems import ignoring
from ..sync.locks import letting_go

_lock = threading.Lock()  # never waited for
_local = threading.local()
_chosen: int | None = None
_default: int | None = None
_helpers = 0
_tickets: queue.SimpleQueue[_Ticket] = queue.SimpleQueue()

# Variables by which pipelines ask libraries for single-threaded work.
_SINGLE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def set_num_threads(number: int | None) -> None:
    """Set how many threads decode chunks, the calling one included.

    Parameters
    ----------
    number : int or None
        At least 1; None goes back to the default: ``DCREAD_NUM_THREADS``, else 1
        where ``OMP_NUM_THREADS=1`` (or its like for OpenBLAS or MKL) asks for
        single threads, else the cores that this process may use.

    Raises
    ------
    ValueError
        If `number` is below 1.

    Examples
    --------
    >>> dcread.set_num_threads(2)
    >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
    >>> hd.image[:100].shape
    (100, 80, 320)
    >>> dcread.set_num_threads(None)
    """
    global _chosen, _default  # noqa: PLW0603
    if number is not None and number < 1:
        raise ValueError(f"the number of threads must be at least 1, got {number}")
    _chosen = None if number is None else int(number)
    _default = None


def get_num_threads() -> int:
    """Return how many threads decode chunks, the calling one included."""
    global _default  # noqa: PLW0603
    chosen, default = _chosen, _default  # another thread may set them meanwhile
    if chosen is not None:
        return chosen
    if default is None:
        default = _default = _default_threads()
    return default


def _default_threads() -> int:
    wanted = os.environ.get("DCREAD_NUM_THREADS", "").strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    if any(os.environ.get(name, "").strip() == "1" for name in _SINGLE):
        return 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, cores if quota is None else min(cores, round(quota)))


def cgroup_quota(
    root: pathlib.Path = pathlib.Path("/sys/fs/cgroup"),
    own: pathlib.Path = pathlib.Path("/proc/self/cgroup"),
) -> float | None:
    """Return the cores that the control groups allow (None: no limit known).

    The group of the process counts, and each above it.
    """
    groups = {pathlib.PurePosixPath("/")}
    with ignoring(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers == "" or "cpu" in controllers.split(","):
                group = pathlib.PurePosixPath(name)
                groups |= {group, *group.parents}
    found = [
        _quota(folder, names)
        for group in groups
        for folder, names in (
            (root / str(group).lstrip("/"), ("cpu.max",)),
            (root / "cpu" / str(group).lstrip("/"), _OLD_NAMES),
        )
    ]
    return min((quota for quota in found if quota is not None), default=None)


_OLD_NAMES = ("cpu.cfs_quota_us", "cpu.cfs_period_us")


def _quota(folder: pathlib.Path, names: tuple[str, ...]) -> float | None:
    """Return the quota that the files of one control group tell."""
    with ignoring(OSError, ValueError, ZeroDivisionError):
        quota, period = " ".join((folder / name).read_text() for name in names).split()
        if quota != "max" and int(quota) > 0:
            return int(quota) / int(period)
    return None


class Pieces:
    """Numbers ``0 .. count - 1``, each handed out once, until `stop`.

    Parameters
    ----------
    count : int
        How many there are.
    on_stop : callable, optional
        Called by `stop`, before anybody waits: ends what goes on within a piece.
    """

    def __init__(self, count: int, on_stop: Callable[[], None] | None = None) -> None:
        self._left = deque(range(count))  # its methods are atomic
        self.on_stop = on_stop

    def __iter__(self) -> Iterator[int]:
        while True:
            try:
                piece = self._left.popleft()
            except IndexError:
                return
            yield piece

    def stop(self) -> None:
        """Hand out nothing more."""
        self._left.clear()
        on_stop = self.on_stop
        if on_stop is not None:
            on_stop()


class _Ticket:
    """Work for one helper: claimed by a helper, or by the caller to cancel it.

    The caller may be interrupted between any two steps, so that each of its steps
    is atomic and can be repeated. (Within a ``Condition`` or ``Future``, an interrupt
    can leave a lock taken for ever.)
    """

    def __init__(self, work: Callable[[Pieces], None], pieces: Pieces) -> None:
        self.work: Callable[[Pieces], None] | None = work
        self.pieces = pieces
        self.owner: dict[str, str] = {}
        self.finished = False
        self.error: BaseException | None = None
        self._rest = threading.Lock()
        self._rest.acquire()

    def run(self) -> None:
        """Do the work, unless it was cancelled (in a helper)."""
        if self.owner.setdefault("owner", "helper") != "helper":
            return
        try:
            _guarded(self.work, self.pieces)
        except BaseException as exc:  # raised again in the caller
            self.error = exc
        finally:
            self.work = None
            self.finished = True
            self._rest.release()

    def settle(self) -> None:
        """Cancel the work, or wait until the helper is at rest."""
        if self.owner.setdefault("owner", "caller") == "caller":
            self.work = None  # what still queues keeps no array of the caller alive
            self.finished = True
        letting_go(self._wait)

    def _wait(self) -> None:
        while not self.finished:
            self._rest.acquire(timeout=1)


def share(
    work: Callable[[Pieces], None],
    count: int,
    on_stop: Callable[[], None] | None = None,
) -> None:
    """Run `work` in the caller and in idle helpers until `count` pieces are done.

    Parameters
    ----------
    work : callable
        Takes `Pieces`, iterates over them and does each. An exception stops the
        handing out; the first one is raised here once all helpers are at rest.
    count : int
        How many pieces there are.
    on_stop : callable, optional
        Called when the work ends early: what takes long within a piece looks at what
        it sets.
    """
    pieces = Pieces(count, on_stop)
    helpers = min(get_num_threads(), count) - 1
    if helpers < 1 or getattr(_local, "working", False):
        work(pieces)
        return
    tickets = [_Ticket(work, pieces) for _ in range(helpers)]
    try:
        _start_helpers()
        for ticket in tickets:
            _tickets.put(ticket)
        _guarded(work, pieces)
    finally:
        # An interrupt may come between any two calls: nobody writes to the caller's
        # output once it has its exception.
        try:
            _settle(tickets, pieces)
        except BaseException:
            _settle(tickets, pieces)
            raise
    for ticket in tickets:
        if ticket.error is not None:
            raise ticket.error


def _guarded(work: Callable[[Pieces], None] | None, pieces: Pieces) -> None:
    _local.working = True
    try:
        if work is not None:
            work(pieces)
    except BaseException:
        pieces.stop()
        raise
    finally:
        _local.working = False


def _settle(tickets: list[_Ticket], pieces: Pieces) -> None:
    """Wait until nobody writes to the caller's output, interrupts included."""
    interrupt: BaseException | None = None
    pieces.stop()
    for ticket in tickets:
        while not ticket.finished:
            try:
                ticket.settle()
            except BaseException as exc:
                pieces.stop()
                interrupt = exc
    pieces.on_stop = None  # what still queues keeps nothing of the caller alive
    if interrupt is not None:
        raise interrupt


def _start_helpers() -> None:
    """Start the helpers that are not there yet; they end with the interpreter."""
    lock = _lock
    taken: list[bool] = []
    try:
        # If another thread is at it: it may need h5py's lock, and we may hold that.
        taken.extend(map(lock.acquire, (False,)))  # noted at once: see `locks`
        if any(taken):
            _start_missing()
    finally:
        if any(taken):
            lock.release()


def _start_missing() -> None:
    global _helpers  # noqa: PLW0603
    with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
        while _helpers < get_num_threads() - 1:
            _thread.start_new_thread(_help, (_tickets,))
            _helpers += 1


def _help(tickets: queue.SimpleQueue[_Ticket]) -> None:
    """Work for ever, or until there are more helpers than wanted."""
    global _helpers  # noqa: PLW0603
    while True:
        ticket = tickets.get()
        surplus = False
        if _lock.acquire(blocking=False):
            surplus = _helpers > get_num_threads() - 1
            _helpers -= surplus
            _lock.release()
        if surplus:
            tickets.put(ticket)
            return
        ticket.run()
        del ticket


def _renew() -> None:
    """Forget the threads that did not survive a fork, and who held the lock."""
    global _lock, _helpers, _tickets, _default  # noqa: PLW0603
    _lock = threading.Lock()
    _helpers, _tickets, _default = 0, queue.SimpleQueue(), None
    _local.working = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
