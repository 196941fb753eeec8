"""What the group ``/events`` of a file holds, and how many events there are.

Members are looked at when they are asked for: a file may have hundreds, and each
has to be opened to know its shape.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from h5py import Dataset, h5g, h5l
from numpy.typing import NDArray

from ..engine.datasets import reader_of_open
from ..engine.h5py_errors import calling_back
from ..engine.object_headers import HEADER, OddError, messages_at
from ..errors import BasinError, FormatError, ShapeMismatchError
from ..problems import OF_ALL_PARTS, UNREADABLE, Problem, as_name, left_out, pass_on
from ..sync.locks import h5_lock
from .attributes import read_attribute
from .dataset_group import DatasetGroup
from .event_dataset import EventDataset, look_at
from .links import has_member, subgroup

if TYPE_CHECKING:
    from ..engine import DatasetReader, FileHandle
    from ..engine.name_resolver import Place

COUNT_ATTRIBUTE = "experiment:event count"

MAX_COUNT = 2**48
"""No file has as many events; `len` could not even tell them from 2**63 on."""


MAX_FEATURES = 10_000
"""One dataset can have any number of names; each would be looked at."""


class Events:
    """The members of ``/events`` and the number of events.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    problems : list of Problem
        Where to record what cannot be used, as soon as it is looked at.
    known : Events, optional
        The same, of the same state of the file: what it has found is not asked again.

    Attributes
    ----------
    group : Place or None
        The open group; None in a file that has basins only.
    names : tuple of str
        The members, sorted; unusable ones included, links that lead nowhere not.
    length : int or None
        The number of events; None if neither a feature nor the attribute tells.
        The attribute is believed if some features agree, else all are counted.
    growing : bool
        Whether the file is being written: features may then be longer than
        `length`, which is what all of them have.
    """

    def __init__(
        self,
        handle: FileHandle,
        problems: list[Problem],
        known: Events | None = None,
    ) -> None:
        self._handle = handle
        self._problems = problems
        self.group: Place | None = None
        self._seen: dict[str, EventDataset] = {}
        self._links: dict[str, tuple[int, int]] = {}
        self._known = {} if known is None else known._seen
        self.growing = False
        self.length: int | None = None
        self._all: tuple[str, ...] = ()
        links: dict[str, tuple[int, int]] = {}
        try:
            with handle.using(), h5_lock:
                self.growing = bool(handle.h5.swmr_mode)
                if known is not None and known.group is not None:
                    self.group, links = known.group, known._links
                else:
                    self.group = _events_group(handle)
                if self.group is not None and not links:
                    links = _links_of(self.group)
        except OF_ALL_PARTS:
            raise
        except UNREADABLE as exc:
            pass_on(exc)
            problems.append(left_out("feature", "/events", exc))
        self._links = links
        if handle.metadata is not None:
            handle.metadata.end_if_lacking()
        if len(links) > MAX_FEATURES:
            reason = (
                f"expected at most {MAX_FEATURES} features, found {len(links)}; the "
                "rest is left out"
            )
            problems.append(Problem("feature", "(all)", reason))
            links = dict(itertools.islice(sorted(links.items()), MAX_FEATURES))
        self._all = tuple(sorted(links))
        soft = [name for name, (kind, _) in links.items() if kind != h5l.TYPE_HARD]
        if soft:
            self._look_at(soft)
        self._count()
        for name in sorted(self._seen):  # now that the length is known
            self._settle(name, self._seen[name])
        self.names = self._present()

    def _present(self) -> tuple[str, ...]:
        absent = {name for name, feature in self._seen.items() if feature.absent}
        return tuple(n for n in self._all if n not in absent) if absent else self._all

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def get(self, name: str) -> EventDataset | None:
        """Return what is known of a member; None if there is none of that name."""
        feature = self._seen.get(name)
        if feature is not None or name not in self._all:
            return feature
        with self._handle.using(), h5_lock:
            return self._settled(name)

    def _settled(self, name: str) -> EventDataset:
        """Return what is known of a member; the caller holds lock and file."""
        feature = self._seen.get(name)
        if feature is None:
            feature = self._looked_at(name)
            self._settle(name, feature)
            self._seen[name] = feature  # others read this without the lock
        return feature

    def open(
        self, name: str, rows: NDArray[np.integer[Any]] | None = None
    ) -> DatasetReader | DatasetGroup:
        """Return a reader of a member that can be used; of a group, the group.

        Parameters
        ----------
        name : str
            Its name, one of `names`.
        rows : ndarray of int, optional
            The events that are wanted (see `EventDataset.check`).

        Raises
        ------
        DCReadError
            If it cannot be used (any more).
        """
        with self._handle.using(), h5_lock:
            feature = self._settled(name)
            if feature.refusal is not None or feature.odd_length is not None:
                feature.check(rows)
            place = feature.place
            feature.let_go_of_scalars()  # read once, and kept as arrays
            if place is None:
                assert self.group is not None
                feature = look_at(self.group, name)
                feature.check()
                place = feature.place
            assert place is not None
            if isinstance(place.id, h5g.GroupID):
                return DatasetGroup(place)
            handle: FileHandle = place.handle
            return handle.fetching(reader_of_open, handle, Dataset(place.id))

    def look_at_all(self, keep: Collection[str] = ()) -> dict[str, EventDataset]:
        """Return all members, links that lead nowhere included, sorted by name.

        Parameters
        ----------
        keep : collection of str
            Scalar features that stay open, since they are read next.
        """
        found = {}
        with self._handle.using():
            for name in self._all:
                with h5_lock:  # others can use HDF5 between two of them
                    feature = found[name] = self._settled(name)
                if name not in keep:
                    feature.let_go_of_scalars()
        return found

    def read_headers(self) -> None:
        """Read the headers of all members, so that opening one lacks nothing.

        Called by `FileHandle.fetching`.
        """
        read = self._handle.read_structure
        with self._handle.using(), contextlib.suppress(OddError):
            for name in self._all:
                kind, address = self._links[name]
                if kind == h5l.TYPE_HARD:
                    with h5_lock:  # others can use HDF5 between two of them
                        messages_at(address, read(address, HEADER), read, ())

    def _look_at(self, names: Iterable[str]) -> list[EventDataset]:
        """Look at members whose lengths are not compared yet."""
        with self._handle.using(), h5_lock:
            return [self._seen.get(name) or self._look_first(name) for name in names]

    def _look_first(self, name: str) -> EventDataset:
        feature = self._seen[name] = self._looked_at(name)
        return feature

    def _looked_at(self, name: str) -> EventDataset:
        known = self._known.pop(name, None)
        if known is not None:
            return known
        assert self.group is not None
        feature = look_at(self.group, name)
        if self.growing:  # opened again, a dataset tells how long it is by then
            feature.place = None
        if type(feature.refusal) is FormatError:
            text = f"{self._handle.label}: feature '{name}': {feature.refusal}"
            feature.refusal = FormatError(text)
        return feature

    def _settle(self, name: str, feature: EventDataset) -> None:
        """Compare a member's length; record why it cannot be used."""
        if (
            not self.growing
            and feature.shape
            and feature.refusal is None
            and feature.shape[0] != self.length
        ):
            feature.odd_length = ShapeMismatchError(
                f"{self._handle.label}: feature '{name}' has {feature.shape[0]} "
                f"events, expected {self.length} as most features have; use an "
                "index_mapping of events that it has"
            )
        reason = feature.refusal or feature.odd_length
        if reason is not None:
            self._problems.append(Problem("feature", name, str(reason)))

    def _count(self) -> None:
        """Decide the number of events."""
        stored = _stored_count(self._handle, self._problems)
        sample = self._lengths(n for n in self._sample() if n in self._all)
        if sample and not self.growing and set(sample) == {stored}:
            self.length = stored
            return
        lengths = self._lengths(self._all) or self._trace_lengths()
        if not lengths:
            if stored is None:
                reason = (
                    "the number of events is unknown: the attribute is missing or "
                    "unusable, and the file has no features"
                )
                self._problems.append(Problem("length", COUNT_ATTRIBUTE, reason))
            self.length = stored
            return
        if self.growing:
            self.length = min(lengths)
            return
        counts = collections.Counter(lengths)
        most = max(counts.values())
        candidates = [length for length, count in counts.items() if count == most]
        self.length = stored if stored in candidates else min(candidates)
        if stored is not None and stored != self.length:
            reason = (
                f"the attribute says {stored} events, the features have "
                f"{self.length}; the length of the features is used"
            )
            self._problems.append(Problem("length", COUNT_ATTRIBUTE, reason))

    def _sample(self) -> set[str]:
        """Return the features that the attribute is held against: an array each."""
        return {"image", *self._all[-1:]}

    def _lengths(self, names: Iterable[str]) -> list[int]:
        return [
            f.shape[0] for f in self._look_at(names) if f.shape and f.refusal is None
        ]

    def _trace_lengths(self) -> list[int]:
        """Return the lengths of traces, where no dataset tells."""
        if "trace" not in self._all or self.group is None:
            return []
        (trace,) = self._look_at(["trace"])
        if trace.shape is not None or trace.refusal is not None:
            return []
        assert trace.place is not None
        traces = DatasetGroup(trace.place)
        return [reader.shape[0] for reader in traces.usable().values()]


