"""Plans become arrays: pieces of work for the pool, and what can go wrong.

A chunk is checked before memory is taken for it (sizes), before it is decoded
(checksum) and after (exact length). A bad chunk stops everything; the error names
file, dataset, chunk, offset and stage.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from dcread_ext.decode import HAS_PREAD, Decoder

from ..errors import ChecksumError, FormatError
from .layout import MAX_CHUNK, Layout
from .pipeline import NAMES
from .plan import ADDRESS, MASK, RAW, STORED, Plan, Window
from .pool import Pieces, get_num_threads, share
from .source import Source

INLINE = 2**18
"""Bytes up to which a read is not worth waking another thread."""

MOST = 2**22
LEAST = 2**17
"""Bytes that a thread decodes between two looks at the counter."""

AHEAD = 256
"""Picked chunks that the system is asked to read at once."""

SCAN = 2**20
"""Bytes from which on a range is a scan."""

KEEP = 2**24
"""Bytes up to which a buffer is kept for the next chunk."""

_idle: list[Decoder] = []


@dataclass(frozen=True, slots=True)
class Job:
    """A plan, where its bytes come from and where its rows go.

    Attributes
    ----------
    plan, layout, source
        What to decode.
    out : ndarray of uint8
        The output's bytes.
    where : str
        What error messages call the dataset.
    """

    plan: Plan
    layout: Layout
    source: Source
    out: NDArray[np.uint8]
    where: str


@dataclass(frozen=True, slots=True)
class Work:
    """What one read needs, collected from one dataset or from many.

    Attributes
    ----------
    out : ndarray
        The whole output.
    window : tuple of slice or None
        Part of each row.
    jobs : list of Job
        What is to be decoded.
    stack : contextlib.ExitStack
        Keeps the files open that the jobs need.
    ahead : list of callable
        What one thread may do for the next read while others decode.
    """

    out: NDArray[Any]
    window: Window
    jobs: list[Job]
    stack: contextlib.ExitStack
    ahead: list[Callable[[], None]]


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
    _check_sizes(job)
    decoder = _borrow()
    try:
        _decode(decoder, job, 0, 1)
    finally:
        _give_back(decoder)
    job.source.check()


def execute(jobs: list[Job], ahead: Sequence[Callable[[], None]] = ()) -> None:
    """Decode all chunks of all jobs, in parallel if that is worth it.

    Parameters
    ----------
    jobs : list of Job
        What to decode.
    ahead : sequence of callable
        Called by one of several threads while the others decode.

    Raises
    ------
    FormatError, ChecksumError, FileChangedError
        For the first bad chunk that was found.
    """
    sources = list({id(job.source): job.source for job in jobs}.values())
    for source in sources:
        source.check()
    for job in jobs:
        _check_sizes(job)
    pieces = list(_pieces(jobs))

    def work(numbers: Pieces) -> None:
        decoder = _borrow()
        try:
            for number in numbers:
                if number < len(ahead):
                    ahead[number]()
                else:
                    _decode(decoder, *pieces[number - len(ahead)])
        finally:
            _give_back(decoder)

    if len(pieces) < 2 or get_num_threads() < 2:
        ahead = ()
    if pieces:
        with _advised(jobs):
            share(work, len(ahead) + len(pieces))
    for source in sources:
        source.check()


@contextlib.contextmanager
def _advised(jobs: list[Job]) -> Iterator[None]:
    """Tell the system what will be read of files that it may not hold in memory.

    Picked chunks are asked for at once, so that the drive works on several; for
    whole ranges the system reads further ahead than usual.
    """
    scanned = []
    for job in jobs:
        places = job.plan.tasks[:AHEAD, : STORED + 1]
        if len(places) < 2:
            continue
        if len(job.plan.table):
            job.source.advise(places.tolist(), "WILLNEED")
        elif places[-1].sum() - places[0, 0] > SCAN:
            job.source.advise([(0, 0)], "SEQUENTIAL")
            scanned.append(job.source)
    try:
        yield
    finally:
        for source in scanned:
            source.advise([(0, 0)], "NORMAL")


def _pieces(jobs: list[Job]) -> Iterator[tuple[Job, int, int]]:
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
        _fail(job, *failure)


def _fetch(job: Job, first: int, last: int) -> tuple[bytes, NDArray[np.int64]]:
    """Read the chunks of a run, where ``pread`` cannot."""
    tasks = job.plan.tasks[first:last].copy()
    parts = [job.source.read(task[ADDRESS], task[STORED]) for task in tasks.tolist()]
    tasks[:, ADDRESS] = np.cumsum(tasks[:, STORED]) - tasks[:, STORED]
    return b"".join(parts), tasks


def _check_sizes(job: Job) -> None:
    """Refuse sizes that cannot be, before memory is taken for them."""
    tasks, pipeline = job.plan.tasks, job.layout.pipeline
    if len(tasks) == 1 and _fits(job, tasks[0].tolist()):
        return
    ends = tasks[:, ADDRESS] + tasks[:, STORED]
    bad = ends > job.source.size
    if bad.any():
        task = int(bad.argmax())
        raise FormatError(
            f"{_name(job, task)}: expected it to end within the file's "
            f"{job.source.size} bytes, found its end at {ends[task]}; the "
            "file is truncated: copy it again"
        )
    if not pipeline.filtered:
        return
    bad = tasks[:, MASK] & pipeline.checksum_bits != 0
    if bad.any():
        raise ChecksumError(
            f"{_name(job, int(bad.argmax()))}: expected a checksum as for the whole "
            "dataset, found that it was left out; the file is damaged: copy it again"
        )
    bad = (tasks[:, STORED] > 2 * MAX_CHUNK) | (
        tasks[:, RAW] > tasks[:, STORED] * pipeline.expansion
    )
    if bad.any():
        task = int(bad.argmax())
        raise FormatError(
            f"{_name(job, task)}: expected {tasks[task, RAW]} bytes once decoded, "
            f"found {tasks[task, STORED]} stored bytes, which cannot become as many; "
            "the file is damaged: copy it again"
        )


def _fits(job: Job, task: list[int]) -> bool:
    """Tell whether the sizes of a chunk can be: those of a single image, quickly."""
    pipeline, stored = job.layout.pipeline, task[STORED]
    return task[ADDRESS] + stored <= job.source.size and (
        not pipeline.filtered
        or (
            not task[MASK] & pipeline.checksum_bits
            and stored <= 2 * MAX_CHUNK
            and task[RAW] <= stored * pipeline.expansion
        )
    )


def _name(job: Job, task: int) -> str:
    cell = np.unravel_index(int(job.plan.cells[task]), job.layout.grid)
    offset = [int(c) * n for c, n in zip(cell, job.layout.chunk, strict=True)]
    size = int(job.plan.tasks[task, STORED])
    place = int(job.plan.tasks[task, ADDRESS])
    if job.layout.contiguous:
        return f"{job.where}, {size} bytes at byte {place}"
    return f"{job.where}, chunk at {tuple(offset)} ({size} bytes at byte {place})"


def _fail(job: Job, task: int, status: str, detail: int) -> NoReturn:
    """Raise the error for a bad chunk."""
    job.source.check()  # a file that changed explains everything else
    row: dict[str, Any] = {
        "raw": int(job.plan.tasks[task, RAW]),
        "stored": int(job.plan.tasks[task, STORED]),
        "detail": detail,
        "codec": NAMES.get(detail, "filter"),
    }
    name, remedy = _name(job, task), "the file is damaged: copy it again"
    if status == "memory":
        raise MemoryError(f"{name}: no memory for {row['raw']} bytes")
    if status == "io":
        raise OSError(-detail, f"{name}: reading failed: {os.strerror(-detail)}")
    if status == "checksum":
        raise ChecksumError(
            f"{name}: expected the stored fletcher32 checksum, found that the bytes "
            f"add up to {detail:#010x}; {remedy}"
        )
    message = {
        "short": "reading: expected {stored} bytes, found {detail}",
        "codec": "{codec}: expected a stream of exactly {raw} bytes, found another",
        "size": "expected {raw} bytes once decoded, found {detail}",
        "plan": "the plan of the read does not fit (please report this)",
    }[status]
    raise FormatError(f"{name}: {message.format(**row)}; {remedy}")
