"""A table that is printed line by line, as wide as the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .screen import one_line, printable

if TYPE_CHECKING:
    from .screen import Screen

LEAST_NAME = 12
"""Characters that a file's name has at the least."""
LEAST_LAST = 14
"""Characters that verdict and reason have at the least."""


@dataclass(frozen=True)
class Column:
    """A column of numbers or short words: its title and its width.

    One that can be spared is left out where the terminal is narrow.
    """

    title: str
    width: int
    spare: bool = False


class Table:
    """Prints one row per file: its name, numbers, a verdict, and the reason.

    Parameters
    ----------
    screen : Screen
        Where to print.
    names : sequence of str
        The names of all files, which tell how wide the first column must be.
    columns : sequence of Column
        Those between the name and the verdict.
    """

    def __init__(
        self, screen: Screen, names: Sequence[str], columns: Sequence[Column]
    ) -> None:
        self._screen = screen
        self._shown = [True] * len(columns)
        self._columns = list(columns)
        self._folder = ""
        self._is_headed = False
        self._name_width = _widest(names)
        self._last_width: int | None = None
        if screen.is_terminal:
            self._fit(names)

    def _fit(self, names: Sequence[str]) -> None:
        """Find widths with which a row fits into a line of the terminal."""

        def free() -> int:
            shown = [
                c.width + 2
                for c, on in zip(self._columns, self._shown, strict=True)
                if on
            ]
            return self._screen.width - 1 - sum(shown) - 2

        if free() - self._name_width < LEAST_LAST:
            self._folder = _common_folder(names)
            names = [name[len(self._folder) :] for name in names]
            self._name_width = _widest(names)
        for index, column in enumerate(self._columns):
            if free() - self._name_width < LEAST_LAST and column.spare:
                self._shown[index] = False
        room = free()
        self._name_width = min(self._name_width, max(LEAST_NAME, room - LEAST_LAST))
        self._last_width = max(6, room - self._name_width)

    def _head(self) -> None:
        """Print the titles, above the first row."""
        self._is_headed = True
        if self._folder:
            self._screen.wrap(f"in {self._folder}", "  ", "")
        titles = [column.title for column in self._columns]
        line = self._line("FILE", titles) + "  STATE"
        self._screen.say((line, "bold"))

    def row(
        self, name: str, values: Sequence[str], state: str, style: str, reason: str = ""
    ) -> None:
        """Print one row."""
        if not self._is_headed:
            self._head()
        reason = one_line(reason)
        name = name.removeprefix(self._folder)
        if self._last_width is not None:
            state = _cut_end(state, self._last_width)
            room = self._last_width - _width(state) - 2
            reason = _cut_end(reason, room) if room >= 8 else ""
        tail = f": {reason}" if reason else ""
        self._screen.say(self._line(name, values) + "  ", (state, style), tail)

    def _line(self, name: str, values: Sequence[str]) -> str:
        name = _cut_middle(printable(name), self._name_width)
        cells = [name + " " * (self._name_width - _width(name))]
        for column, value, shown in zip(
            self._columns, values, self._shown, strict=True
        ):
            if not shown:
                continue
            cells.append(_cut_end(value, column.width).rjust(column.width))
        return "  ".join(cells)


def count(number: int | None) -> str:
    """Return a number with commas, or a dash for none."""
    return "-" if number is None else f"{number:,}"


def size(number: float | None) -> str:
    """Return a number of bytes in at most six characters and its unit."""
    if number is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 999.5 or unit == "TB":
            break
        number /= 1000
    digits = 0 if number >= 100 or unit == "B" else 1
    return f"{number:.{digits}f} {unit}"


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _widest(names: Sequence[str]) -> int:
    return max([len("FILE"), *(_width(printable(name)) for name in names)])


def _common_folder(names: Sequence[str]) -> str:
    """Return the folder that all names begin with, and its separator; or nothing."""
    first, last = min(names), max(names)
    same = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0
    )
    prefix = first[: same if first != last else len(first)]
    cut = max(prefix.rfind("/"), prefix.rfind(os.sep)) + 1
    return prefix[:cut]


def _cut_end(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while text and _width(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _cut_middle(text: str, width: int) -> str:
    """Shorten a path; its end tells most, its beginning some."""
    if _width(text) <= width:
        return text
    tail = text[-(2 * width // 3) :]
    head = text[: width // 3]
    while tail and _width(head) + _width(tail) > width - 1:
        if _width(head) > width // 3:
            head = head[:-1]
        else:
            tail = tail[1:]
    return f"{head}…{tail}"
