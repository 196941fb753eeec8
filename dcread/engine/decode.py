"""Plans become arrays: pieces of work for the pool.

A bad chunk stops everything (see `faults`).
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcread_ext.decode import HAS_PREAD, Decoder, take_turn

from .chunk_errors import check_sizes, fail
from .decode_job import Errand, Job, Work
from .decode_ranges import decode_ranges
from .local_source import LocalSource
from .read_plan import ADDRESS, RAW, STORED
from .thread_pool import Pieces, get_num_threads, share

INLINE = 2**18
"""Bytes up to which a read is not worth waking another thread."""

MOST = 2**22
LEAST = 2**17
"""Bytes of a run, which one thread decodes."""

AHEAD = 256
"""Picked chunks that the system is asked to read at once."""

PROBED = 2**17
"""Bytes of a chunk that is worth a look at how long reading takes."""

SCAN = 2**20
"""Bytes from which on a range is a scan."""

_WHOLE = ((0, 0),)

KEEP = 2**24
"""Bytes up to which a buffer is kept for the next chunk."""

IDLE = 2**26
"""Bytes of the buffers of all decoders that wait for the next read."""

RUNS = 16
"""Runs that a thread decodes at the most before it lets an interrupt through."""

_ALL = np.array([[0, 1]], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """A job that several threads share: they take runs without Python's lock."""

    job: Job
    runs: NDArray[np.int64]
    turn: NDArray[np.int64]

    def end(self) -> None:
        """Leave no run to take."""
        self.turn[0] = len(self.runs)


_idle: list[tuple[Decoder, int]] = []  # with the bytes of its buffers
_SIZE = operator.itemgetter(1)


def _borrow() -> Decoder:
    """Return contexts and buffers that nobody else uses meanwhile."""
    try:
        return _idle.pop()[0]
    except IndexError:
        return Decoder()


def _give_back(decoder: Decoder) -> None:
    size = decoder.trim(KEEP)
    idle = tuple(_idle)
    if idle:
        total = size + sum(map(_SIZE, idle))
        if total > IDLE or len(idle) >= 2 * get_num_threads():
            return
    _idle.append((decoder, size))


def execute_one(job: Job) -> None:
    """Decode the only chunk of a plan: see `execute`."""
    check_sizes(job)
    if job.plan.blob is None and _is_far(job):
        decode_ranges([job], _decode_blob)
        return
    if job.plan.blob is None:
        job.source.advise(_WHOLE, "NORMAL")
    decoder = _borrow()
    try:
        _decode(decoder, _Shared(job, _ALL, np.zeros(1, np.int64)))
    finally:
        _give_back(decoder)
    job.source.check()


def execute(work: Work) -> None:
    """Decode all chunks of all jobs, in parallel if that is worth it.

    Parameters
    ----------
    work : Work
        What to decode, and what may be done besides.

    Raises
    ------
    FormatError, ChecksumError, FileChangedError
        For the first bad chunk that was found.
    """
    jobs = work.jobs
    for job in jobs:
        check_sizes(job)
    near: list[Job] = []
    far: list[Job] = []
    for job in jobs:
        (far if job.plan.blob is None and _is_far(job) else near).append(job)
    if far:
        decode_ranges(far, _decode_blob)
        jobs = near
    shared = _share_out(jobs)
    threads = min(get_num_threads(), sum(len(one.runs) for one in shared))

    def decode(parts: Pieces) -> None:
        for part in parts:
            # While an errand holds Python's lock, the first thread decodes. All at
            # once: chunk by chunk, what they touch would leave the processor's cache.
            _decode_all(shared, work.ahead if part == 1 else [])

    def stop() -> None:
        for one in shared:
            one.end()

    if threads:
        _advise(jobs)
    if threads > 1:
        share(decode, threads, stop)
    elif threads:
        _decode_all(shared, [])
    for source in {id(job.source): job.source for job in jobs}.values():
        source.check()  # (a bad chunk makes it look, too)


