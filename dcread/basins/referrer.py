"""What a basin set knows of the file that refers to its basins."""

from __future__ import annotations

from typing import Any, Protocol

from ..engine import FileHandle
from .index_map import IntArray
from .open_basin import Candidate


class Referrer(Protocol):
    """What a basin set needs of the file that refers to the basins.

    None of these may wait for a lock that is held while the set is asked.
    """

    @property
    def handle(self) -> FileHandle | None:
        """The open file."""

    @property
    def index_mapping(self) -> Any:
        """The index mapping as the user gave it; None for all events."""

    @property
    def raw_length(self) -> int | None:
        """Number of events in the file before the index mapping."""

    def mapping_indices(self) -> IntArray | None:
        """Return the index mapping as row numbers; None for all events."""

    def own_feature(self, name: str) -> Any:
        """Return a feature stored in the file, unmapped; None if there is none."""

    def identifier(self) -> str | None:
        """Return the measurement identifier of the file."""


class NestedReferrer:
    """A basin as the referrer of its own basins.

    Parameters
    ----------
    candidate : Candidate
        The open basin.
    """

    index_mapping: Any = None

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self.handle = candidate.handle
        self.raw_length = candidate.basin.length()

    def mapping_indices(self) -> IntArray | None:
        """Return None: the map of the outer file is applied further up."""
        return None

    def own_feature(self, name: str) -> Any:
        """Return a feature that the basin stores itself."""
        found = self._candidate.own(name)
        return None if found is None else found.obj

    def identifier(self) -> str | None:
        """Return the measurement identifier of the basin."""
        return self._candidate.basin.identifier()
