"""The progress bar: on a terminal, and in a log."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest

from dcread.cli.progress import ProgressBar

CODE = """
import time
from dcread.cli.screen import Screen
screen = Screen()
with screen.progress("reading a file of some name", 4_000_000, "B", keep=True) as bar:
    for done in range(0, 4_000_001, 500_000):
        bar.set(done)
        screen.say(f"answer {done}")
        time.sleep(0.11)
"""


def test_in_a_log_it_is_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with ProgressBar("reading", 1000, log=True) as bar:
        for _ in range(1000):
            bar(1)
    (line,) = stream.getvalue().splitlines()
    assert "100%" in line
    assert "1,000 images" in line


def test_a_log_has_quarters_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("dcread.cli.progress.QUARTER_SECONDS", 0.0)
    with ProgressBar("reading", 100, log=True) as bar:
        for _ in range(100):
            bar(1)
    shares = [line.split()[1] for line in stream.getvalue().splitlines()]
    assert shares == ["25%", "50%", "75%", "100%"]


def test_nothing_is_shown_in_a_pipe(run_python: Callable[..., Any]) -> None:
    done = run_python(CODE)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"answer {i * 500_000}" for i in range(9)]


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_terminal_it_has_bytes_and_time_left(
    width: int, terminal: Callable[..., object]
) -> None:
    seen = terminal(width, code=CODE)
    assert seen.width <= width
    assert "4.0/4.0 MB" in seen.text
    assert "answer 500000" in seen.text
    bars = [line for line in seen.lines if "MB" in line]
    assert any("0:0" in line for line in bars)
