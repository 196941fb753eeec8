"""Basin definitions as they lie in a file: text that may hold anything."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BasinError
from ..file.links import has_member, subgroup
from ..file.policy import Policy
from ..file.text_lines import read_lines
from ..problems import UNREADABLE, Problem, as_name, one_line
from ..sync.locks import h5_lock
from .definition import BasinDefinition, sort_definitions

if TYPE_CHECKING:
    import h5py

_MAX_JSON_DEPTH = 32
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class DroppedBasin:
    """A definition of a file that is no basin for us, and why.

    Attributes
    ----------
    key : str
        Its name in the file.
    raw : dict or None
        The definition; None if it is not even a JSON object.
    reason : str
        What was expected, what was found.
    """

    key: str
    raw: dict[str, Any] | None
    reason: str

    @classmethod
    def because(
        cls, key: str, raw: dict[str, Any] | None, reason: object
    ) -> DroppedBasin:
        """Make a record; the reason on one line and without signatures of URLs."""
        return cls(key, raw, one_line(reason))


@dataclass(frozen=True, slots=True)
class StoredBasins:
    """What a file says about its basins.

    Attributes
    ----------
    usable : list of dict
        Definitions in look-up order (`sort_definitions`), verbatim.
    dropped : list of DroppedBasin
        The others.
    """

    usable: list[dict[str, Any]]
    dropped: list[DroppedBasin]


def load_definitions(
    h5: h5py.Group,
    problems: list[Problem] | None = None,
    policy: Policy | None = None,
) -> StoredBasins:
    """Read all definitions of a file; never fails because of them.

    Parameters
    ----------
    h5 : h5py.Group
        The open file.
    problems : list of Problem, optional
        Where to record what could not be used.
    policy : Policy, optional
        Bounds number and size of the definitions.
    """
    kept, dropped = _load(h5, policy or Policy.default(), check=True)
    if problems is not None:
        problems.extend(Problem("basin", item.key, item.reason) for item in dropped)
    return StoredBasins(sort_definitions(kept), dropped)


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
    kept, dropped = _load(h5, Policy.default(), check=check)
    if problems is not None:
        problems.extend(Problem("basin", item.key, item.reason) for item in dropped)
    return kept


def _load(
    h5: Any, policy: Policy, *, check: bool
) -> tuple[list[dict[str, Any]], list[DroppedBasin]]:
    kept: list[tuple[str, dict[str, Any]]] = []
    dropped: list[DroppedBasin] = []
    try:
        with h5_lock:
            if not has_member(h5.id, "basins"):
                return [], []
            group = subgroup(None, "basins", h5.id)
            keys = [as_name(key) for key in group.id]
    except UNREADABLE as exc:
        reason = f"the group '/basins' cannot be read: {exc}"
        return [], [DroppedBasin.because("basins", None, reason)]
    if len(keys) > policy.max_definitions:
        reason = (
            f"expected at most {policy.max_definitions} definitions, found "
            f"{len(keys)}; the rest is left out (Policy(max_definitions=...))"
        )
        dropped.append(DroppedBasin.because("basins", None, reason))
    for key in keys[: policy.max_definitions]:
        try:
            kept.append((key, _read_object(group, key, policy)))
        except UNREADABLE as exc:
            dropped.append(DroppedBasin.because(key, None, exc))
    if check:
        kept = _usable(h5, kept, dropped)
    dropped.sort(key=lambda item: item.key)
    return [raw for _, raw in kept], dropped


def _usable(
    h5: Any, kept: list[tuple[str, dict[str, Any]]], dropped: list[DroppedBasin]
) -> list[tuple[str, dict[str, Any]]]:
    from .plugins import get_manager

    parsed: list[tuple[str, dict[str, Any], BasinDefinition]] = []
    for key, raw in kept:
        try:
            definition = BasinDefinition.parse(raw, key)
            if not get_manager().knows_type(definition.type):
                raise BasinError(get_manager().missing_format(definition))
        except BasinError as exc:
            dropped.append(DroppedBasin.because(key, raw, exc))
        else:
            parsed.append((key, raw, definition))
    usable = []
    found: dict[str, bool] = {}
    # For each feature (None: any) the maps that basins with it need themselves.
    offers: dict[str | None, set[str | None]] = {}
    for _, _, definition in parsed:
        for feature in definition.features or (None,):
            offers.setdefault(feature, set()).add(definition.mapping)
    for key, raw, definition in parsed:
        name = definition.mapping
        if name is not None and name not in found:
            # A basin can give a map unless it needs the very same map itself.
            offered = offers.get(name, set()) | offers.get(None, set())
            found[name] = bool(offered - {name}) or _stored(h5, name)
        if name is None or found[name]:
            usable.append((key, raw))
            continue
        reason = f"its map '{name}' is neither stored in the file nor in a basin"
        dropped.append(DroppedBasin.because(key, raw, reason))
    return usable


def _stored(h5: Any, name: str) -> bool:
    with contextlib.suppress(*UNREADABLE), h5_lock:
        return has_member(subgroup(None, "events", h5.id).id, name)
    return False


def _read_object(group: Any, key: str, policy: Policy) -> dict[str, Any]:
    lines = read_lines(group, key, policy.max_definition_bytes, "the definition")
    raw: object = None
    try:
        raw = _decode("\n".join(lines))
    except ValueError as exc:
        # Other writers let a line end inside a string and join by a space.
        try:
            raw = _decode(" ".join(lines))
        except ValueError:
            raise BasinError(f"the definition is not JSON: {exc}") from exc
    if not isinstance(raw, dict):
        raise BasinError(
            f"the definition should be a JSON object, found {type(raw).__name__}"
        )
    return raw


def _decode(text: str) -> object:
    depth = 0
    for token in _TOKENS.finditer(text):
        first = token.group()[0]
        depth += (first in "[{") - (first in "]}")
        if depth > _MAX_JSON_DEPTH:
            raise BasinError(
                f"the definition is nested deeper than {_MAX_JSON_DEPTH} levels"
            )
    return json.loads(text)
