"""What the group ``/events`` of a file holds, and how many events there are.

Members are looked at when they are asked for: a file may have hundreds, and each
has to be opened to know its shape.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from h5py import Dataset, h5d, h5l

from ..errors import FormatError, ShapeMismatchError
from ..problems import UNREADABLE, Problem, as_name, recorded_as_problem
from ..sync.locks import h5_lock
from .attributes import read_attribute
from .event_dataset import OwnFeature, look_at, open_plain
from .links import subgroup

if TYPE_CHECKING:
    import h5py

    from ..engine import FileHandle
    from .policy import Policy

COUNT_ATTRIBUTE = "experiment:event count"

MAX_COUNT = 2**48
"""No file has as many events; `len` could not even tell them from 2**63 on."""

MAX_EXPANSION = 10_000
SMALL_BYTES = 1 << 30
"""A feature may claim this many bytes, or `MAX_EXPANSION` times those of the file.

More cannot have been stored: memory for it must not be taken."""


class Events:
    """The members of ``/events`` and the number of events.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    policy : Policy
        Whether links are followed.
    problems : list of Problem
        Where to record what cannot be used, as soon as it is looked at.

    Attributes
    ----------
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
        self, handle: FileHandle, policy: Policy, problems: list[Problem]
    ) -> None:
        self._handle = handle
        self._policy = policy
        self._problems = problems
        self._room = SMALL_BYTES
        self._group: h5py.Group | None = None
        self._seen: dict[str, OwnFeature] = {}
        self.growing = False
        self.length: int | None = None
        self._all: tuple[str, ...] = ()
        kinds: dict[str, int] = {}
        with (
            recorded_as_problem(problems, "feature", "/events"),
            handle.using(),
            h5_lock,
        ):
            self.growing = bool(handle.h5.swmr_mode)
            group = _events_group(handle.h5, policy)
            size = handle.h5.id.get_filesize()
            self._room = max(SMALL_BYTES, MAX_EXPANSION * size)
            kinds = _link_kinds(group)
            self._all = tuple(sorted(kinds))
            self._group = group
        for name, kind in kinds.items():
            if kind != h5l.TYPE_HARD:
                self._look_at(name)
        self._count()
        for name in self._all:  # now that the length is known
            if name in self._seen:
                self._settle(name, self._seen[name])
        self.names = tuple(
            n for n in self._all if n not in self._seen or not self._seen[n].absent
        )

    def get(self, name: str) -> OwnFeature | None:
        """Return what is known of a member; None if there is none of that name."""
        feature = self._seen.get(name)
        if feature is not None or name not in self._all:
            return feature
        with self._handle.using(), h5_lock:
            if name not in self._seen:
                feature = self._looked_at(name)
                self._settle(name, feature)
                self._seen[name] = feature  # others read this without the lock
            return self._seen[name]

    def stored(self, name: str) -> h5py.Dataset | None:
        """Return a dataset that lies in the group itself; None if a link leads away."""
        with self._handle.using(), h5_lock:
            feature = self._seen.get(name)
            found = None
            if feature is not None:
                found = feature.opened
                feature.let_go_of_scalars()  # read once, and kept as arrays
            if found is None and self._group is not None and name in self._all:
                found, _ = open_plain(self._group.id, name)
            return Dataset(found) if isinstance(found, h5d.DatasetID) else None

    def look_at_all(self) -> dict[str, OwnFeature]:
        """Return all members, links that lead nowhere included, sorted by name."""
        found = {name: feature for name in self._all if (feature := self.get(name))}
        for feature in found.values():
            feature.let_go_of_scalars()
        return found

    def _look_at(self, name: str) -> OwnFeature:
        if name not in self._seen:
            self._seen[name] = self._looked_at(name)
        return self._seen[name]

    def _looked_at(self, name: str) -> OwnFeature:
        with self._handle.using(), h5_lock:
            feature = look_at(self._group, name, self._policy, self._room)
        if self.growing:  # opened again, a dataset tells how long it is by then
            feature.opened = None
        if type(feature.refusal) is FormatError:
            text = f"{self._handle.label}: feature '{name}': {feature.refusal}"
            feature.refusal = FormatError(text)
        return feature

    def _settle(self, name: str, feature: OwnFeature) -> None:
        """Compare a member's length; record why it cannot be used."""
        if (
            not self.growing
            and feature.shape
            and feature.refusal is None
            and feature.shape[0] != self.length
        ):
            feature.refusal = ShapeMismatchError(
                f"{self._handle.label}: feature '{name}' has {feature.shape[0]} "
                f"events, expected {self.length} as most features have; read it by "
                f"hd.h5['events/{name}'] if it is wanted as it is"
            )
        if feature.refusal is not None:
            reason = str(feature.refusal)
            self._problems.append(Problem("feature", name, reason))

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
                    f"attribute '{COUNT_ATTRIBUTE}' tells nothing and there is no "
                    "feature to count the events of"
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
                f"{self.length}; the features are right"
            )
            self._problems.append(Problem("length", COUNT_ATTRIBUTE, reason))

    def _sample(self) -> set[str]:
        """Return the features that the attribute is held against: an array each."""
        return {"image", *self._all[-1:]}

    def _lengths(self, names: Iterable[str]) -> list[int]:
        found = [self._look_at(name) for name in names]
        return [f.shape[0] for f in found if f.shape and f.refusal is None]

    def _trace_lengths(self) -> list[int]:
        """Return the lengths of traces, where no dataset tells."""
        if "trace" not in self._all or self._group is None:
            return []
        trace = self._look_at("trace")
        if trace.shape is not None or trace.refusal is not None:
            return []
        lengths = []
        with self._handle.using(), h5_lock:
            group = self._group["trace"]
            for name in group:
                found, _ = open_plain(group.id, name)
                if isinstance(found, h5d.DatasetID) and found.rank:
                    lengths.append(int(found.shape[0]))
        return lengths


def _events_group(h5: h5py.File, policy: Policy) -> h5py.Group:
    # With "in", HDF5 would follow a link into another file.
    if h5.get("events", getlink=True) is None:
        raise FormatError(
            f"{h5.filename}: expected a group '/events' with the features, found "
            f"{sorted(h5)[:10]}; is this a measurement?"
        )
    return subgroup(h5, "events", policy)


def _link_kinds(group: h5py.Group) -> dict[str, int]:
    """Return what kinds of links lead to the members, in one go."""
    kinds: dict[str, int] = {}

    def note(name: bytes, info: h5l.LinkInfo) -> None:
        kinds[as_name(name)] = info.type

    group.id.links.iterate(note, info=True)
    return kinds


def _stored_count(handle: FileHandle, problems: list[Problem]) -> int | None:
    try:
        value = read_attribute(handle, COUNT_ATTRIBUTE)
    except KeyError:
        return None
    except UNREADABLE as exc:
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
