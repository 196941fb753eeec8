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

from ..errors import ChecksumError, DCReadError, FormatError
from .decode_job import Job
from .filters import NAMES, Pipeline
from .layout import MAX_CHUNK
from .read_plan import ADDRESS, MASK, RAW, STORED


def check_sizes(job: Job) -> None:
    """Refuse sizes that cannot be, before memory is taken for them."""
    tasks, pipeline, blob = job.plan.tasks, job.layout.pipeline, job.plan.blob
    size = job.source.size if blob is None else len(blob)
    if len(tasks) == 1 and _fits(tasks[0].tolist(), size, pipeline):
        return
    task = _first(_is_outside(tasks, size))
    if task is not None:
        end = (_address(job, task) + int(tasks[task, STORED])) % 2**64
        why = "truncated" if end < 2**63 else "damaged"
        raise FormatError(
            f"{_name(job, task)}: expected it to end within the file's "
            f"{job.source.size} bytes, found its end at {end}; the file is {why}: copy "
            "it again"
        )
    if not pipeline.filtered:
        return
    task = _first(tasks[:, MASK] & pipeline.checksum_bits != 0)
    if task is not None:
        raise ChecksumError(
            f"{_name(job, task)}: expected a checksum as in the rest of the dataset, "
            "found none; the file is damaged: copy it again"
        )
    task = _first(
        (tasks[:, STORED] > 2 * MAX_CHUNK)
        | (tasks[:, RAW] > tasks[:, STORED] * pipeline.expansion)
    )
    if task is not None:
        raise FormatError(
            f"{_name(job, task)}: expected {tasks[task, RAW]} bytes once decoded, "
            f"found {tasks[task, STORED]} stored bytes, which cannot give that many; "
            "the file is damaged: copy it again"
        )


def _is_outside(tasks: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """Tell which chunks do not lie in the file, without sums that overflow."""
    addresses, stored = tasks[:, ADDRESS], tasks[:, STORED]
    return (
        (addresses < 0)
        | (stored < 0)
        | (addresses > size)
        | (stored > size - addresses)
    )


def _first(bad: NDArray[np.bool_]) -> int | None:
    return int(bad.argmax()) if bad.any() else None


def _fits(task: list[int], size: int, pipeline: Pipeline) -> bool:
    """Tell whether the sizes of a chunk can be: those of a single image, quickly."""
    stored = task[STORED]
    return (
        task[ADDRESS] >= 0
        and 0 <= stored <= size - task[ADDRESS]
        and (
            not pipeline.filtered
            or (
                not task[MASK] & pipeline.checksum_bits
                and stored <= 2 * MAX_CHUNK
                and task[RAW] <= stored * pipeline.expansion
            )
        )
    )


def _name(job: Job, task: int) -> str:
    size, place = int(job.plan.tasks[task, STORED]), _address(job, task)
    if job.layout.index is None:
        return f"{job.where}, {size} bytes at byte {place}"
    offset = job.layout.index.offset_of(int(job.plan.cells[task]))
    return f"{job.where}, chunk at {offset} ({size} bytes at byte {place})"


def _address(job: Job, task: int) -> int:
    """Return where a chunk lies in the file, or is said to."""
    place = int(job.plan.tasks[task, ADDRESS])
    if job.plan.blob is not None and job.layout.index is not None:
        place = job.layout.index.address_of(int(job.plan.cells[task]))
    return place % 2**64


def fail(job: Job, task: int, status: str, detail: int) -> NoReturn:
    """Raise the error for a bad chunk."""
    job.source.check()  # a file that changed explains everything else
    row: dict[str, Any] = {
        "raw": int(job.plan.tasks[task, RAW]),
        "stored": int(job.plan.tasks[task, STORED]),
        "detail": detail,
        "codec": NAMES.get(detail, "filter"),
    }
    if status in {"checksum", "codec", "size"}:
        place = _address(job, task)
        job.source.forget(place, place + row["stored"])
    name, remedy = _name(job, task), "the file is damaged: copy it again"
    if status == "memory":
        raise MemoryError(f"{name}: no memory for {row['raw']} bytes")
    if status == "io":
        raise FormatError(f"{name}: reading failed: {os.strerror(-detail)}")
    if status == "plan":
        raise DCReadError(
            f"{name}: this read was planned out of bounds; that is an error in "
            "dcread, not in the file: please report it"
        )
    if status == "checksum":
        raise ChecksumError(
            f"{name}: checksum mismatch: the fletcher32 sum of the bytes is "
            f"{detail:#010x}, another one is stored; {remedy}"
        )
    message = {
        "short": "reading: expected {stored} bytes, found {detail}",
        "codec": "{codec}: expected a stream of exactly {raw} bytes, found none",
        "size": "expected {raw} bytes once decoded, found {detail}",
    }[status]
    raise FormatError(f"{name}: {message.format(**row)}; {remedy}")
