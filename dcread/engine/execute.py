"""Plans become arrays: pieces of work for the pool.

A bad chunk stops everything (see `faults`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dcread_ext.decode import HAS_PREAD, Decoder

from .faults import check_sizes, fail
from .plan import ADDRESS, RAW, STORED
from .pool import Pieces, get_num_threads, share
from .work import Errand, Job, Work

INLINE = 2**18
"""Bytes up to which a read is not worth waking another thread."""

MOST = 2**22
LEAST = 2**17
"""Bytes that a thread decodes between two looks at the counter."""

AHEAD = 256
"""Picked chunks that the system is asked to read at once."""

SCAN = 2**20
"""Bytes from which on a range is a scan."""

_WHOLE = ((0, 0),)

KEEP = 2**24
"""Bytes up to which a buffer is kept for the next chunk."""

_Run: TypeAlias = tuple[Job, int, int]
_Step: TypeAlias = "_Run | Errand"

_idle: list[Decoder] = []


def _borrow() -> Decoder:
    """Return contexts and buffers that nobody else uses meanwhile."""
    try:
        return _idle.pop()
    except IndexError:
        return Decoder()


def _give_back(decoder: Decoder) -> None:
    decoder.trim(KEEP)
    if len(_idle) < 2 * get_num_threads():
        _idle.append(decoder)


def execute_one(job: Job) -> None:
    """Decode the only chunk of a plan: see `execute`."""
    check_sizes(job)
    job.source.advise(_WHOLE, "NORMAL")
    decoder = _borrow()
    try:
        _decode(decoder, job, 0, 1)
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
    steps: list[_Step] = list(_runs(jobs))
    if len(steps) > 1 and get_num_threads() > 1:
        # Second: it holds Python's lock, but who has the first run decodes already. In
        # one go: between runs, all that it touches has left the processor's cache.
        steps[1:1] = work.ahead
    if steps:
        _advise(jobs)
        share(_do, steps)
    for source in {id(job.source): job.source for job in jobs}.values():
        source.check()  # (a bad chunk makes it look, too)


def _do(steps: Pieces[_Step]) -> None:
    decoder = _borrow()
    try:
        for step in steps:
            if callable(step):
                step()
            else:
                _decode(decoder, *step)
    finally:
        _give_back(decoder)


def _advise(jobs: list[Job]) -> None:
    """Tell the system what will be read of files that it may not hold in memory.

    Picked chunks are asked for at once, so that the drive works on several; for
    whole ranges the system reads further ahead than usual.
    """
    for job in jobs:
        places = job.plan.tasks[:AHEAD, : STORED + 1]
        if len(job.plan.table):
            job.source.advise(_WHOLE, "NORMAL")
            if len(places) > 1:
                job.source.advise(places.tolist(), "WILLNEED")
        elif len(places) > 1 and places[-1].sum() - places[0, 0] > SCAN:
            job.source.advise(_WHOLE, "SEQUENTIAL")


def _runs(jobs: list[Job]) -> Iterator[_Run]:
    """Cut the tasks of all jobs into runs of chunks that follow each other.

    The runs become shorter towards the end, so that all threads end together.
    """
    rest = sum(job.plan.raw_bytes for job in jobs)
    parts = 2 * get_num_threads() if rest > INLINE else 1
    for job in jobs:
        ends = np.cumsum(job.plan.tasks[:, RAW])
        first, start = 0, 0
        while first < len(ends):
            size = min(MOST, max(LEAST, rest // parts))
            last = max(first + 1, int(ends.searchsorted(start + size, "right")))
            yield job, first, last
            stop = int(ends[last - 1])
            rest -= stop - start
            first, start = last, stop


def _decode(decoder: Decoder, job: Job, first: int, last: int) -> None:
    plan, fd, blob = job.plan, job.source.fd, None
    tasks = plan.tasks
    if fd < 0 or not HAS_PREAD:
        fd, (blob, tasks) = -1, _fetch(job, first, last)
        first, last = 0, len(tasks)
    failure = decoder.run(
        fd,
        blob,
        tasks,
        first,
        last,
        job.layout.pipeline.steps,
        plan.row_bytes,
        plan.lines,
        plan.table,
        job.out,
        plan.out_row_bytes,
    )
    if failure is not None:
        fail(job, *failure)


def _fetch(job: Job, first: int, last: int) -> tuple[bytes, NDArray[np.int64]]:
    """Read the chunks of a run, where ``pread`` cannot."""
    tasks = job.plan.tasks[first:last].copy()
    parts = [job.source.read(task[ADDRESS], task[STORED]) for task in tasks.tolist()]
    tasks[:, ADDRESS] = np.cumsum(tasks[:, STORED]) - tasks[:, STORED]
    return b"".join(parts), tasks
