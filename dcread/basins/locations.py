"""The locations of one basin: the stored ones, then those that plugins offer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from .base import Basin
from .definition import BasinDefinition
from .paths import as_locations
from .plugins import get_manager
from .scope import BasinContext


class Locations:
    """Locations by number; plugins are asked only when the stored ones are used up.

    Parameters
    ----------
    basin_class : type of Basin
        Tells the stored ones.
    definition : BasinDefinition
        What the file says.
    context : BasinContext
        The referrer, and its policy.
    """

    def __init__(
        self,
        basin_class: type[Basin],
        definition: BasinDefinition,
        context: BasinContext,
    ) -> None:
        self._definition = definition
        self._context = context
        self._limit = context.policy.max_locations
        answer = basin_class.locations(definition, context)
        found = as_locations(answer, f"{basin_class.__name__}.locations")
        self._stored = list(itertools.islice(found, self._limit))
        self._offered: list[str] | None = None

    def get(self, number: int) -> str | None:
        """Return a location; None after the last."""
        if number < len(self._stored):
            return self._stored[number]
        if self._offered is None:
            self._offered = self._offers()
        number -= len(self._stored)
        return self._offered[number] if number < len(self._offered) else None

    def _offers(self) -> list[str]:
        definition, context = self._definition, self._context
        if definition.type == "internal":
            return []
        offered = get_manager().offered_locations(definition, context.path)
        found = list(itertools.islice(offered, self._limit))
        if definition.type == "file":
            found = context.paths_for(found)
        return [location for location in found if location not in self._stored]

    def __iter__(self) -> Iterator[str]:
        for number in itertools.count():
            location = self.get(number)
            if location is None:
                return
            yield location
