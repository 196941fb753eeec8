"""Chunks of a source that takes its time: fetched side by side, decoded on arrival."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .byte_ranges import plan_ranges
from .decode_job import Job
from .read_plan import ADDRESS, STORED
from .source import ByteSource

Decode: TypeAlias = Callable[[Job, NDArray[np.int64], memoryview, int], None]
"""``decode(job, numbers, data, start)`` decodes tasks of a job out of bytes that lie at
`start` in the file."""


def decode_ranges(jobs: Sequence[Job], decode: Decode) -> None:
    """Fetch what jobs need and decode it, a source after the other.

    Parameters
    ----------
    jobs : sequence of Job
        Of sources that are far away.
    decode : callable
        Called by the thread that has fetched a range.
    """
    sources = {id(job.source): job.source for job in jobs}
    for source in sources.values():
        _decode_of(source, [job for job in jobs if job.source is source], decode)


def _decode_of(source: ByteSource, jobs: Sequence[Job], decode: Decode) -> None:
    counts = [len(job.plan.tasks) for job in jobs]
    if not sum(counts):
        return
    places = np.concatenate([job.plan.tasks[:, ADDRESS : STORED + 1] for job in jobs])
    order = np.argsort(places[:, 0], kind="stable")
    places = places[order]
    owners = np.repeat(np.arange(len(jobs)), counts)[order]
    first_of = np.cumsum([0, *counts])
    ranges = plan_ranges(places[:, 0], places[:, 1], source.range_limits)

    def sink(number: int, data: memoryview) -> None:
        part = ranges[number]
        if len(jobs) == 1:
            decode(jobs[0], order[part.first : part.last], data, part.start)
            return
        numbers, owner = order[part.first : part.last], owners[part.first : part.last]
        for one in np.unique(owner).tolist():
            decode(jobs[one], numbers[owner == one] - first_of[one], data, part.start)

    source.read_ranges([part[:2] for part in ranges], sink)