def _events_group(handle: FileHandle) -> Place | None:
    """Return the group of features; None in a file that has basins only."""
    try:
        return subgroup(handle, "events")
    except BasinError:
        root = handle.root
        if has_member(root, "events"):
            raise
        if has_member(root, "basins"):
            return None
    handle.check_listing(root)
    names = sorted(map(as_name, itertools.islice(root, 10)))
    raise FormatError(
        f"{handle.label}: expected a group '/events' with the features, found "
        f"{names}; is this a measurement?"
    )


def _links_of(group: Place) -> dict[str, tuple[int, int]]:
    """Return the kinds of the links to the members, and where hard ones lead to."""
    links: dict[str, tuple[int, int]] = {}

    def note(name: bytes, info: h5l.LinkInfo) -> None:
        links[name.decode("utf-8", "surrogateescape")] = info.type, info.u

    assert group.handle is not None
    group.handle.check_listing(group.id)
    calling_back(group.id.links.iterate, note, info=True)
    return links


def _stored_count(handle: FileHandle, problems: list[Problem]) -> int | None:
    try:
        value = read_attribute(handle, COUNT_ATTRIBUTE)
    except KeyError:
        return None
    except UNREADABLE as exc:
        pass_on(exc)
        problems.append(Problem("length", COUNT_ATTRIBUTE, f"unreadable: {exc}"))
        return None
    try:
        number = value.item() if isinstance(value, np.ndarray) else value
        count = int(number)
        if not 0 <= count <= MAX_COUNT or (
            not isinstance(number, (str, bytes)) and count != number
        ):
            raise ValueError("not a count")
    except (TypeError, ValueError, OverflowError):
        reason = f"expected the number of events, found {value!r:.100}; it is not used"
        problems.append(Problem("length", COUNT_ATTRIBUTE, reason))
        return None
    return count
