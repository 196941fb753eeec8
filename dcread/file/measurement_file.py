"""The open file itself, without its basins: what it stores, and which rows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..arrays.index_mapping import get_mapping_indices, misfit
from ..engine import most_bytes
from ..errors import FormatError
from ..problems import Problem
from ..sync.loading_cache import LoadingCache
from .dataset_group import DatasetGroup
from .events import Events
from .identifier import identifier_of
from .source_check import check_sources

if TYPE_CHECKING:
    from ..engine import FileHandle, RowReader
    from ..engine.name_resolver import Place
    from .policy import Policy


class MeasurementFile:
    """An open file as its basins see it.

    It is an object of its own, so that basins do not keep the `HDF5Data` alive
    that holds them.

    Attributes
    ----------
    handle : FileHandle
        The open file.
    index_mapping : int, slice, list, ndarray, ... or None
        Which events the user chose, as given.
    policy : Policy
        What the file may make us open.
    problems : list of Problem
        What could not be used.
    length_elsewhere : int or None
        Number of events that counts where the file itself does not tell it.
    """

    def __init__(
        self,
        handle: FileHandle,
        index_mapping: Any,
        policy: Policy,
        problems: list[Problem],
    ) -> None:
        self.handle = handle
        self.index_mapping = index_mapping
        self.policy = policy
        self.problems = problems
        self.length_elsewhere: int | None = None
        self._once = LoadingCache()
        self._known: list[Events] = []

        def look() -> None:
            known = Events(handle, [])
            known.read_headers()
            self._known[:] = [known]

        handle.preload(  # what will be done first
            lambda: check_sources(handle, policy, []), look
        )

    @property
    def events(self) -> Events:
        """The members of ``/events``."""
        return self._once.get("events", self._new_events)

    def _new_events(self) -> Events:
        known = self._known.pop() if self._known else None
        return Events(self.handle, self.problems, known)

    @property
    def group(self) -> Place | None:
        """The group ``/events``, open; None if there is none."""
        return self.events.group

    @property
    def is_far(self) -> bool:
        """Whether the file lies on a server: then it never leads to local files."""
        return self.handle.is_remote

    @property
    def raw_length(self) -> int | None:
        """Number of events in the file, before index mapping; None if unknown."""
        return self.events.length

    def mapping_indices(self) -> NDArray[np.integer[Any]] | None:
        """Return the rows that the user chose; None for all of them.

        Raises
        ------
        IndexError, ValueError
            If the index mapping does not fit the file, or is none.
        """
        if self.index_mapping is None:
            return None
        return self._once.get("indices", self._resolve)

    def _resolve(self) -> NDArray[np.integer[Any]]:
        length = self.raw_length
        if length is None:
            length = self.length_elsewhere
        self._require_room(length or 0)
        try:
            return get_mapping_indices(self.index_mapping, size=length or 0)
        except MemoryError as exc:
            raise FormatError(
                f"{self.handle.label}: there is no memory for the index mapping of "
                f"{length} events; does the file really have as many?"
            ) from exc
        except (IndexError, ValueError) as exc:
            raise misfit(exc, self.handle.label) from None

    def _require_room(self, length: int) -> None:
        """Refuse as many rows as no file of this size has: they are listed.

        Raises
        ------
        FormatError
            If a slice stands for so many.
        """
        chosen = self.index_mapping
        if not isinstance(chosen, slice):
            chosen = slice(chosen)
        try:
            rows = range(*chosen.indices(length))
        except (TypeError, ValueError):
            return  # a list, or what is no index mapping
        handle = self.handle
        stored = 0 if handle.resource is not None else handle.size
        if rows[most_bytes(stored) // np.dtype(np.int64).itemsize :]:
            raise FormatError(
                f"{handle.label}: there is no memory for the index mapping of {length} "
                "events; does the file really have as many?"
            )

    def own(
        self, name: str
    ) -> tuple[RowReader | DatasetGroup, NDArray[np.integer[Any]] | None] | None:
        """Return what ``/events`` has of a feature, and which rows; None if nothing.

        Raises
        ------
        DCReadError
            If there is something, but it cannot be used.
        """
        events = self.events
        if name not in events.names:
            return None
        rows = self.mapping_indices()
        found = events.open(name, rows)
        length = events.length
        if (
            rows is None
            and length is not None
            and not isinstance(found, DatasetGroup)
            and found.shape[0] != length
        ):
            # Only where the file is being written; all features have these rows.
            rows = np.arange(length)
        return found, rows

    def own_feature(self, name: str) -> RowReader | None:
        """Return a reader of a dataset in ``/events``; None if there is none.

        Raises
        ------
        DCReadError
            If there is one, but it cannot be used.
        """
        found = self.own(name)
        if found is None:
            return None
        if isinstance(found[0], DatasetGroup):
            raise FormatError(
                f"{self.handle.label}: '{name}' is a group, expected one dataset"
            )
        return found[0]

    def definitions(self, most: int) -> list[Any]:
        """Return the basins that a server names now; [] of a file, which stays."""
        resource = self.handle.resource
        return [] if resource is None else resource.definitions()[:most]

    def identifier(self) -> str | None:
        """Return the measurement identifier of the file."""
        return self.handle.fetching(identifier_of, self.handle)

    def refresh(self) -> None:
        """Forget what is known of the file's content, to look again."""
        self._known.clear()
        self._once.clear()
