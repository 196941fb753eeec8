"""One opened location of a basin: the features that it stores itself."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py

from ..const import IMAGE_FEATURES
from ..engine import RowReader, open_file
from ..engine.name_resolver import Place
from ..errors import BasinError, ClosedError, DCReadError
from ..file.dataset_group import DatasetGroup
from ..file.event_dataset import reader_of, usable_reader
from ..file.events import Events
from ..file.links import has_member
from ..sync.locks import h5_lock
from .base import Basin
from .in_time import call_in_time
from .index_map import IntArray
from .opened import Opened
from .origin import Origin
from .plugin_arrays import as_reader
from .registered import Registered

if TYPE_CHECKING:
    from .scope import Scope

MAX_NAMES = 100_000
"""How many features a basin may name."""

MAX_TRACES = 1_000
"""How many traces are looked at to tell how many events they have."""

LIST_SECONDS = 10.0
"""How long listing the basins of a basin may take."""


@dataclass
class FeatureQuery:
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
    opening : frozenset
        The basins that are being opened and ask for it meanwhile.
    way : list of Step (of `basin_set`)
        Set on the way: the basins that led to what was found, the outermost first.
    """

    feature: str
    remote: bool = False
    skipped_remote: bool = False
    pending: frozenset[str] = frozenset()
    opening: frozenset[object] = frozenset()
    way: list[Any] = field(default_factory=list)


class Found(NamedTuple):
    """A feature, and how its rows belong to events.

    Attributes
    ----------
    obj : RowReader, or mapping of them
        Where the feature lies.
    mapping : ndarray of int or None
        The row of `obj` for each event; None for event number n in row n.
    rows : int
        The number of events.
    """

    obj: Any
    mapping: IntArray | None
    rows: int


class OpenBasin:
    """A basin at a location that was opened and fits; referrer of its own basins.

    Parameters
    ----------
    basin : Basin
        Open.
    opened : Opened
        What its `Basin.open` returned.
    registered : Registered
        Its class and where that comes from.
    scope : Scope
        Of the measurement.
    cyclic : bool
        Whether it is one of the files that lead to it. Then it has nothing to
        offer that was not looked for already.
    far : bool
        Whether it is named by a file on a server.

    Attributes
    ----------
    is_far : bool
        Whether it lies on a server, or is named by a file that does.
    location : str
        Where it lies.
    features : mapping or h5py.Group
        As the plugin gave them.
    group : Place or None
        The group of the features, if they lie in an open file.
    handle : FileHandle or None
        That file.
    is_built_in : bool
        Whether its class comes with dcread.
    """

    index_mapping: Any = None

    def __init__(
        self,
        basin: Basin,
        opened: Opened,
        registered: Registered,
        scope: Scope,
        *,
        cyclic: bool,
        far: bool = False,
    ) -> None:
        self.basin = basin
        self.cyclic = cyclic
        self.is_far = far or registered.reach == "remote"
        self.location = basin.location
        self.features = opened.features
        self.identity = opened.identity
        self._opened = opened
        self.is_built_in = registered.built_in
        self.origin = Origin(
            basin.location,
            registered.source,
            basin.close,
            scope.confine,
            is_at_hand=registered.built_in and not self.is_far,
            is_built_in=registered.built_in,
        )
        self._known = scope.shared.get(id(opened), {})
        if "place" not in self._known:
            self._known["place"] = _place_of(opened.features, scope, self.origin)
        self.group: Place | None = self._known["place"]
        self.handle = None if self.group is None else self.group.handle

    def names(self) -> list[str]:
        """Return the names of the features that the basin stores itself."""
        known: list[str] | None = self._known.get("names")
        if known is None or self.group is None or self.group.handle.closed:
            known = self._known["names"] = self._find_names()
        return list(known)

    def present(self, wanted: Sequence[str]) -> list[str]:
        """Return those of some features that the basin stores itself, in order."""
        group = self.group
        if group is None or group.handle.is_remote:
            names = set(self.names())
            return [name for name in wanted if name in names]
        with group.handle.using(), h5_lock:
            return list(filter(functools.partial(has_member, group.id), wanted))

    def _find_names(self) -> list[str]:
        if self.group is None:
            with self.origin.asking():
                found = list(itertools.islice(self.features.keys(), MAX_NAMES + 1))
        else:
            # (`list` of the group would ask for its length, which lists it once more)
            found = list(iter(DatasetGroup(self.group)))
        if len(found) > MAX_NAMES:
            raise BasinError(
                f"{self.origin.location} names more than {MAX_NAMES} features"
            )
        return sorted(map(str, found))

    def own(self, name: str) -> Found | None:
        """Return a feature that the basin stores itself."""
        known: Found | None = self._known.get(f"/{name}")
        if known is None or self.group is None or self.group.handle.closed:
            known = self._known[f"/{name}"] = self._find(name)
        return known

    def _find(self, name: str) -> Found | None:
        obj: Any
        try:
            if self.group is None:
                with self.origin.asking(name, by_name=True):
                    obj = self.features[name]
                obj = as_reader(obj, name, self.origin)
            else:
                group = self.group
                obj = group.handle.fetching(usable_reader, group, name)
                if isinstance(obj, Place):
                    is_group = isinstance(obj.id, h5py.h5g.GroupID)
                    obj = DatasetGroup(obj) if is_group else reader_of(obj)
        except KeyError:
            return None
        expected = self.raw_length if name in ("contour", "trace") else None
        return Found(obj, None, rows_of(name, obj, expected))

    def definitions(self, most: int) -> list[Mapping[str, Any]]:
        """Return the definitions that it has itself, but not more than `most` + 1."""
        found = self._opened.definitions

        def take() -> list[Mapping[str, Any]]:
            return list(itertools.islice(found, most + 1))

        with self.origin.asking("the list of its basins"):
            if self.is_built_in:
                return take()
            return call_in_time(take, LIST_SECONDS, "listing its basins")

    @property
    def raw_length(self) -> int | None:
        """Number of events, None if it is not known."""
        if self._opened.length is not None or self.handle is None:
            return self._opened.length
        if "length" not in self._known:
            self._known["length"] = Events(self.handle, []).length
        length: int | None = self._known["length"]
        return length

    def mapping_indices(self) -> IntArray | None:
        """Return None: the map of the outer file is applied further up."""
        return None

    def own_feature(self, name: str) -> Any:
        """Return a feature that the basin stores itself, None if there is none."""
        found = self.own(name)
        return None if found is None else found.obj

    def identifier(self) -> str | None:
        """Return the measurement identifier of the basin."""
        return self._opened.identifier

    def close(self) -> None:
        """Close the basin, once nobody reads from it."""
        self.origin.close()


