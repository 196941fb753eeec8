"""Basins that have a feature and do not give it: of another measurement, or misfits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ..errors import BasinError, BasinIdentifierMismatchError
from .entry import Entry
from .open_basin import OpenBasin


class Basins(Protocol):
    """The basins of one file (`BasinSet`)."""

    @property
    def entries(self) -> Sequence[object]:
        """The definitions; those that can be understood are of type `Entry`."""

    def nested_if_made(self, candidate: OpenBasin) -> Basins | None:
        """Return the basins of an open basin if they were needed so far."""


def mismatch_of(basins: Basins, feature: str) -> BasinIdentifierMismatchError | None:
    """Return the refusal that keeps a feature away, if there is one."""
    for entry in basins.entries:
        if not isinstance(entry, Entry):
            continue
        if entry.refuses(feature):
            return entry.refusal()
        for nested in _nested_of(basins, entry, feature):
            found = mismatch_of(nested, feature)
            if found is not None:
                return found
    return None


def refusal_of(basins: Basins, feature: str) -> BasinError | None:
    """Return the error of a basin that has a feature, but not for these events."""
    for entry in basins.entries:
        if not isinstance(entry, Entry):
            continue
        label = entry.definition.label
        found = entry.findings.refusal(feature)
        if found is not None:
            return BasinError(f"basin '{label}': {found}")
        for nested in _nested_of(basins, entry, feature):
            found = refusal_of(nested, feature)
            if found is not None:
                return BasinError(f"in basin '{label}', {found}")
    return None


def _nested_of(basins: Basins, entry: Entry, feature: str) -> Iterator[Basins]:
    if entry.may_have(feature):
        for candidate in entry.opened():
            nested = basins.nested_if_made(candidate)
            if nested is not None:
                yield nested
