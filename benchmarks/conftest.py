"""Each competitor of each task as a benchmark; the answers must be equal."""

from __future__ import annotations

import pytest

from .data import Data, open_data
from .task import Task, answer_of, touch


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Data:
    """The benchmark files, made when first needed; small where nothing is timed."""
    if request.config.getoption("benchmark_disable"):
        return open_data(frames=640)
    return open_data()


@pytest.fixture
def compete(data: Data, benchmark):
    """Time one competitor of a task and hold its answer against dcnum's."""

    def run(task: Task, name: str) -> None:
        benchmark.group = task.title
        competitor = task.competitors[name]
        answer = answer_of(competitor, data)
        assert answer.count > 0
        if name != "dcnum.read":
            assert answer == answer_of(task.competitors["dcnum.read"], data)
        opened = []

        def setup():
            opened.append(competitor(data))
            return (opened[-1].__enter__(),), {}

        def teardown(action):
            opened.pop().__exit__(None, None, None)

        benchmark.pedantic(
            lambda action: action(touch),
            setup=setup,
            teardown=teardown,
            rounds=task.rounds,
        )

    return run
