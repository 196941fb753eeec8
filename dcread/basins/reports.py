"""What is told of one basin: its features, its status, the documented triple."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from ..errors import BasinError, ClosedError
from ..problems import one_line, placed
from .definitions import DroppedBasin
from .entry import Source
from .internal import USUAL_GROUP
from .map_lookup import MapSource
from .open_basin import Ask, Candidate
from .plugins import get_manager
from .referrer import Referrer
from .roster import Unparsed
from .status import BasinStatus


def listed_features(source: Source, maps: MapSource) -> set[str]:
    """Return what a basin seems to have, opening and contacting as little as can be.

    A basin that lists its features is not opened (an internal one is open anyway);
    a remote one is not contacted.
    """
    promised = source.promised
    if source.is_remote and not source.opened():
        return set(promised or ()) if source.basin_class is not None else set()
    if promised is None or source.definition.type == "internal":
        return present_features(source, maps) or set()
    try:
        maps.check(source.definition.mapping)
        return set(promised) if source.reachable() else set()
    except ClosedError:
        raise
    except Exception as exc:
        source.fails(exc)
        return set()


def present_features(source: Source, maps: MapSource) -> set[str] | None:
    """Return what a basin has, opening it; None for a remote one not contacted."""
    promised = source.promised
    if source.is_remote and not source.opened():
        return None
    try:
        maps.check(source.definition.mapping)
        candidate = source.first()
        if candidate is None:
            return set()
        if candidate.cyclic:
            return set()
        found = set(candidate.names())
        if promised is None or not promised <= found:
            found = candidate.all_names()
    except ClosedError:
        raise
    except Exception as exc:
        source.fails(exc)
        return set()
    if promised is None:
        return found
    for name in sorted(promised - found):
        source.lacks(name, f"'{name}' is promised, but not there")
    return found & promised


def fitting_features(source: Source, maps: MapSource, names: set[str]) -> set[str]:
    """Return which features have rows for all events; no data are read but maps.

    If none has, the basin is not usable. Those of nested basins are believed.
    """
    candidate = source.opened()[0]
    own = names.intersection(candidate.names())
    reasons = {}
    for name in sorted(own):
        try:
            check_feature(source, maps, candidate, name)
        except ClosedError:
            raise
        except Exception as exc:
            reasons[name] = exc
            source.lacks(name, placed(one_line(candidate.basin.location), exc))
    if reasons and len(reasons) == len(names):
        source.fails(next(iter(reasons.values())))
    return names - set(reasons)


def check_feature(
    source: Source, maps: MapSource, candidate: Candidate, name: str
) -> None:
    """Raise an error if a feature that a basin stores itself cannot be taken.

    Raises
    ------
    BasinError
        If there are too few or too many rows, or rows of another kind.
    FormatError, PolicyError
        If it cannot be used at all.
    """
    found = candidate.own(name)
    if found is not None:
        maps.fit(found, maps.get(source.definition.mapping, Ask("")))


def reasons_of(source: Source, feature: str) -> list[str]:
    """Return why a basin, or one of its own basins, does not give a feature."""
    name = f"basin '{source.definition.label}'"
    reason = source.reason(feature)
    found = []
    if reason:
        found.append(f"{name}: {reason}")
    for candidate in source.opened():
        nested = candidate.nested_if_made()
        inner = nested.reasons(feature) if nested is not None else []
        found += [f"in {name}, {line}" for line in inner]
        if candidate.nested_failure:
            found.append(f"{name}: {candidate.nested_failure}")
    return found


def status_of(source: Source, maps: MapSource) -> BasinStatus:
    """Return what is known of a basin; a local one is opened to be certain."""
    definition = source.definition
    features = present_features(source, maps)
    if features and source.opened():
        features = fitting_features(source, maps, features)
    available: bool | None = bool(source.opened() and not source.is_unusable)
    if source.is_remote and not source.opened() and not source.reason():
        available = None
    return BasinStatus(
        definition.label,
        one_line(definition.type, 100),
        one_line(definition.format, 100) if definition.format else "",
        source.location,
        available,
        source.remarks(),
        None if features is None else tuple(sorted(features)),
    )


def status_of_unparsed(item: Unparsed) -> BasinStatus:
    """Return the record of a definition of a caller that is none."""
    reason = one_line(item.error)
    return BasinStatus(item.name, "", "", None, False, reason, None)


def status_of_dropped(item: DroppedBasin) -> BasinStatus:
    """Return the record of a definition that is not used at all."""
    raw = item.raw or {}
    texts = (str(raw.get(name) or "") for name in ("type", "format"))
    type_, format_ = (one_line(text, 100) if text else "" for text in texts)
    return BasinStatus(
        _label(item), type_, format_, None, False, one_line(item.reason), None
    )


def reasons_of_dropped(dropped: Iterable[DroppedBasin], feature: str) -> list[str]:
    """Return why definitions that may promise a feature are not used at all."""
    found = []
    for item in dropped:
        listed = (item.raw or {}).get("features")
        if not isinstance(listed, list) or feature in listed:
            found.append(f"basin '{_label(item)}': {item.reason}")
    return found


def _label(item: DroppedBasin) -> str:
    name = (item.raw or {}).get("name")
    return one_line(name, 100) if isinstance(name, str) and name else item.key


def group_of(source: Source) -> tuple[Any, list[str]]:
    """Return what a basin has itself, and the names that may be used of it.

    ``(None, [])`` for a basin that is not available.
    """
    definition = source.definition
    if not get_manager().knows_type(definition.type):
        raise ValueError(
            f"Invalid basin type '{definition.type}': "
            f"{get_manager().missing_format(definition)}"
        )
    if definition.type == "internal":
        if definition.features is None:
            raise ValueError(
                f"Encountered invalid internal basin '{definition.raw}': "
                "'features' must be defined"
            )
        for name in definition.paths[:1]:
            if name.strip("/") != USUAL_GROUP:
                warnings.warn(
                    f"Uncommon group name for basin features: {name}", stacklevel=5
                )
    candidate = source.first()
    if candidate is None:
        if source.mismatch is not None:
            raise source.refusal()
        return None, []
    names = candidate.names()
    if definition.features is not None:
        present = set(names)
        names = [name for name in definition.features if name in present]
    return candidate.features, names


def data_of(source: Source, maps: MapSource, referrer: Referrer) -> tuple[Any, ...]:
    """Return the documented triple (see `BasinSet.get_data`)."""
    group, names = group_of(source)
    index_map = maps.get(source.definition.mapping, Ask("", remote=True))
    mapping = referrer.index_mapping
    if index_map is not None:
        chosen = referrer.mapping_indices()
        mapping = index_map.values if chosen is None else index_map.values[chosen]
    _require_one(source, maps, names)
    return group, names, mapping


def _require_one(source: Source, maps: MapSource, names: list[str]) -> None:
    """Raise BasinError if no feature has rows for all events."""
    failure: BasinError | None = None
    for name in names:
        try:
            check_feature(source, maps, source.opened()[0], name)
        except ClosedError:
            raise
        except Exception as exc:
            if type(exc) is BasinError:
                failure = failure or exc
                continue
        # (What cannot be read says so itself when it is read.)
        return
    if failure is not None:
        raise BasinError(f"basin '{source.definition.label}': {failure}") from failure
