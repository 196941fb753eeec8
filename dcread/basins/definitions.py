"""Which definitions of a file are basins for us, and in which order they are asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ..engine import open_file
from ..errors import BasinError
from ..file.basin_records import BasinRecord, read_basin_records
from ..file.links import has_member, subgroup
from ..file.policy import Policy
from ..problems import UNREADABLE, Problem, pass_on
from ..sync.locks import h5_lock
from .definition import BasinDefinition, TextBudget
from .plugins import get_manager

if TYPE_CHECKING:
    import h5py

    from ..engine import FileHandle
    from ..engine.name_resolver import Place

_TYPE_ORDER = {"internal": 0, "file": 1, "remote": 2}


@dataclass(frozen=True, slots=True)
class StoredBasins:
    """What a file says about its basins.

    Attributes
    ----------
    definitions : list of BasinDefinition
        Those that can be used, in look-up order (`sort_definitions`).
    dropped : list of BasinRecord
        The others, with the reasons.
    """

    definitions: list[BasinDefinition]
    dropped: list[BasinRecord]

    @property
    def usable(self) -> list[dict[str, Any]]:
        """The definitions that can be used, verbatim."""
        return [dict(definition.raw) for definition in self.definitions]


def load_definitions(
    handle: FileHandle,
    problems: list[Problem] | None = None,
    policy: Policy | None = None,
    events: Place | None = None,
) -> StoredBasins:
    """Read all definitions of a file; never fails because of them.

    The caller keeps the file open.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    problems : list of Problem, optional
        Where to record what could not be used.
    policy : Policy, optional
        Bounds number and size of the definitions.
    events : Place, optional
        The group of features, if it is open already.
    """
    records = read_basin_records(handle, policy or Policy.default())
    if not records:  # as in most files
        return StoredBasins([], [])
    if events is not None and events.handle is not handle:  # behind a link
        events = None
    return _sorted_out(handle.h5, records, problems, events)


def sort_out(
    found: Iterable[Any],
    h5: h5py.Group,
    problems: list[Problem],
    policy: Policy,
) -> StoredBasins:
    """Return what can be used of definitions that a server told.

    Parameters
    ----------
    found : iterable
        The definitions; anything may be among them.
    h5 : h5py.Group
        The attributes of what the server told them about.
    problems : list of Problem
        Where to record what could not be used.
    policy : Policy
        Bounds their number.
    """
    most = policy.max_definitions
    raws = list(itertools.islice(found, most + 1))
    records = [_as_record(raw, number) for number, raw in enumerate(raws[:most])]
    if len(raws) > most:
        reason = f"there are more than {most} definitions; the rest is left out"
        records.insert(0, BasinRecord("basins", None, reason))
    return _sorted_out(h5, records, problems)


def _as_record(raw: Any, number: int) -> BasinRecord:
    key = raw.get("key") if isinstance(raw, dict) else None
    name = key if isinstance(key, str) and key else f"basin {number}"
    if isinstance(raw, dict):
        return BasinRecord(name, raw)
    return BasinRecord(name, None, "the definition should be a JSON object")


def extract_basin_dicts(
    h5: h5py.Group,
    check: bool = True,
    problems: list[Problem] | None = None,
) -> list[dict[str, Any]]:
    """Return the basin definitions of a file, unsorted and verbatim.

    Parameters
    ----------
    h5 : h5py.Group
        The open file.
    check : bool
        Leave out definitions that cannot be used: with wrong types, of a type
        that no plugin reads, or mapped by a feature that is neither stored in
        the file nor possibly in another basin. Without the check, every JSON
        object is returned.
    problems : list of Problem, optional
        Where to record what was left out.
    """
    handle = open_file(h5.file)
    try:
        with handle.using():
            records = read_basin_records(handle, Policy.default(), group=h5)
    finally:
        handle.close()
    if check:
        usable, dropped = _usable(h5, records)
        kept = [dict(definition.raw) for definition in usable]
    else:
        kept = [record.raw or {} for record in records if not record.reason]
        dropped = [record for record in records if record.reason]
    _note(dropped, problems)
    return kept


def _sorted_out(
    h5: Any,
    records: list[BasinRecord],
    problems: list[Problem] | None,
    events: Place | None = None,
) -> StoredBasins:
    usable, dropped = _usable(h5, records, events)
    _note(dropped, problems)
    return StoredBasins(sorted(usable, key=lambda one: _sort_key(one.raw)), dropped)


def _note(dropped: list[BasinRecord], problems: list[Problem] | None) -> None:
    """Sort the definitions that are left out, and record the reasons."""
    dropped.sort(key=attrgetter("key"))
    if problems is not None:
        for item in dropped:
            problems.append(Problem("basin", item.key, item.reason))


def _usable(
    h5: Any, records: list[BasinRecord], events: Place | None = None
) -> tuple[list[BasinDefinition], list[BasinRecord]]:
    """Return the definitions that can be used, and the others with the reasons."""
    parsed: list[tuple[BasinRecord, BasinDefinition]] = []
    manager, budget = get_manager(), TextBudget()
    dropped: list[BasinRecord] = []
    for record in records:
        if record.reason:
            dropped.append(record)
            continue
        try:
            definition = BasinDefinition.parse(record.raw, budget=budget)
            if not manager.knows_type(definition.type):
                raise BasinError(manager.missing_format(definition))
        except BasinError as exc:
            dropped.append(record.because(exc))
        else:
            parsed.append((record, definition))
    found: dict[str, bool] = {}
    # For each feature (None: any) the maps that basins with it need themselves.
    offers: dict[str | None, set[str | None]] = {}
    for _, definition in parsed:
        for feature in definition.features or (None,):
            offers.setdefault(feature, set()).add(definition.mapping)
    usable = []
    for record, definition in parsed:
        name = definition.mapping
        if name is not None and name not in found:
            # A basin can give a map unless it needs the very same map itself.
            offered = offers.get(name, set()) | offers.get(None, set())
            found[name] = bool(offered - {name}) or _stored(h5, name, events)
        if name is None or found[name]:
            usable.append(definition)
        else:
            reason = f"its map '{name}' is neither stored in the file nor in a basin"
            dropped.append(record.because(reason))
    return usable, dropped


def _stored(h5: Any, name: str, events: Place | None) -> bool:
    try:
        with h5_lock:
            group = events or subgroup(None, "events", h5.id)
            return has_member(group.id, name)
    except UNREADABLE as exc:
        pass_on(exc)
        return False


def sort_definitions(
    definitions: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return definitions in the order in which basins are asked.

    Internal basins come first, then files, then remote ones, then those of
    plugins by their declared priority; unmapped before mapped; then by name (and
    by map where names are equal). Equal ones keep their order. Wrong types in a
    definition do no harm.

    Parameters
    ----------
    definitions : iterable of dict
        As `extract_basin_dicts` returns them.
    """
    return sorted(map(dict, definitions), key=_sort_key)


def _sort_key(raw: Mapping[str, Any]) -> tuple[int, int, str, bool, str, str]:
    type_, format_ = str(raw.get("type")), raw.get("format")
    order = _TYPE_ORDER.get(type_, len(_TYPE_ORDER))
    priority = 0
    if order == len(_TYPE_ORDER) and isinstance(format_, str):
        found = get_manager().find(type_, format_)
        priority = found.basin_class.priority if found is not None else 2**31
    mapping = raw.get("mapping")
    mapped = mapping is not None and mapping != "same"
    return (
        order,
        priority,
        type_ if order == len(_TYPE_ORDER) else "",
        mapped,
        str(raw.get("name") or ""),
        str(mapping) if mapped else "",
    )
