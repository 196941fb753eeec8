"""Where index maps come from: the file itself, or one of its basins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from h5py import h5d

from ..engine import reader_for
from ..errors import BasinError, FormatError, PolicyError
from ..file.event_dataset import reader_of, usable_member
from ..file.links import STRICT, member, subgroup
from ..sync.locks import h5_lock
from .index_map import (
    IndexMap,
    IntArray,
    as_map,
    check_map_shape,
    compose,
    read_map,
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
        if name not in self._known:
            self._known[name] = self._read(name, query, search)
        return self._known[name]

    def check(self, name: str | None, search: Search) -> None:
        """Raise BasinError if a stored map has a wrong shape; reads no integers."""
        if name is None or name in self._known:
            return
        own = self._own(name)
        if own is None or own.dtype.kind == "f":  # whole numbers?
            self.get(name, FeatureQuery(""), search)
        elif self._referrer.handle is None:
            length = self._referrer.raw_length
            check_map_shape(name, tuple(own.shape), own.dtype, length)

    def _own(self, name: str) -> Any:
        handle = self._referrer.handle
        if handle is None:
            return self._referrer.own_feature(name)
        with handle.using(), h5_lock:
            try:
                group = subgroup(handle, "events", names=STRICT)
                found = member(handle, name, group.id, STRICT).id
            except PolicyError:
                raise
            except (KeyError, BasinError):
                return None
            if isinstance(found, h5d.DatasetID) and found.shape is not None:
                length = self._referrer.raw_length
                check_map_shape(name, tuple(found.shape), found.dtype, length)
            try:
                return reader_of(usable_member(group, name, STRICT))
            except FormatError as exc:
                raise BasinError(f"its map '{name}' cannot be used: {exc}") from exc

    def _read(self, name: str, query: FeatureQuery, search: Search) -> IndexMap:
        events = self._referrer.raw_length
        own = self._own(name)
        if own is not None:
            return read_map(name, reader_for(own), events)
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
        index_map = read_map(name, reader_for(found.obj), None)
        values = compose(found.mapping, index_map.values)
        assert values is not None
        check_map_shape(name, values.shape, values.dtype, events)
        return as_map(name, values)

    def fit(self, found: Found, index_map: IndexMap | None) -> Found:
        """Return a feature of a basin in terms of the file.

        Raises
        ------
        BasinError
            If lengths do not fit.
        """
        values = None if index_map is None else index_map.values
        events = self._referrer.raw_length
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
