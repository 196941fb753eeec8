"""Where index maps come from: the file itself, or one of its basins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from h5py import Dataset

from ..engine import RowReader, reader_for
from ..engine.datasets import reader_of_open
from ..errors import BasinError, FormatError
from ..file.event_dataset import look_at
from ..file.links import STRICT, has_member, subgroup
from ..sync.locks import h5_lock
from .index_map import (
    IndexMap,
    IntArray,
    as_map,
    check_map_shape,
    compose,
)
from .open_basin import FeatureQuery, Found
from .referrer import Referrer

Search: TypeAlias = "Callable[[FeatureQuery], Found | None]"


class MapLookup:
    """The index maps of one file, each read and checked once.

    Parameters
    ----------
    referrer : Referrer
        The file that is mapped.
    """

    def __init__(self, referrer: Referrer) -> None:
        self._referrer = referrer
        self._known: dict[str, IndexMap] = {}
        self._length: tuple[int | None] | None = None

    @property
    def _events(self) -> int | None:
        """Number of events in the file, asked for once; None if it is not known."""
        found = self._length
        if found is None:
            found = self._length = (self._referrer.raw_length,)
        return found[0]

    def get(
        self, name: str | None, query: FeatureQuery, search: Search
    ) -> IndexMap | None:
        """Return a map; None for an unmapped basin.

        Parameters
        ----------
        name : str or None
            The feature that holds the map.
        query : FeatureQuery
            The question that it is needed for.
        search : callable
            Asks the basins of the file.

        Raises
        ------
        BasinError
            If it is missing or not a map.
        """
        if name is None:
            return None
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._read(name, query, search)
        return found

    def check(self, name: str | None, search: Search) -> None:
        """Raise BasinError if a stored map has a wrong shape; reads no integers."""
        if name is None or name in self._known:
            return
        own = self._own(name)
        if own is None or own.dtype.kind == "f":  # whole numbers?
            self.get(name, FeatureQuery(""), search)

    def _own(self, name: str) -> RowReader | None:
        """Return a map that the file stores itself, of a shape that a map can have."""
        events = self._events
        handle = self._referrer.handle
        if handle is None:
            found = self._referrer.own_feature(name)
            if found is None:
                return None
            reader = reader_for(found)
            check_map_shape(name, reader.shape, reader.dtype, events)
            return reader
        group = self._referrer.group
        if group is None:
            return None
        with handle.using(), h5_lock:
            if group.handle is not handle:  # which raises
                group = subgroup(handle, "events", names=STRICT)
            if not has_member(group.id, name):
                return None
            seen = look_at(group, name, STRICT)
            if seen.absent:
                return None
            if seen.shape is not None and seen.dtype is not None:
                check_map_shape(name, seen.shape, seen.dtype, events)
            try:
                seen.check()
                assert seen.place is not None
                return reader_of_open(handle, Dataset(seen.place.id))
            except FormatError as exc:
                raise BasinError(f"its map '{name}' cannot be used: {exc}") from exc

    def _read(self, name: str, query: FeatureQuery, search: Search) -> IndexMap:
        own = self._own(name)
        if own is not None:
            return as_map(name, own.read(slice(0, own.shape[0], 1)))
        # A basin that needs this very map cannot be the one to give it.
        inner = FeatureQuery(
            name,
            query.remote,
            pending=query.pending | {name},
            opening=query.opening,
        )
        found = search(inner)
        if found is None:
            raise BasinError(
                f"its map '{name}' is neither stored in the file nor in a basin"
            )
        reader = reader_for(found.obj)
        check_map_shape(name, reader.shape, reader.dtype, None)
        index_map = as_map(name, reader.read(slice(0, reader.shape[0], 1)))
        values = compose(found.mapping, index_map.values)
        assert values is not None
        check_map_shape(name, values.shape, values.dtype, self._events)
        return as_map(name, values)

    def fit(self, found: Found, index_map: IndexMap | None) -> Found:
        """Return a feature of a basin in terms of the file.

        Raises
        ------
        BasinError
            If lengths do not fit.
        """
        values = None if index_map is None else index_map.values
        events = None if index_map is not None else self._events
        try:
            if index_map is not None:
                index_map.check_rows(found.rows)
            elif events is not None and found.rows != events:
                raise BasinError(
                    f"an unmapped basin should have the {events} events of the file, "
                    f"found {found.rows}"
                )
        except BasinError:
            if not self._has_all_chosen(found.rows, values):
                raise
        if values is None:
            return found
        return Found(found.obj, compose(values, found.mapping), len(values))

    def _has_all_chosen(self, rows: int, values: IntArray | None) -> bool:
        """Tell whether a feature has all events that the caller chose, if any.

        Then it does no harm if it has not as many as others.
        """
        chosen = self._referrer.mapping_indices()
        if chosen is None:
            return False
        wanted = chosen if values is None else values[chosen]
        return not len(wanted) or 0 <= int(wanted.min()) <= int(wanted.max()) < rows