def _is_far(job: Job) -> bool:
    """Tell whether the bytes take so long to come that many should be on their way."""
    source, tasks = job.source, job.plan.tasks
    if source.is_far or not isinstance(source, LocalSource) or not len(tasks):
        return source.is_far
    middle = tasks[len(tasks) // 2]
    enough = len(tasks) > 1 or middle[STORED] > PROBED
    return enough and source.probe(int(middle[ADDRESS]))


def _decode_all(shared: list[_Shared], errands: list[Errand]) -> None:
    decoder = _borrow()
    try:
        for errand in errands:
            errand()
        for one in shared:
            _decode(decoder, one)
    finally:
        _give_back(decoder)


def _advise(jobs: list[Job]) -> None:
    """Tell the system what will be read of files that it may not hold in memory.

    Picked chunks are asked for at once, so that the drive works on several; for
    whole ranges the system reads further ahead than usual.
    """
    for job in jobs:
        if job.plan.blob is not None:
            continue
        places = job.plan.tasks[:AHEAD, : STORED + 1]
        if len(job.plan.table):
            job.source.advise(_WHOLE, "NORMAL")
            if len(places) > 1:
                job.source.advise(places.tolist(), "WILLNEED")
        elif len(places) > 1 and places[-1].sum() - places[0, 0] > SCAN:
            job.source.advise(_WHOLE, "SEQUENTIAL")


def _share_out(jobs: list[Job]) -> list[_Shared]:
    """Cut the tasks of all jobs into runs of chunks that follow each other.

    The runs become shorter towards the end, so that all threads end together.
    """
    shared = []
    rest = sum(job.plan.raw_bytes for job in jobs)
    parts = 2 * get_num_threads() if rest > INLINE else 1
    for job in jobs:
        ends = np.cumsum(job.plan.tasks[:, RAW])
        runs, first, start = [], 0, 0
        while first < len(ends):
            size = min(MOST, max(LEAST, rest // parts))
            last = max(first + 1, int(ends.searchsorted(start + size, "right")))
            runs.append((first, last))
            stop = int(ends[last - 1])
            rest -= stop - start
            first, start = last, stop
        if runs:
            turn = np.zeros(1, np.int64)
            shared.append(_Shared(job, np.array(runs, np.int64), turn))
    return shared


def _decode(decoder: Decoder, shared: _Shared) -> None:
    """Decode runs of a job until all are taken."""
    plan = shared.job.plan
    if plan.blob is None and (shared.job.source.fd < 0 or not HAS_PREAD):
        _decode_fetched(decoder, shared)
        return
    while shared.turn[0] < len(shared.runs):
        failure = _run(decoder, shared, plan.tasks, shared.runs, shared.turn, plan.blob)
        if failure is not None:
            fail(shared.job, *failure)


def _decode_blob(
    job: Job, numbers: NDArray[np.int64], data: memoryview, start: int
) -> None:
    """Decode tasks of a job whose bytes are in memory; those of `start` come first."""
    tasks = job.plan.tasks[numbers]
    tasks[:, ADDRESS] -= start
    shared = _Shared(job, np.array([[0, len(tasks)]], np.int64), np.zeros(1, np.int64))
    decoder = _borrow()
    try:
        failure = _run(decoder, shared, tasks, shared.runs, shared.turn, data)
    finally:
        _give_back(decoder)
    if failure is not None:
        task, status, detail = failure
        fail(job, int(numbers[task]), status, detail)


def _decode_fetched(decoder: Decoder, shared: _Shared) -> None:
    """Decode runs whose bytes Python reads, where ``pread`` cannot."""
    job = shared.job
    while (number := take_turn(shared.turn)) < len(shared.runs):
        first, last = shared.runs[number].tolist()
        tasks = job.plan.tasks[first:last].copy()
        stored = [job.source.read(one[ADDRESS], one[STORED]) for one in tasks.tolist()]
        tasks[:, ADDRESS] = np.cumsum(tasks[:, STORED]) - tasks[:, STORED]
        run = np.array([[0, last - first]], np.int64)
        turn = np.zeros(1, np.int64)
        failure = _run(decoder, shared, tasks, run, turn, b"".join(stored))
        if failure is not None:
            task, status, detail = failure
            fail(job, first + task, status, detail)


def _run(  # noqa: PLR0917
    decoder: Decoder,
    shared: _Shared,
    tasks: NDArray[np.int64],
    runs: NDArray[np.int64],
    turn: NDArray[np.int64],
    blob: bytes | memoryview | None = None,
) -> tuple[int, str, int] | None:
    job, plan = shared.job, shared.job.plan
    return decoder.run(
        -1 if blob is not None else job.source.fd,
        blob,
        tasks,
        runs,
        turn,
        RUNS,
        job.layout.pipeline.steps,
        plan.row_bytes,
        plan.lines,
        plan.table,
        job.out,
        plan.out_row_bytes,
    )
