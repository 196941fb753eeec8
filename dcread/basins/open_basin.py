"""One opened location of a basin: its own features, and those of its basins."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..engine import FileHandle, open_file
from ..engine.name_resolver import Place
from ..errors import ClosedError
from ..file.dataset_group import DatasetGroup
from ..file.event_dataset import reader_of, usable_member
from ..problems import one_line
from ..sync.loading_cache import LoadingCache
from ..sync.locks import h5_lock
from .base import Basin, Features
from .index_map import IntArray
from .members import rows_of
from .plugin_arrays import Gate, wrapped

if TYPE_CHECKING:
    from .basin_set import BasinSet


@dataclass
class Ask:
    """One question for a feature, on its way through basins of basins.

    Attributes
    ----------
    feature : str
        The name.
    remote : bool
        Whether remote basins may be contacted for it.
    skipped_remote : bool
        Set on the way: there are remote basins that were not.
    pending : frozenset of str
        The index maps that are being looked for, to find no circle.
    """

    feature: str
    remote: bool = False
    skipped_remote: bool = False
    pending: frozenset[str] = frozenset()


class Found(NamedTuple):
    """A feature, and how its rows belong to events.

    Attributes
    ----------
    obj : Reader, array-like, or mapping of them
        Where the feature lies.
    mapping : ndarray of int or None
        The row of `obj` for each event; None for event number n in row n.
    rows : int
        The number of events.
    """

    obj: Any
    mapping: IntArray | None
    rows: int


class Candidate:
    """A basin at a location that was opened and fits.

    Parameters
    ----------
    basin : Basin
        Open.
    features : mapping or h5py.Group
        What its `Basin.open` returned.
    identity : hashable or None
        What tells its source from others.
    cyclic : bool
        Whether it is one of the files that lead to it. Then it has nothing to
        offer that was not looked for already.
    nest : callable
        Makes the set of its own basins, or None.
    confine : callable
        Has the policy apply to a file that a plugin opened itself.
    """

    def __init__(
        self,
        basin: Basin,
        features: Features,
        identity: Hashable | None,
        *,
        cyclic: bool,
        nest: Callable[[Candidate], BasinSet | None],
        confine: Callable[[FileHandle], None],
    ) -> None:
        self.basin = basin
        self.features = features
        self.identity = identity
        self.cyclic = cyclic
        self._gate = Gate(confine)
        self.handle = _handle_of(basin, features, self._gate)
        self._nest = nest
        self._once = LoadingCache()
        self.nested_failure = ""

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        """Keep the file open and others out while h5py is asked."""
        if self.handle is None:
            yield
            return
        with self.handle.using(), h5_lock:
            yield

    def nested(self) -> BasinSet | None:
        """Return the basins of the basin; None if there are none to follow."""
        return self._once.get("nested", self._make_nested)

    def _make_nested(self) -> BasinSet | None:
        if self.cyclic:
            return None
        try:
            return self._nest(self)
        except ClosedError:
            raise
        except Exception as exc:
            # Its own features are as good as before.
            self.nested_failure = f"its own basins: {one_line(exc)}"
            return None

    def nested_if_made(self) -> BasinSet | None:
        """Return the basins of the basin if they were needed so far."""
        nested: BasinSet | None = self._once.peek("nested")
        return nested

    def names(self) -> list[str]:
        """Return the names of the features that the basin stores itself."""
        with self._using():
            return sorted(str(name) for name in self.features)

    def own(self, name: str) -> Found | None:
        """Return a feature that the basin stores itself."""
        import h5py

        obj: Any
        try:
            if isinstance(self.features, h5py.Group):
                group = Place(self.handle, self.features.id)
                place = usable_member(group, name)
                is_group = isinstance(place.id, h5py.h5g.GroupID)
                obj = DatasetGroup(place) if is_group else reader_of(place)
            else:
                obj = self.features[name]
                obj = wrapped(obj, name, one_line(self.basin.location), self._gate)
        except KeyError:
            return None
        return Found(obj, None, rows_of(name, obj))

    def find(self, ask: Ask) -> Found | None:
        """Return a feature of the basin, or of the basins that it has itself."""
        if self.cyclic:
            return None
        failure: Exception | None = None
        try:
            found = self.own(ask.feature)
        except Exception as exc:
            found, failure = None, exc
        if found is None:
            nested = self.nested()
            if nested is not None:
                # The maps of the basin are none of those looked for outside.
                inner = replace(ask, pending=frozenset())
                found = nested.search(inner)
                ask.skipped_remote |= inner.skipped_remote
        if found is None and failure is not None:
            raise failure
        return found

    def all_names(self) -> set[str]:
        """Return the names of its features and of those of its basins."""
        nested = self.nested()
        return set(self.names()) | (set() if nested is None else nested.features())

    def close(self) -> None:
        """Close the basins of the basin, then the basin."""
        self._gate.close()
        nested = self.nested_if_made()
        if nested is not None:
            nested.close()
        self.basin.close()


def _handle_of(basin: Basin, features: Features, gate: Gate) -> FileHandle | None:
    """Return the open file that the features lie in, if they lie in one."""
    import h5py

    if not isinstance(features, h5py.Group):
        return None
    for name in ("events_handle", "handle"):
        found = getattr(basin, name, None)
        if isinstance(found, FileHandle):
            return found
    if basin.type == "internal" and basin.context.handle is not None:
        return basin.context.handle
    found = open_file(features.file)
    gate.add(found)
    return found