def _place_of(features: Any, scope: Scope, origin: Origin) -> Place | None:
    """Return the group of the features in an open file, if they lie in one."""
    if not isinstance(features, h5py.Group):
        return None
    with contextlib.suppress(ClosedError):
        return scope.place_of(features)
    handle = open_file(features.file)
    origin.adopt(handle)
    return Place(handle, features.id)


def rows_of(name: str, obj: Any, expected: int | None = None) -> int:
    """Return how many events a feature has.

    One bad trace, or a missing contour, costs only itself, as in the file itself.

    Parameters
    ----------
    name : str
        Name of the feature.
    obj : RowReader or mapping of them
        The feature.
    expected : int, optional
        How many events the basin has.

    Raises
    ------
    BasinError
        If it is not what a feature of this name has to be.
    """
    if not isinstance(obj, Mapping):
        if name == "trace":
            raise BasinError(f"'{name}' should be arrays by name, found one array")
        return _array_rows(name, obj)
    if name not in ("contour", "trace"):
        raise BasinError(f"'{name}' should be a dataset, found a group")
    if name == "contour":  # one member for each event
        return len(obj) if expected is None else expected
    lengths: list[int] = []
    failure: DCReadError | None = None
    for key in itertools.islice(obj, MAX_TRACES):
        try:
            lengths.append(_array_rows(f"{name}/{key}", obj[key]))
        except ClosedError:
            raise
        except KeyError:  # a link to nothing
            continue
        except DCReadError as exc:
            failure = failure or exc
    if not lengths:
        raise failure or BasinError(f"'{name}' should hold arrays, found none")
    if expected in lengths:
        return lengths[lengths.index(expected)]
    return max(sorted(set(lengths)), key=lengths.count)


def _array_rows(name: str, obj: Any) -> int:
    if not isinstance(obj, RowReader):
        raise BasinError(f"'{name}' should be a dataset, found {type(obj).__name__}")
    if not obj.shape:
        raise BasinError(f"'{name}' should have a first axis of events, found none")
    if name in IMAGE_FEATURES and len(obj.shape) < 3:
        raise BasinError(
            f"'{name}' should be images (events, height, width), found shape "
            f"{obj.shape}"
        )
    if obj.dtype.hasobject:
        raise BasinError(
            f"'{name}' should hold numbers, found values of type {obj.dtype}"
        )
    return obj.shape[0]
