"""The basin definitions of a file as they are stored: text that may hold anything."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BasinError
from ..problems import UNREADABLE, one_line, pass_on
from ..sync.locks import h5_lock
from .links import STRICT, has_member, subgroup
from .text_lines import read_lines
from .variable_length import VariableLengths

if TYPE_CHECKING:
    import h5py

    from ..engine import FileHandle
    from ..engine.name_resolver import Place
    from .policy import Policy

MAX_TEXT_BYTES = 16 << 20
"""How long the texts of all definitions of a file may be together."""

_MAX_JSON_DEPTH = 32
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class BasinRecord:
    """One stored definition.

    Attributes
    ----------
    key : str
        Its name in the file; ``"basins"`` for what concerns all of them.
    raw : dict or None
        The decoded JSON object; None if it is none.
    reason : str
        Why it cannot be used: what was expected, what was found; empty if it can.
    """

    key: str
    raw: dict[str, Any] | None
    reason: str = ""

    def because(self, reason: object) -> BasinRecord:
        """Return the record with a reason, on one line, without secrets of URLs."""
        return BasinRecord(self.key, self.raw, one_line(reason))


def read_basin_records(
    handle: FileHandle,
    policy: Policy,
    limit: int | None = None,
    group: h5py.Group | None = None,
) -> list[BasinRecord]:
    """Read the definitions of a file; never fails because of them.

    The caller keeps the file open.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    policy : Policy
        Bounds number and size of the definitions.
    limit : int, optional
        How many definitions to read at the most, in place of what the policy says.
    group : h5py.Group, optional
        What has the definitions, if it is not the file itself.

    Returns
    -------
    list of BasinRecord
        In the order of the keys; what could not be read has a reason.
    """
    limit = policy.max_definitions if limit is None else limit
    everything = BasinRecord("basins", None)
    try:
        with h5_lock:
            owner = handle.root if group is None else group.id
            if not has_member(owner, "basins"):
                return []
            basins = subgroup(handle, "basins", owner, STRICT)
            handle.check_listing(basins.id)
            keys = [key.decode("utf-8", "surrogateescape") for key in basins.id]
    except UNREADABLE as exc:
        pass_on(exc)
        return [everything.because(f"the group '/basins' cannot be read: {exc}")]
    found = []
    if len(keys) > limit:
        reason = (
            f"expected at most {limit} definitions, found {len(keys)}; the rest is "
            "left out (Policy(max_definitions=...))"
        )
        found.append(everything.because(reason))
    with VariableLengths(handle) as lengths:
        return found + _read_all(basins, keys[:limit], policy, lengths)


def _read_all(
    group: Place, keys: list[str], policy: Policy, lengths: VariableLengths
) -> list[BasinRecord]:
    found = []
    everything = BasinRecord("basins", None)
    left = MAX_TEXT_BYTES
    for key in keys:
        record = BasinRecord(key, None)
        try:
            size = min(policy.max_definition_bytes, left)
            lines = read_lines(group, key, size, "the definition", lengths)
            left -= sum(map(len, lines))
            found.append(BasinRecord(key, _as_object(lines)))
        except UNREADABLE as exc:
            pass_on(exc)
            found.append(record.because(exc))
            if left < policy.max_definition_bytes and "at most" in str(exc):
                reason = (
                    f"the definitions have more than {MAX_TEXT_BYTES} bytes of text; "
                    f"'{key}' and all after it are left out"
                )
                found.append(everything.because(reason))
                break
    return found


def _as_object(lines: list[str]) -> dict[str, Any]:
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
    # (more brackets than that, or it cannot be nested so deep)
    if text.count("[") + text.count("{") > _MAX_JSON_DEPTH:
        depth = 0
        for token in _TOKENS.finditer(text):
            first = token.group()[0]
            depth += (first in "[{") - (first in "]}")
            if depth > _MAX_JSON_DEPTH:
                raise BasinError(
                    f"the definition is nested deeper than {_MAX_JSON_DEPTH} levels"
                )
    return json.loads(text)
