"""The comparison of counts notices growth, and nothing else."""

from __future__ import annotations

import pytest

from .counts import grown

STORED = {"scan": {"chunks decoded": 100, "reads": 10, "calls, first": 100}}


@pytest.mark.parametrize(
    ("name", "number", "told"),
    [
        ("chunks decoded", 105, False),
        ("chunks decoded", 106, True),
        ("chunks decoded", 1, False),
        ("reads", 14, False),
        ("reads", 15, True),
        ("calls, first", 109, False),
        ("calls, first", 110, True),
        ("bytes held", 1, True),
    ],
)
def test_growth_beyond_five_percent_is_told(name, number, told):
    lines = grown(STORED, {"scan": {name: number}})
    assert bool(lines) is told
    assert all(name in line and f"{number:,}" in line for line in lines)


def test_a_task_that_is_no_longer_measured_is_told():
    assert grown(STORED, {}) == ["scan: no longer measured"]
