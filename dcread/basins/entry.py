"""One basin of a file: its locations opened in turn, what fits and why others don't."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Callable, Hashable, Iterator

from ..errors import (
    BasinError,
    BasinIdentifierMismatchError,
    ClosedError,
    PolicyError,
)
from ..problems import is_out_of_a_handler, one_line
from .base import Basin
from .context import BasinContext
from .definition import BasinDefinition, check_identifier
from .findings import Findings, ProblemLog
from .in_time import call_in_time, describe
from .locations import OPEN_SECONDS, Locations
from .open_basin import OpenBasin
from .opened import Opened, as_opened
from .registered import Registered
from .scope import Scope
from .turns import PATIENCE_SECONDS, BusyError, Turns

RETRY_SECONDS = (2.0, 60.0)
"""How long to wait at least, and at most, until locations are tried again."""


class Entry:
    """A defined basin, opened as late as possible.

    No lock is held while a plugin is asked: of several threads one opens, the others
    wait for it, or go on without the basin.

    Parameters
    ----------
    definition : BasinDefinition
        What the file says.
    context : BasinContext
        The referrer as basins see it.
    scope : Scope
        What all basins of the measurement share.
    chain : tuple of hashable
        Identities of the files that lead here, the referrer last.
    referrer_identifier : callable
        Returns the measurement identifier of the referrer.

    Attributes
    ----------
    definition : BasinDefinition
        As given.
    promised : frozenset of str or None
        The features that it lists; None for whatever it has.
    mismatch : BasinIdentifierMismatchError or None
        Why a location was refused.
    findings : Findings
        What was noticed.
    is_remote : bool
        Whether asking it may contact other machines.
    is_unusable : bool
        Whether no feature at all can be taken, although a location fits.
    token : object
        What tells it from others, without leading back to it.
    """

    def __init__(
        self,
        definition: BasinDefinition,
        context: BasinContext,
        scope: Scope,
        chain: tuple[Hashable, ...],
        referrer_identifier: Callable[[], str | None],
    ) -> None:
        self.definition = definition
        self.promised = (
            None if definition.features is None else frozenset(definition.features)
        )
        self.mismatch: BasinIdentifierMismatchError | None = None
        self.is_unusable = False
        self.is_remote = definition.type == "remote"
        noun = "file" if definition.type == "file" else "data"
        self.findings = Findings(
            noun, functools.partial(_report, scope.log, definition)
        )
        self.token = object()
        self._context = context
        self._scope = scope
        self._chain = chain
        self._referrer_identifier = referrer_identifier
        self._turns = Turns()
        self._closed = False
        self._locations = Locations(definition, context, scope, self.findings)
        self._next = 0
        self._exhausted = False
        self._retry_at, self._pause = 0.0, RETRY_SECONDS[0]
        self._opened: list[OpenBasin] = []
        self._refused_names: set[str] = set()

    @property
    def location(self) -> str | None:
        """The location in use."""
        return one_line(self._opened[0].location) if self._opened else None

    def may_have(self, feature: str) -> bool:
        """Tell, without opening anything, whether a feature may be here."""
        return self.promised is None or feature in self.promised

    def refuses(self, feature: str) -> bool:
        """Tell whether a feature would be here, were it not for the identifier."""
        if self.mismatch is None or self._opened:
            return False
        return feature in (self.promised or self._refused_names)

    def refusal(self) -> BasinIdentifierMismatchError:
        """Return the refusal as a new error, to be raised."""
        return BasinIdentifierMismatchError(*(self.mismatch or BasinError()).args)

    def is_known(self) -> bool:
        """Tell whether a plugin reads the format."""
        with self._turns.in_turn(PATIENCE_SECONDS):
            return self._locations.registered() is not None

    def candidates(self, patience: float | None = None) -> Iterator[OpenBasin]:
        """Yield the locations that fit; each is opened when its turn comes.

        Parameters
        ----------
        patience : float, optional
            How many seconds to wait for another thread; for ever if not given.
        """
        for position in itertools.count():
            if position >= len(self._opened):
                if self._closed:
                    raise self._closed_error()
                if self._exhausted and not self._is_due():
                    return
                with self._turns.in_turn(patience):
                    if position >= len(self._opened) and not self._advance():
                        return
            try:
                found = self._opened[position]
            except IndexError:
                if self._closed:
                    raise self._closed_error() from None
                raise
            yield found

    def paths(self) -> list[str]:
        """Return where the stored paths of a local basin lead, open or not."""
        if self.definition.type == "internal" or self.is_remote or self._context.is_far:
            return []
        return list(self._context.paths_for(self.definition.paths))

    def first(self, patience: float | None = None) -> OpenBasin | None:
        """Return the location in use; None if none fits."""
        return next(self.candidates(patience), None)

    def reachable(self) -> bool:
        """Tell, without opening anything, whether a location seems to be there.

        Believed of a basin that is just being opened.
        """
        if self._opened:
            return any(not found.cyclic for found in self._opened)
        if self._exhausted and not self._is_due():
            return False
        try:
            with self._turns.in_turn(PATIENCE_SECONDS):
                found = self._locations
                if not self._next and found.one_seems_there(self.token, self._chain):
                    return True
        except BusyError:
            return True
        # None is there: going through them once more collects the reasons.
        return any(not found.cyclic for found in self.candidates(PATIENCE_SECONDS))

    def _is_due(self) -> bool:
        """Tell whether locations that could not be used may be tried again."""
        if self._opened or not self.findings.temporary:
            return False
        return time.monotonic() >= self._retry_at

    def _advance(self) -> bool:
        """Open locations up to the next one that fits; False if none is left."""
        if self._closed:
            raise self._closed_error()
        registered = self._locations.registered()
        if registered is None:
            self._exhausted = True
            return False
        if self._exhausted:
            if not self._is_due():
                return False
            self.findings.forget_failures()
            self._exhausted, self._next = False, 0
            self._locations.forget()
        identifier = self._referrer_identifier()
        while (location := self._locations.at(registered, self._next)) is not None:
            found = self._try(registered, location, identifier)
            if found is not None:
                self._opened.append(found)
                # After that: `close` looks at what is open once it has said so.
                if self._closed:
                    self._opened = []
                    found.close()
                    raise self._closed_error()
            # Counted when done, so that a child that is forked in between, or a
            # caller after an interrupt, has the location still before it.
            self._next += 1
            if found is not None:
                self._scope.version += 1
                return True
        self._exhausted = True
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, RETRY_SECONDS[1])
        self._scope.version += 1
        if not self._opened:
            self.findings.report(self.reason())
        return False

    def _try(
        self, registered: Registered, location: str, identifier: str | None
    ) -> OpenBasin | None:
        basin: Basin | None = None
        try:
            # (no instance exists yet)
            far = self._context.is_far
            self._scope.check_location(registered.reach, location, far=far)
            answer = self._open(registered, location)
            if answer is not None:
                basin, opened = answer
                return self._accept(registered, basin, opened, identifier)
            self.findings.missing(location)
        except BasinIdentifierMismatchError as exc:
            self.mismatch = self.mismatch or exc
            self.findings.failed(exc)
        except ClosedError:
            self._close_quietly(basin)
            if self._scope.closed:
                raise
            self.findings.failed("it is closed", location)
            return None
        except BaseException as exc:
            if registered.is_no_answer(exc):
                self._close_quietly(basin)
                raise
            if self._scope.closed:
                self._close_quietly(basin)
                raise ClosedError(
                    f"the measurement was closed while basin '{self.definition.label}' "
                    "was opened"
                ) from exc
            # A plugin may raise anything; the next location has its chance.
            final = isinstance(exc, (PolicyError, NotImplementedError))
            told = registered.told(exc)
            self.findings.failed(told, location, temporary=not final)
        self._close_quietly(basin)
        return None

    def _open(
        self, registered: Registered, location: str
    ) -> tuple[Basin, Opened] | None:
        """Return an open instance and what it gave; None if nothing is there."""
        given_up, deadline = None, None
        if not registered.built_in:
            given_up, deadline = threading.Event(), time.monotonic() + OPEN_SECONDS
        context = self._context.for_opening(self.token, deadline, given_up)
        run = functools.partial(self._run, registered, location, context)
        if registered.built_in:
            return run()
        return call_in_time(run, OPEN_SECONDS, "opening it", _close_late, given_up)

    def _run(
        self, registered: Registered, location: str, context: BasinContext
    ) -> tuple[Basin, Opened] | None:
        basin = registered.basin_class(self.definition, location, context)
        try:
            if basin.available() is not False:
                answer = basin.open()
                return basin, as_opened(answer, f"{type(basin).__name__}.open")
        except BaseException:
            self._close_quietly(basin)
            raise
        self._close_quietly(basin)
        return None

    def _accept(
        self,
        registered: Registered,
        basin: Basin,
        opened: Opened,
        identifier: str | None,
    ) -> OpenBasin:
        identity, inside = opened.identity, basin.type == "internal"
        if not inside:
            self._scope.count(object() if identity is None else identity)
        cyclic = identity is not None and identity in self._chain
        found = OpenBasin(
            basin,
            opened,
            registered,
            self._scope,
            cyclic=cyclic,
            far=self._context.is_far,
        )
        if not inside:
            try:
                note = check_identifier(
                    self.definition, basin.location, opened.identifier, identifier
                )
            except BasinIdentifierMismatchError:
                self._refused_names.update(found.names())
                raise
            if note:
                self.findings.note(note)
        if cyclic:
            self.findings.note("it leads back to a file that leads to it")
        return found

    def _close_quietly(self, basin: Basin | None) -> None:
        try:
            if basin is not None:
                basin.close()
        except BaseException as exc:
            if is_out_of_a_handler(exc):
                raise
            self.findings.failed(f"closing failed: {describe(exc)}")

    def record_failure(self, reason: object) -> None:
        """Keep why no feature at all can be taken, although a location fits."""
        if not self.is_unusable:
            self.is_unusable = True
            self.findings.fail(one_line(reason))

    def record_missing(self, feature: str, reason: object) -> None:
        """Keep why a feature could not be taken from the basin."""
        if self.findings.record_missing(feature, reason):
            self.findings.report(str(reason))

    def reason(self, feature: str | None = None) -> str:
        """Return why the basin, or a feature of it, is not usable."""
        found = self.findings.reason(feature)
        if feature is not None and self._opened and self.promised is None:
            # Nothing was promised, so that other locations do not matter.
            known = self.findings.lacking(feature)
            refused = self.mismatch if feature in self._refused_names else None
            return known or (one_line(refused) if refused is not None else "")
        if not found and not self._opened and self._exhausted:
            return "the definition names no location where it could be looked for"
        return found

    def remarks(self) -> str:
        """Return all that was noticed, for the status."""
        return self.findings.remarks() or self.reason()

    def opened(self) -> list[OpenBasin]:
        """Return the locations that are open now."""
        return list(self._opened)

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"basin '{self.definition.label}' is closed")

    def close(self) -> None:
        """Close all that was opened; twice is fine.

        Waits for nobody: what is being opened is closed once that is done.
        """
        self._closed = True
        opened, self._opened = self._opened, []
        for found in opened:
            try:
                found.close()
            except BaseException as exc:
                if is_out_of_a_handler(exc):
                    raise
                self.findings.fail(f"closing failed: {describe(exc)}")


def _close_late(answer: tuple[Basin, Opened] | None) -> None:
    if answer is not None:
        answer[0].close()


def _report(log: ProblemLog, definition: BasinDefinition, reason: str) -> None:
    log.add(definition.label, reason)
