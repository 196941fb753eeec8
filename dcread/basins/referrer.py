"""What basins need of the file that refers to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..engine import FileHandle
from ..engine.name_resolver import Place
from .index_map import IntArray


class Referrer(Protocol):
    """The file that refers to basins: the measurement, or a basin with basins.

    None of these may wait for a lock that is held while the basins are asked.
    """

    @property
    def handle(self) -> FileHandle | None:
        """The open file."""

    @property
    def group(self) -> Place | None:
        """Its group of features, open; None if they lie in no HDF5 file."""

    @property
    def index_mapping(self) -> Any:
        """The index mapping as the user gave it; None for all events."""

    @property
    def raw_length(self) -> int | None:
        """Number of events in the file before the index mapping."""

    @property
    def is_far(self) -> bool:
        """Whether it lies on a server: then it never leads to local files."""

    def mapping_indices(self) -> IntArray | None:
        """Return the index mapping as row numbers; None for all events."""

    def own_feature(self, name: str) -> Any:
        """Return a feature stored in the file, unmapped; None if there is none."""

    def definitions(self, most: int) -> Sequence[Any]:
        """Return the basins that it names now, where they may change meanwhile."""

    def identifier(self) -> str | None:
        """Return the measurement identifier of the file."""
