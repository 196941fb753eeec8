"""What is told of the basins of a file: features, status, reasons, the triples."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from ..errors import BasinError, ClosedError
from ..file.basin_records import BasinRecord
from ..problems import one_line, pass_on, placed
from .basin_set import BasinSet, Unparsed
from .entry import Entry
from .index_map import IndexMap
from .internal import USUAL_GROUP
from .open_basin import FeatureQuery, OpenBasin
from .plugins import get_manager
from .status import BasinStatus, BasinStatusList
from .turns import PATIENCE_SECONDS, BusyError

_MAX_REASONS = 20


def features_of(basins: BasinSet) -> set[str]:
    """Return the names of all features that basins seem to have.

    Basins that list their features are not opened for it, remote ones are not
    contacted, unless the referrer is a resource, which has nothing but them.
    """
    found: set[str] = set()
    for entry in basins.entries:
        basins.raise_if_closed()
        if isinstance(entry, Entry):
            found |= _listed(basins, entry)
    return found


def _listed(basins: BasinSet, entry: Entry) -> set[str]:
    """Return what a basin seems to have, opening and contacting as little as can be.

    A basin that lists its features is not opened (an internal one is open anyway); a
    remote one is not contacted, except for a resource.
    """
    promised = entry.promised
    contact = promised is None and basins.is_of_resource
    try:
        if entry.is_remote and not entry.opened() and not contact:
            return set(promised or ()) if promised and entry.is_known() else set()
        if promised is None or entry.definition.type == "internal":
            return _present(basins, entry, contact=contact) or set()
        basins.maps.check(entry.definition.mapping, basins.search)
        return set(promised) if entry.reachable() else set()
    except BusyError:
        return set(promised or ())
    except ClosedError:
        raise
    except Exception as exc:
        pass_on(exc)
        entry.record_failure(exc)
        return set()


def _present(
    basins: BasinSet, entry: Entry, *, fitting: bool = False, contact: bool = False
) -> set[str] | None:
    """Return what a basin has, opening it; None for a remote one not contacted.

    Parameters
    ----------
    basins : BasinSet
        The basins of the file.
    entry : Entry
        One of them.
    fitting : bool
        Whether to leave out what has no rows for all events, mapped or not.
    contact : bool
        Whether to contact a remote one.
    """
    promised = entry.promised
    if entry.is_remote and not entry.opened() and not contact:
        return None
    try:
        basins.maps.check(entry.definition.mapping, basins.search)
        candidate = entry.first(PATIENCE_SECONDS)
        if candidate is None or candidate.cyclic:
            return set()
        own = set(candidate.names())
        found = set(own)
        if promised is None or not promised <= found:
            nested = basins.nested(entry, candidate)
            found |= set() if nested is None else features_of(nested)
    except (BusyError, ClosedError):
        raise
    except Exception as exc:
        pass_on(exc)
        entry.record_failure(exc)
        return set()
    if promised is not None:
        for name in sorted(promised - found):
            entry.record_missing(name, f"it lists '{name}', but does not have it")
        found &= promised
    if fitting or entry.definition.mapping is not None:
        found -= _misfits(basins, entry, candidate, found & own, len(found))
    return found


def _misfits(
    basins: BasinSet, entry: Entry, candidate: OpenBasin, own: set[str], count: int
) -> set[str]:
    """Return which features have no rows for all events; no data are read but maps.

    If none of `count` has, the basin is not usable. Those of nested basins are
    believed.
    """
    reasons = {}
    for name in sorted(own):
        try:
            index_map = basins.maps.get(
                entry.definition.mapping, FeatureQuery(""), basins.search
            )
            check_feature(basins, candidate, name, index_map)
        except ClosedError:
            raise
        except Exception as exc:
            pass_on(exc)
            reasons[name] = exc
            entry.record_missing(name, _at(candidate, exc))
    if reasons and len(reasons) == count:
        entry.record_failure(next(iter(reasons.values())))
    return set(reasons)


def _at(candidate: OpenBasin, exc: Exception) -> BasinError | str:
    text = placed(candidate.origin.location, exc)
    return BasinError(text) if type(exc) is BasinError else text


def check_feature(
    basins: BasinSet, candidate: OpenBasin, name: str, index_map: IndexMap | None
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
        basins.maps.fit(found, index_map)


def reasons_of(basins: BasinSet, feature: str) -> list[str]:
    """Return why no basin gives a feature, one line for each that matters."""
    found = _reasons_of_dropped(basins.dropped, feature)
    for entry in basins.entries:
        if isinstance(entry, Unparsed):
            found.append(f"{entry.name}: {entry.error}")
        elif entry.may_have(feature):
            found += _reasons_of_entry(basins, entry, feature)
    if len(found) > _MAX_REASONS:
        more = len(found) - _MAX_REASONS
        found[_MAX_REASONS:] = [f"and {more} more basins"]
    return found


def _reasons_of_entry(basins: BasinSet, entry: Entry, feature: str) -> list[str]:
    """Return why a basin, or one of its own basins, does not give a feature."""
    name = f"basin '{entry.definition.label}'"
    reason = entry.reason(feature)
    found = [f"{name}: {reason}"] if reason else []
    for candidate in entry.opened():
        nested = basins.nested_if_made(candidate)
        inner = reasons_of(nested, feature) if nested is not None else []
        found += [f"in {name}, {line}" for line in inner]
    found += [f"{name}: {note}" for note in entry.findings.nested_failures]
    return found


def _reasons_of_dropped(dropped: Iterable[BasinRecord], feature: str) -> list[str]:
    """Return why definitions that may promise a feature are not used at all."""
    return [
        f"basin '{label_of(item)}': {item.reason}"
        for item in dropped
        if may_promise(item, feature)
    ]


def may_promise(item: BasinRecord, feature: str) -> bool:
    """Tell whether a definition that is not used may be about a feature."""
    listed = (item.raw or {}).get("features")
    return not isinstance(listed, list) or feature in listed


def status_of(basins: BasinSet) -> BasinStatusList:
    """Return one record for each basin; local ones are opened to be certain."""
    records = BasinStatusList()
    for entry in basins.entries:
        basins.raise_if_closed()
        if isinstance(entry, Unparsed):
            reason = one_line(entry.error)
            record = BasinStatus(entry.name, "", "", None, False, reason, None)
        else:
            record = _status_of_entry(basins, entry)
        records.append(record)
    records += [_status_of_dropped(item) for item in basins.dropped]
    return records


def _status_of_entry(basins: BasinSet, entry: Entry) -> BasinStatus:
    definition = entry.definition
    busy = ""
    features: set[str] | None = None
    try:
        features = _present(basins, entry, fitting=True)
        if entry.is_remote and features is None:
            entry.is_known()
    except BusyError as exc:
        busy = str(exc)
    available: bool | None = bool(entry.opened() and not entry.is_unusable)
    if busy or (entry.is_remote and not entry.opened() and not entry.reason()):
        available = None
    return BasinStatus(
        definition.label,
        one_line(definition.type, 100),
        one_line(definition.format, 100) if definition.format else "",
        entry.location,
        available,
        busy or entry.remarks(),
        None if features is None else tuple(sorted(features)),
        definition.mapping,
        _nested_status(basins, entry),
    )


def _nested_status(basins: BasinSet, entry: Entry) -> tuple[BasinStatus, ...]:
    found: list[BasinStatus] = []
    for candidate in entry.opened():
        nested = basins.nested_if_made(candidate)
        if nested is not None:
            found += status_of(nested)
    return tuple(found)


def _status_of_dropped(item: BasinRecord) -> BasinStatus:
    """Return the record of a definition that is not used at all."""
    raw = item.raw or {}
    texts = (str(raw.get(name) or "") for name in ("type", "format"))
    type_, format_ = (one_line(text, 100) if text else "" for text in texts)
    return BasinStatus(
        label_of(item), type_, format_, None, False, one_line(item.reason), None
    )


def label_of(item: BasinRecord) -> str:
    """Return what messages call a definition that is not used."""
    name = (item.raw or {}).get("name")
    return one_line(name, 100) if isinstance(name, str) and name else item.key


def group_of(entry: Entry) -> tuple[Any, list[str]]:
    """Return what a basin has itself, and the names that may be used of it.

    ``(None, [])`` for a basin that is not available.

    Raises
    ------
    ValueError
        If the type is unknown, or an internal basin lists no features.
    BasinIdentifierMismatchError
        If it belongs to another measurement.
    """
    definition = entry.definition
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
    candidate = entry.first()
    if candidate is None:
        if not get_manager().knows_type(definition.type):
            raise ValueError(
                f"Invalid basin type '{definition.type}': "
                f"{get_manager().missing_format(definition)}"
            )
        if entry.mismatch is not None:
            raise entry.refusal()
        return None, []
    if definition.features is None:
        return candidate.features, candidate.names()
    return candidate.features, candidate.present(definition.features)


def data_of(basins: BasinSet, index: int) -> tuple[Any, list[str], Any]:
    """Return the documented triple of a basin (``HDF5Data.get_basin_data``).

    Parameters
    ----------
    basins : BasinSet
        The basins of the measurement.
    index : int
        Position in the definitions.

    Returns
    -------
    (group, features, index_mapping)
        The basin's own features by name (an h5py.Group for ``hdf5`` and
        ``h5dataset``; None for a basin that is not available), the names that may
        be used of it, and the mapping to apply to each of them.

    Raises
    ------
    ValueError
        If the type is unknown, or an internal basin lists no features.
    BasinError
        If its index map or all its features are not usable.
    BasinIdentifierMismatchError
        If it belongs to another measurement.
    """
    entry, referrer = basins.entry(index), basins.referrer
    known: tuple[Any, list[str], Any] | None = basins.triples.get(entry)
    if known is not None:
        return known
    group, names = group_of(entry)
    mapping = referrer.index_mapping
    query = FeatureQuery("", remote=True)
    index_map = basins.maps.get(entry.definition.mapping, query, basins.search)
    if index_map is not None:
        chosen = referrer.mapping_indices()
        mapping = index_map.values if chosen is None else index_map.values[chosen]
    _require_one(basins, entry, names, index_map)
    if group is not None:
        basins.triples[entry] = (group, names, mapping)
    return group, names, mapping


def _require_one(
    basins: BasinSet, entry: Entry, names: list[str], index_map: IndexMap | None
) -> None:
    """Raise BasinError if no feature has rows for all events."""
    failure: BasinError | None = None
    for name in names:
        try:
            check_feature(basins, entry.opened()[0], name, index_map)
        except ClosedError:
            raise
        except Exception as exc:
            pass_on(exc)
            if type(exc) is BasinError:
                failure = failure or exc
                continue
        # (What cannot be read says so itself when it is read.)
        return
    if failure is not None:
        raise BasinError(f"basin '{entry.definition.label}': {failure}") from failure
