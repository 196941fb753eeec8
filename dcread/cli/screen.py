"""What the commands share: answers on standard output, all else on standard error."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from ..survey.inputs import without_secrets
from ..survey.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from .progress import ProgressBar

Piece = tuple[str, str]
"""Text and its style (of rich; empty for none)."""

PIPED_WIDTH = 80
"""Columns into which lists and sentences are wrapped where there is no terminal."""


class Screen:
    """Prints for people, or JSON for programs.

    Parameters
    ----------
    as_json : bool
        Whether answers and errors are JSON, one object a line.
    quiet : bool
        Whether progress, warnings and summaries are left out.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._bar: ProgressBar | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether answers go to a terminal."""
        return _is_terminal(sys.stdout)

    @property
    def width(self) -> int:
        """Columns of the terminal; of a pipe `PIPED_WIDTH`."""
        if not self.is_terminal:
            return PIPED_WIDTH
        return max(20, shutil.get_terminal_size().columns)

    def say(self, *pieces: str | Piece) -> None:
        """Print one line of an answer, longer than the terminal if it must be."""
        parts = [(piece, "") if isinstance(piece, str) else piece for piece in pieces]
        parts = [(printable(text), style) for text, style in parts]
        if self._bar is not None and self._bar.write_above(parts):
            return
        if self.is_terminal and any(style for _, style in parts):
            from rich.console import Console
            from rich.text import Text

            console = Console(highlight=False, soft_wrap=True)
            console.print(Text.assemble(*parts))
        else:
            print("".join(text for text, _ in parts))

    def wrap(
        self,
        text: str,
        indent: str = "",
        first: str | None = None,
        end: Piece | None = None,
    ) -> None:
        """Print a sentence, wrapped at the width, each line indented.

        Where there is no terminal a sentence stays on one line, so that `grep` finds
        it. `end` is what it ends with, and the style of that.
        """
        if end is not None:
            text += end[0]
        start = indent if first is None else first
        for line in text.split("\n"):
            if not self.is_terminal:
                self.say(start + line)
                continue
            lines = textwrap.wrap(
                printable(line),
                self.width - 1,
                initial_indent=start,
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
            for part in lines or [start.rstrip()]:
                if end is not None and part.endswith(end[0]):
                    self.say(part.removesuffix(end[0]), end)
                else:
                    self.say(part)
            start = indent

    def names(self, title: str, names: Sequence[str], indent: str = "  ") -> None:
        """Print a title and names below it, as many in a line as there is room for."""
        if not names:
            return
        self.say(f"\n{title}")
        lines = textwrap.wrap(
            " ".join(
                printable(name).replace(" ", "\N{NO-BREAK SPACE}") for name in names
            ),
            self.width - 1,
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
            break_long_words=self.is_terminal,
        )
        for line in lines:
            self.say(line.replace("\N{NO-BREAK SPACE}", " "))

    def json(self, facts: Any) -> None:
        """Print one JSON object on a line of its own, at once."""
        text = json.dumps(plain(facts), allow_nan=False)
        if self._bar is None or not self._bar.write_above([(text, "")]):
            print(text, flush=True)

    def warn(self, text: object) -> None:
        """Print a warning on standard error, on one line, unless quiet."""
        if not self.quiet:
            self._to_stderr(f"dcread: warning: {one_line(text)}")

    def note(self, text: object) -> None:
        """Print what helps but is no answer on standard error, unless quiet."""
        if not self.quiet:
            self._to_stderr(f"dcread: {one_line(text)}")

    def fail(self, text: object, kind: str = "Error") -> None:
        """Print an error on standard error, on one line."""
        if self.as_json:
            error = {"type": kind, "message": one_line(text)}
            self._to_stderr(json.dumps({"error": error}))
        else:
            self._to_stderr(f"dcread: {one_line(text)}")

    @contextlib.contextmanager
    def progress(
        self,
        label: str,
        total: int,
        unit: str = "",
        *,
        keep: bool = False,
        log: bool = False,
    ) -> Iterator[ProgressBar]:
        """Show how far a job is, unless quiet; see `ProgressBar`."""
        from .progress import ProgressBar

        live = _is_terminal(sys.stderr) and not self.quiet and self._bar is None
        bar = ProgressBar(
            label, total, unit, live=live, keep=keep, log=log and not self.quiet
        )
        with bar:
            outer, self._bar = self._bar, bar if live else self._bar
            try:
                yield bar
            finally:
                self._bar = outer

    def _to_stderr(self, text: str) -> None:
        if self._bar is None or not self._bar.write_above([(text, "")]):
            print(text, file=sys.stderr)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def printable(text: object) -> str:
    """Return text in which what a terminal could take as a command is escaped."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1]
        for char in str(text)
    )


def one_line(text: object) -> str:
    """Return text on one line, in the words of the command line."""
    line = without_secrets(printable(" ".join(str(text).split())))
    for python, shell in _WORDS.items():
        line = line.replace(python, shell)
    return line


_WORDS = {
    "pass overwrite=True": "use --overwrite",
    "`path_out`": "OUTPUT",
    "`features`": "--features",
    "Only one file passed to `concatenated_hdf5_data`; this is equivalent to using "
    "`HDF5Data`, but slower": "Only one file passed; to read it directly is faster",
}
"""What the library says in the words of Python, and how the command line says it."""


def accept_any_text() -> None:
    """Let streams print what their encoding lacks as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def swallow_broken_pipe() -> None:
    """Point standard output to nowhere, after its reader went away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
