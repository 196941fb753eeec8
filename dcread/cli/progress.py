"""How far a job is: a bar on a terminal, sparse lines in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress

QUARTER_SECONDS = 2.0
"""A quarter of the job that takes less is not told in a log."""


class ProgressBar:
    """Shows how far a job is.

    On a terminal there is a bar as wide as the terminal, with the time that is left and
    the bytes that servers sent; elsewhere, if `log` is wanted, a line when the job is
    done and at each quarter that takes longer than two seconds to reach.

    Parameters
    ----------
    label : str
        What is being done.
    total : int
        How many items there are.
    unit : str
        What the items are; ``"B"`` for bytes.
    live : bool, optional
        Whether there is a bar; by default if standard error is a terminal.
    keep : bool
        Whether the bar stays when the job is done.
    log : bool
        Whether there are lines where there is no bar.
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str = "images",
        *,
        live: bool | None = None,
        keep: bool = True,
        log: bool = False,
    ) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0
        self._live = sys.stderr.isatty() if live is None else live
        self._keep = keep
        self._log: TextIO | None = sys.stderr if log and not self._live else None
        self._start = self._told = time.monotonic()
        self._shown: Progress | None = None

    def __enter__(self) -> Self:
        if self._live:
            self._shown = _new_bar(self.unit, keep=self._keep)
            self._task = self._shown.add_task(self.label, total=self.total)
            self._shown.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown is not None:
            self._shown.stop()
            self._shown = None
        elif kind is None and self._log is not None:
            self._tell()

    def __call__(self, number: int) -> None:
        """Count `number` more items as done."""
        self.set(self.done + number)

    def set(
        self, done: int, total: int | None = None, label: str | None = None
    ) -> None:
        """Say how many items are done, and how many there are."""
        before, self.done = self.done, done
        self.total = self.total if total is None else total
        if self._shown is not None:
            self._shown.update(
                self._task, completed=done, total=self.total, description=label
            )
        elif self._log is not None:
            now = time.monotonic()
            quarter = 4 * done // max(self.total, 1)
            passed = quarter > 4 * before // max(self.total, 1)
            if passed and done < self.total and now - self._told > QUARTER_SECONDS:
                self._told = now
                self._tell()

    def write_above(self, pieces: Sequence[tuple[str, str]]) -> bool:
        """Print a line above the bar; return False if there is no bar in the way."""
        if self._shown is None or not sys.stdout.isatty():
            return False
        from rich.text import Text

        text = Text.assemble(*pieces)
        self._shown.console.print(text, soft_wrap=True, highlight=False)
        return True

    def _tell(self) -> None:
        assert self._log is not None
        seconds = max(time.monotonic() - self._start, 1e-6)
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        number = f"{self.done:>6,} {self.unit}"
        self._log.write(f"{self.label:<22} {share:4.0%}  {number}  {seconds:5.1f} s\n")
        self._log.flush()


def _received() -> int:
    """Return the bytes that servers have sent to this process."""
    module = sys.modules.get("dcread.engine.traffic")  # (heavy; no server without it)
    return 0 if module is None else int(module.traffic.received)


def _new_bar(unit: str, *, keep: bool) -> Progress:
    from rich import progress
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Column
    from rich.text import Text

    # On the terminal that answers go to, so that they can be printed above the bar.
    console = Console(stderr=not sys.stdout.isatty())
    narrow = console.width < 70
    amount: progress.ProgressColumn = progress.MofNCompleteColumn()
    if unit == "B":
        amount = progress.DownloadColumn(table_column=Column(no_wrap=True))
    before = _received()

    class Received(progress.ProgressColumn):
        """Bytes that servers have sent; nothing where none is asked."""

        def render(self, task: progress.Task) -> Text:
            count = _received() - before
            return Text(f"{decimal(count)} received" if count else "")

    return progress.Progress(
        progress.TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(
                no_wrap=True, overflow="ellipsis", max_width=18 if narrow else 30
            ),
        ),
        progress.BarColumn(bar_width=None),
        amount,
        Received(table_column=Column(no_wrap=True)),
        progress.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console,
        expand=True,
        transient=not keep,
    )
