"""The defined basins by number, those that cannot be understood included."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import BasinError
from .definition import BasinDefinition
from .entry import Source
from .findings import ProblemLog


class Unparsed(NamedTuple):
    """A definition that is none, and why."""

    name: str
    error: BasinError


class Roster:
    """Sources in the order of their definitions.

    Parameters
    ----------
    definitions : sequence of dict or BasinDefinition
        As stored, or as a caller gave them.
    make : callable
        Makes the source of a definition.
    log : ProblemLog
        Where to record definitions that cannot be understood.

    Attributes
    ----------
    sources : list of Source
        Those that can be asked.
    unparsed : list of Unparsed
        The others.
    """

    def __init__(
        self,
        definitions: Sequence[Mapping[str, Any] | BasinDefinition],
        make: Callable[[BasinDefinition], Source],
        log: ProblemLog,
    ) -> None:
        self._entries: list[Source | Unparsed] = []
        for number, raw in enumerate(definitions):
            try:
                definition = (
                    raw
                    if isinstance(raw, BasinDefinition)
                    else BasinDefinition.parse(raw)
                )
            except BasinError as exc:
                self._entries.append(Unparsed(f"basin {number}", exc))
                log.add(f"basin {number}", str(exc))
            else:
                self._entries.append(make(definition))
        self.sources = [item for item in self._entries if isinstance(item, Source)]
        self.unparsed = [item for item in self._entries if isinstance(item, Unparsed)]

    def __iter__(self) -> Iterator[Source | Unparsed]:
        return iter(self._entries)

    def position(self, index: int) -> int:
        """Return a position from 0 on; negative ones count from the end.

        Raises
        ------
        IndexError
            If there is no basin of that number.
        """
        count = len(self._entries)
        number = operator.index(index)
        if not -count <= number < count:
            raise IndexError(
                f"there is no basin {index}: {count} basins are defined; see "
                "`basin_status()`"
            )
        return number % count

    def source(self, index: int) -> Source:
        """Return the source of that number.

        Raises
        ------
        BasinError
            If its definition cannot be understood.
        IndexError
            If there is no basin of that number.
        """
        entry = self._entries[self.position(index)]
        if isinstance(entry, Unparsed):
            raise type(entry.error)(*entry.error.args)
        return entry
