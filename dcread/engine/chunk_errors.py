"""What can be wrong with a chunk: sizes that cannot be, and failures of the kernel.

A chunk is checked before memory is taken for it (sizes), before it is decoded
(checksum) and after (exact length). The error names file, dataset, chunk, offset and
stage.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..errors import ChecksumError, FormatError
from .decode_job import Job
from .filters import NAMES
from .layout import MAX_CHUNK
from .read_plan import ADDRESS, MASK, RAW, STORED


def check_sizes(job: Job) -> None:
    """Refuse sizes that cannot be, before memory is taken for them."""
    tasks, pipeline = job.plan.tasks, job.layout.pipeline
    if len(tasks) == 1 and _fits(job, tasks[0].tolist()):
        return
    ends = tasks[:, ADDRESS] + tasks[:, STORED]
    task = _first(ends > job.source.size)
    if task is not None:
        raise FormatError(
            f"{_name(job, task)}: expected it to end within the file's "
            f"{job.source.size} bytes, found its end at {ends[task]}; the "
            "file is truncated: copy it again"
        )
    if not pipeline.filtered:
        return
    task = _first(tasks[:, MASK] & pipeline.checksum_bits != 0)
    if task is not None:
        raise ChecksumError(
            f"{_name(job, task)}: expected a checksum as for the whole "
            "dataset, found that it was left out; the file is damaged: copy it again"
        )
    task = _first(
        (tasks[:, STORED] > 2 * MAX_CHUNK)
        | (tasks[:, RAW] > tasks[:, STORED] * pipeline.expansion)
    )
    if task is not None:
        raise FormatError(
            f"{_name(job, task)}: expected {tasks[task, RAW]} bytes once decoded, "
            f"found {tasks[task, STORED]} stored bytes, which cannot become as many; "
            "the file is damaged: copy it again"
        )


def _first(bad: NDArray[np.bool_]) -> int | None:
    return int(bad.argmax()) if bad.any() else None


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
    size = int(job.plan.tasks[task, STORED])
    place = int(job.plan.tasks[task, ADDRESS])
    if job.layout.contiguous:
        return f"{job.where}, {size} bytes at byte {place}"
    cell = np.unravel_index(int(job.plan.cells[task]), job.layout.grid)
    offset = [int(c) * n for c, n in zip(cell, job.layout.chunk, strict=True)]
    return f"{job.where}, chunk at {tuple(offset)} ({size} bytes at byte {place})"


def fail(job: Job, task: int, status: str, detail: int) -> NoReturn:
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
