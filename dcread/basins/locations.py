"""Where one defined basin may lie: the class that reads it, and its places in turn."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Hashable

from .base import Basin
from .context import BasinContext
from .definition import BasinDefinition
from .findings import Findings
from .paths import as_locations
from .plugins import get_manager
from .registered import Registered
from .scope import Scope

OPEN_SECONDS = 30.0
"""How long a plugin may take to open one location, or to tell whether it is there."""

LOCATIONS_SECONDS = 10.0
"""How long a plugin may take to tell its locations."""


class Locations:
    """The locations of a basin: those that are stored, then those of plugins.

    Asked by one thread at a time (see `Turns`).

    Parameters
    ----------
    definition : BasinDefinition
        What the file says.
    context : BasinContext
        The referrer as basins see it.
    scope : Scope
        What all basins of the measurement share.
    findings : Findings
        Where to note what is wrong with the class.
    """

    def __init__(
        self,
        definition: BasinDefinition,
        context: BasinContext,
        scope: Scope,
        findings: Findings,
    ) -> None:
        self._definition = definition
        self._context = context
        self._scope = scope
        self._findings = findings
        self._registered: Registered | None = None
        self._is_classified = False
        self._found: list[str] | None = None
        self._asked_plugins = False

    def registered(self) -> Registered | None:
        """Return the class that reads the format; None if no plugin does."""
        if not self._is_classified:
            definition, manager = self._definition, get_manager()
            self._registered = manager.find(definition.type, definition.format)
            if self._registered is None:
                self._findings.fail(manager.missing_format(definition))
            self._is_classified = True
        return self._registered

    def at(self, registered: Registered, number: int) -> str | None:
        """Return a location; plugins are asked when the stored ones are used up."""
        places = self._stored(registered)
        if number >= len(places) and not self._asked_plugins:
            if self._definition.type != "internal":
                places += [one for one in self._offers() if one not in places]
            self._asked_plugins = True
        return places[number] if number < len(places) else None

    def forget(self) -> None:
        """Ask for all of them anew at the next request."""
        self._found, self._asked_plugins = None, False

    def one_seems_there(self, token: object, chain: tuple[Hashable, ...]) -> bool:
        """Tell, without opening anything, whether one of them seems to be there.

        Parameters
        ----------
        token : object
            Of the basin (see `BasinContext.for_opening`).
        chain : tuple of hashable
            Identities of files that it must not lead back to.
        """
        registered = self.registered()
        if registered is None:
            return False
        for location in self._stored(registered):
            look = functools.partial(self._look, registered, location, token)
            try:
                far = self._context.is_far
                self._scope.check_location(registered.reach, location, far=far)
                found = registered.ask(look, OPEN_SECONDS, "'available'")
                if found is not False and not self._leads_back(location, chain):
                    return True
            except BaseException as exc:
                if registered.is_no_answer(exc):
                    raise
        return False

    def _look(
        self, registered: Registered, location: str, token: object
    ) -> bool | None:
        context = self._context.for_opening(token)
        return registered.basin_class(self._definition, location, context).available()

    def _leads_back(self, location: str, chain: tuple[Hashable, ...]) -> bool:
        if self._definition.type != "file":
            return False
        status = os.stat(location)
        return (status.st_dev, status.st_ino) in chain

    def _stored(self, registered: Registered) -> list[str]:
        """Return the locations that the class tells, not more than are tried."""
        if self._found is None:
            ask = functools.partial(self._told_by, registered.basin_class)
            try:
                self._found = registered.ask(ask, LOCATIONS_SECONDS, "'locations'")
            except BaseException as exc:
                if registered.is_no_answer(exc):
                    raise
                self._findings.fail(registered.told(exc))
                self._registered, self._found = None, []
        return self._found

    def _told_by(self, basin_class: type[Basin]) -> list[str]:
        answer = basin_class.locations(self._definition, self._context)
        most = self._scope.policy.max_locations
        return as_locations(answer, f"{basin_class.__name__}.locations", most)

    def _offers(self) -> list[str]:
        """Return the locations that other plugins offer."""
        context, most = self._context, self._scope.policy.max_locations
        offered = get_manager().offered_locations(self._definition, context.path)
        found = list(itertools.islice(offered, most))
        is_file = self._definition.type == "file"
        return list(context.paths_for(found)) if is_file else found
