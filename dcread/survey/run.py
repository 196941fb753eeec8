"""One question put to many measurements: here, in processes, or by dask."""

from __future__ import annotations

import os
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from .child import Child, supervise
from .examine import Record, examine, failed
from .inputs import Input, full_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from distributed import Client

    from .examine import Progress, Question

PATIENCE = 300.0
"""Seconds without anything read after which another process gives a file up."""

MOST_PATIENCE = 1e6
"""The longest such time; no system waits for much longer ones."""


def examine_all(
    inputs: Sequence[Input],
    question: Question,
    options: Mapping[str, Any] | None = None,
    *,
    jobs: int = 1,
    client: Client | None = None,
    patience: float | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Record]]:
    """Put a question to measurements; give each record as soon as it is known.

    Parameters
    ----------
    inputs : sequence of Input
        The measurements.
    question, options
        As for `examine`.
    jobs : int
        Processes that read side by side; 1 reads in this one, unless `patience` is
        given.
    client : distributed.Client, optional
        A dask cluster to work on, in place of `jobs`.
    patience : float, optional
        Seconds without anything read after which a measurement is given up; 300 by
        default where another process reads.
    progress : callable, optional
        Called with the bytes read and to read of the measurement in this process.

    Yields
    ------
    index, record : int and dict
        The place in `inputs`, and the record of `examine`. A measurement whose
        reading hangs or ends the process has an ``error`` as well.
    """
    if patience is not None and not 0 < patience <= MOST_PATIENCE:
        raise ValueError(
            f"timeout must be a number of seconds above 0 and not above "
            f"{MOST_PATIENCE:g}, got {patience}"
        )
    options = dict(options or {})
    # (a worker of dask may have another working directory)
    inputs = [Input(full_path(item.path), item.reason) for item in inputs]
    if client is not None:
        yield from _by_dask(inputs, question, options, client, patience or PATIENCE)
    elif jobs > 1 or patience is not None:
        yield from _by_processes(
            inputs,
            question,
            options,
            jobs=jobs,
            patience=patience or PATIENCE,
            progress=progress,
        )
    else:
        for index, item in enumerate(inputs):
            yield index, examine(item, question, options, progress)


def _by_processes(
    inputs: Sequence[Input],
    question: Question,
    options: Mapping[str, Any],
    *,
    jobs: int,
    patience: float,
    progress: Progress | None,
) -> Iterator[tuple[int, Record]]:
    from ..engine import get_num_threads

    jobs = max(1, min(jobs, len(inputs)))
    threads = max(1, get_num_threads() // jobs)
    children: list[Child] = []
    mine = threading.local()
    report = progress if jobs == 1 else _ignore  # (that something is read, matters)

    def work(item: Input) -> Record:
        if not hasattr(mine, "child"):
            mine.child = Child(threads)
            children.append(mine.child)
        return supervise(
            mine.child, item, question, options, patience=patience, progress=report
        )

    pool = ThreadPoolExecutor(jobs, thread_name_prefix="dcread-survey")
    try:
        futures = {pool.submit(work, item): i for i, item in enumerate(inputs)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.close()
        pool.shutdown()


def _ignore(done: int, total: int) -> None:
    """Do nothing with what is read."""


_worker = threading.local()


def on_worker(
    item: Input, question: Question, options: dict[str, Any], patience: float
) -> Record:
    """Examine a measurement on a worker of dask, in a process beside it.

    So a measurement that hangs or crashes costs that process, not the worker.
    """
    if not hasattr(_worker, "child"):
        _worker.child = Child(threads=1)  # a worker has as many threads as cores
    child: Child = _worker.child
    return supervise(
        child, item, question, options, patience=patience, progress=_ignore
    )


def _by_dask(
    inputs: Sequence[Input],
    question: Question,
    options: dict[str, Any],
    client: Client,
    patience: float,
) -> Iterator[tuple[int, Record]]:
    from distributed import as_completed as completed

    submit: Callable[..., Any] = client.submit
    futures = {
        submit(
            on_worker,
            item,
            question,
            options,
            patience,
            pure=False,
            key=f"dcread-survey-{os.urandom(6).hex()}-{index}",
        ): index
        for index, item in enumerate(inputs)
    }
    try:
        for future in completed(list(futures)):
            index = futures.pop(future)
            path = inputs[index].path
            try:
                record = future.result()
            except (Exception, CancelledError) as error:  # its workers were killed
                text = " ".join(str(error).split()) or type(error).__name__
                record = failed(path, type(error).__name__, f"given up: {text}")
            yield index, record
            future.release()
    finally:
        client.cancel(list(futures), force=True)
