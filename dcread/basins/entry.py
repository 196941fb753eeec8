"""One basin of a file: its locations in turn, what fits and why others don't."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..errors import BasinError, BasinIdentifierMismatchError, ClosedError
from ..problems import one_line
from ..sync.locks import PatientLock
from .base import Basin
from .definition import BasinDefinition
from .findings import Findings
from .identifier_check import check_identifier
from .locations import Locations
from .open_basin import Candidate
from .plugins import get_manager
from .scope import BasinContext, Session

if TYPE_CHECKING:
    from .basin_set import BasinSet

_STOP = (KeyboardInterrupt, SystemExit, GeneratorExit)


class Source:
    """A defined basin, opened as late as possible.

    Parameters
    ----------
    definition : BasinDefinition
        What the file says.
    context : BasinContext
        The referrer as basins see it.
    session : Session
        What all basins of the measurement share.
    chain : tuple of hashable
        Identities of the files that lead here, the referrer last.
    referrer_identifier : callable
        Returns the measurement identifier of the referrer.
    nest : callable
        Makes the set of a candidate's own basins.
    report : callable
        Called with each reason why the basin, or a feature of it, is not usable.
    """

    def __init__(
        self,
        definition: BasinDefinition,
        context: BasinContext,
        *,
        session: Session,
        chain: tuple[Hashable, ...],
        referrer_identifier: Callable[[], str | None],
        nest: Callable[[Candidate], BasinSet | None],
        report: Callable[[str], None],
    ) -> None:
        self.definition = definition
        self.promised = (
            None if definition.features is None else frozenset(definition.features)
        )
        self.mismatch: BasinIdentifierMismatchError | None = None
        self._context = context
        self._session = session
        self._chain = chain
        self._referrer_identifier = referrer_identifier
        self._nest = nest
        noun = "file" if definition.type == "file" else "data"
        self.findings = Findings(noun, report)
        self._lock = PatientLock()
        self._closed = False
        self._class: type[Basin] | None = None
        self._is_classified = False
        self._locations: Locations | None = None
        self._next = 0
        self._exhausted = False
        self._opened: list[Candidate] = []
        self._refused_names: set[str] = set()
        self.is_unusable = False

    @property
    def basin_class(self) -> type[Basin] | None:
        """The class that reads the format; None if no plugin does."""
        if not self._is_classified:
            definition = self.definition
            self._class = get_manager().basin_class(definition.type, definition.format)
            if self._class is None:
                self._fail(get_manager().missing_format(definition))
            self._is_classified = True
        return self._class

    @property
    def is_remote(self) -> bool:
        """Whether asking it may contact other machines."""
        return self.definition.type == "remote"

    @property
    def location(self) -> str | None:
        """The location in use."""
        return one_line(self._opened[0].basin.location) if self._opened else None

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

    def candidates(self) -> Iterator[Candidate]:
        """Yield the locations that fit; each is opened when its turn comes."""
        if self.basin_class is None:
            return
        identifier = self._referrer_identifier()
        position = 0
        while True:
            with self._lock:
                if self._closed:
                    raise ClosedError(f"basin '{self.definition.label}' is closed")
                if position >= len(self._opened) and not self._advance(identifier):
                    return
                candidate = self._opened[position]
            yield candidate
            position += 1

    def first(self) -> Candidate | None:
        """Return the location in use; None if none fits."""
        return next(self.candidates(), None)

    def reachable(self) -> bool:
        """Tell, without opening anything, whether a location seems to be there."""
        locations = self._all_locations()
        if self.basin_class is not None and not self._next:
            for location in locations or ():
                if self._seems_there(self.basin_class, location):
                    return True
        # None is there: going through them once more collects the reasons.
        return any(not candidate.cyclic for candidate in self.candidates())

    def _seems_there(self, basin_class: type[Basin], location: str) -> bool:
        try:
            basin = basin_class(self.definition, location, self._context)
            return basin.available() is not False and not self._leads_back(location)
        except _STOP:
            raise
        except BaseException:
            return False

    def _leads_back(self, location: str) -> bool:
        if self.definition.type != "file":
            return False
        status = os.stat(location)
        return (status.st_dev, status.st_ino) in self._chain

    def _all_locations(self) -> Locations | None:
        if self._locations is None and self.basin_class is not None:
            try:
                self._locations = Locations(
                    self.basin_class, self.definition, self._context
                )
            except _STOP:
                raise
            except BaseException as exc:
                self._fail(one_line(exc))
                self._class = None
        return self._locations

    def _advance(self, identifier: str | None) -> bool:
        """Open locations up to the next one that fits; False if none is left."""
        locations = self._all_locations()
        if locations is None:
            return False
        while (location := locations.get(self._next)) is not None:
            candidate = self._try(location, identifier)
            if candidate is not None:
                self._opened.append(candidate)
            # Counted when done, so that a child that is forked in between, or a
            # caller after an interrupt, has the location still before it.
            self._next += 1
            if candidate is not None:
                return True
        known, self._exhausted = self._exhausted, True
        if not self._opened and not known:
            self.findings.report(self.reason())
        return False

    def _try(self, location: str, identifier: str | None) -> Candidate | None:
        basin: Basin | None = None
        try:
            assert self.basin_class is not None
            if self.is_remote:
                self._session.check_remote(location)
            basin = self.basin_class(self.definition, location, self._context)
            if basin.available() is not False:
                return self._accept(basin, identifier)
            self.findings.missing(location)
        except _STOP:
            raise
        except BasinIdentifierMismatchError as exc:
            self.mismatch = self.mismatch or exc
            self.findings.failed(exc)
        except BaseException as exc:
            # A plugin may raise anything; the next location has its chance.
            self.findings.failed(exc, location)
        self._close_quietly(basin)
        return None

    def _accept(self, basin: Basin, identifier: str | None) -> Candidate:
        import h5py

        features = basin.open()
        if not isinstance(features, (h5py.Group, Mapping)):
            raise BasinError(
                f"{type(basin).__name__}.open should return features by name, got "
                f"{type(features).__name__}"
            )
        identity = basin.identity()
        if basin.type != "internal":
            self._session.count(identity if identity is not None else object())
        candidate = Candidate(
            basin,
            features,
            identity,
            cyclic=identity is not None and identity in self._chain,
            nest=self._nest,
            confine=self._session.confine,
        )
        if basin.type != "internal":
            try:
                note = check_identifier(
                    self.definition, basin.location, basin.identifier(), identifier
                )
            except BasinIdentifierMismatchError:
                self._refused_names.update(candidate.names())
                raise
            self.findings.note(note)
        if candidate.cyclic:
            self.findings.note("it leads back to a file that leads to it")
        return candidate

    def _close_quietly(self, basin: Basin | None) -> None:
        try:
            if basin is not None:
                basin.close()
        except _STOP:
            raise
        except BaseException as exc:
            self.findings.failed(f"closing failed: {exc!r}")

    def _fail(self, reason: str) -> None:
        self.findings.failed(reason)
        self.findings.report(reason)

    def fails(self, reason: object) -> None:
        """Keep why no feature at all can be taken, although a location fits."""
        if not self.is_unusable:
            self.is_unusable = True
            self._fail(str(reason))

    def lacks(self, feature: str, reason: object) -> None:
        """Keep why a feature could not be taken from the basin."""
        if self.findings.lacks(feature, reason):
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

    def opened(self) -> list[Candidate]:
        """Return the locations that are open now."""
        return list(self._opened)

    def close(self) -> None:
        """Close all that was opened; twice is fine."""
        with self._lock:
            self._closed = True
            opened, self._opened = self._opened, []
        for candidate in opened:
            try:
                candidate.close()
            except _STOP:
                raise
            except BaseException as exc:
                self._fail(f"closing failed: {exc!r}")
