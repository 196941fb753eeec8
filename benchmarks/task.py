"""A task that a user knows, who does it, and how one is held against another."""

from __future__ import annotations

import contextlib
import functools
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .data import Data
from .quiet import Watch, wait_for_quiet

Consume = Callable[[Any], object]
Action = Callable[[Consume], None]
Competitor = Callable[[Data], AbstractContextManager[Action]]
"""A context manager around an action: what happens before and after the ``yield``
(opening and closing, mostly) is not timed; the action hands all that it reads to
`consume`, in order."""


@dataclass
class Task:
    """One line of the table.

    Attributes
    ----------
    title : str
        What the user does.
    at_least : float
        The ratio to `dcnum.read` that dcread must reach.
    of_limit : float, optional
        The part of the limit that it must reach.
    rounds : int
        How often each competitor runs.
    limit : callable, optional
        Given the data, returns a call that does the least possible work.
    floor : callable, optional
        The same for what no reader of files can do without, where the limit leaves
        it out.
    competitors : dict
        Who does the task, by name; ``"dcread"`` and ``"dcnum.read"`` at the least.
    note : str
        What a reader of the table should know.
    """

    title: str
    at_least: float
    of_limit: float | None = None
    rounds: int = 5
    limit: Callable[[Data], Callable[[], None]] | None = None
    limit_name: str = ""
    floor: Callable[[Data], Callable[[], None]] | None = None
    floor_name: str = ""
    competitors: dict[str, Competitor] = field(default_factory=dict)
    note: str = ""

    def competitor(self, name: str) -> Callable[[Any], Any]:
        """Decorate a generator function: what `name` does for this task."""

        def register(function: Any) -> Any:
            self.competitors[name] = contextlib.contextmanager(function)
            return function

        return register


class Answer:
    """All that was read, as one checksum, however it was cut into pieces."""

    def __init__(self) -> None:
        self.crc = 0
        self.count = 0
        self.dtypes: set[str] = set()

    def __call__(self, array: Any) -> None:
        """Take in the next piece."""
        array = np.ascontiguousarray(array)
        self.crc = zlib.crc32(array.view(np.uint8).reshape(-1).data, self.crc)
        self.count += array.size
        self.dtypes.add(array.dtype.str)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Answer({self.crc:08x}, {self.count} items, {sorted(self.dtypes)})"


def touch(array: Any) -> None:
    """Look at the last item, as the least that a user does."""
    if getattr(array, "ndim", 0):
        array[(-1,) * array.ndim]


def answer_of(competitor: Competitor, data: Data) -> Answer:
    """Return what a competitor reads."""
    answer = Answer()
    with competitor(data) as action:
        action(answer)
    return answer


def timed(competitor: Competitor, data: Data) -> tuple[float, float]:
    """Return seconds of wall clock and of processor time of one action."""
    with competitor(data) as action:
        cpu, wall = time.process_time(), time.perf_counter()
        action(touch)
        return time.perf_counter() - wall, time.process_time() - cpu


def _timed_limit(call: Callable[[], None]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def _undisturbed(
    run: Callable[[], tuple[float, float]], attempts: int
) -> tuple[float, float]:
    """Run again, a few times, while other processes are busy; keep the best."""
    kept: list[tuple[float, float]] = []
    for _ in range(attempts):
        if attempts > 1:
            wait_for_quiet()
        watch = Watch()
        kept.append(run())
        if watch.others() < 0.05:
            return kept[-1]
    return min(kept)


def race(
    task: Task, data: Data, rounds: int | None = None, attempts: int = 1
) -> dict[str, list[Any]]:
    """Run all competitors in turn, round after round.

    Taking turns means that a slow spell of the machine hits all of them.

    Parameters
    ----------
    rounds : int, optional
        In place of the task's own.
    attempts : int
        How often a run is made again because other processes were busy; with more
        than one, each run also waits for a quiet moment.

    Returns
    -------
    dict
        For each name, ``"limit"`` and ``"floor"`` too, a list of (wall, processor)
        seconds.
    """
    runs: dict[str, Callable[[], tuple[float, float]]] = {
        name: functools.partial(timed, competitor, data)
        for name, competitor in task.competitors.items()
    }
    for name, make in (("limit", task.limit), ("floor", task.floor)):
        if make:
            runs[name] = functools.partial(_timed_limit, make(data))
    times: dict[str, list[Any]] = {name: [] for name in runs}
    for _ in range(rounds or task.rounds):
        for name, run in runs.items():
            times[name].append(_undisturbed(run, attempts))
    return times
