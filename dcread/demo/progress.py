"""A progress bar of a few lines: a line that fills, or sparse lines in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

WIDTH = 28
PER_SECOND = 10


class ProgressBar:
    """Shows how far a job is.

    On a terminal one line is redrawn at most ten times a second; elsewhere a
    line is written when the job is done and at each quarter that takes longer
    than two seconds to reach.

    Parameters
    ----------
    label : str
        What is being done.
    total : int
        How many items there are.
    unit : str
        What the items are.
    stream : text file, optional
        Where to write; standard error by default.
    """

    def __init__(
        self, label: str, total: int, unit: str = "images", stream: TextIO | None = None
    ) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._start = self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live or kind is None:
            self._write(last=True)

    def __call__(self, number: int) -> None:
        """Count `number` more items as done."""
        before, self.done = self.done, self.done + number
        now = time.monotonic()
        if self._live:
            due = now - self._drawn > 1 / PER_SECOND
        else:
            quarter = 4 * self.done // max(self.total, 1)
            passed = quarter > 4 * before // max(self.total, 1)
            due = passed and self.done < self.total and now - self._drawn > 2
        if due:
            self._drawn = now
            self._write()

    def _write(self, *, last: bool = False) -> None:
        seconds = max(time.monotonic() - self._start, 1e-6)
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        text = f"{self.label:<22}"
        if self._live:
            filled = round(share * WIDTH)
            text = f"\r{text} [{'#' * filled}{'.' * (WIDTH - filled)}]"
        text += f" {share:4.0%}  {self.done:>6,} {self.unit}  {seconds:5.1f} s"
        self._stream.write(text + ("\n" if last or not self._live else ""))
        self._stream.flush()
