"""Metadata, logs, tables and basin definitions: the caller's, or read when asked."""

from __future__ import annotations

import copy
import functools
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..basins import StoredBasins, load_definitions
from ..basins.definitions import sort_out
from ..file.attributes import read_metadata
from ..file.logs import read_logs
from ..file.measurement_file import MeasurementFile
from ..file.tables import read_tables
from ..sync.loading_cache import LoadingCache
from ..sync.locks import h5_lock
from .arguments import as_content, as_pixel_size

if TYPE_CHECKING:
    from ..engine import FileHandle
    from ..engine.name_resolver import Place
    from ..file.basin_records import BasinRecord
    from ..file.policy import Policy
    from ..problems import Problem

NAMES = ("meta", "logs", "tables", "basins")
PIXEL_SIZE = "imaging:pixel size"


class Contents:
    """The four dictionaries (basins: a list of them) that go with the features.

    Each is read from the file when it is asked for the first time, unless the
    caller gave it; what the caller gave is copied.

    Parameters
    ----------
    referrer : MeasurementFile
        The open file.
    state : mapping
        ``meta``, ``logs``, ``tables`` and ``basins`` as the caller gave them, None
        for those of the file; ``pixel_size`` in µm; ``meta_changes`` (see
        `changes`).
    cache : LoadingCache
        Of the measurement: holds what was read.
    """

    def __init__(
        self, referrer: MeasurementFile, state: Mapping[str, Any], cache: LoadingCache
    ) -> None:
        self._referrer = referrer
        self._values = cache
        self._as_read: dict[str, Any] = {}
        self._stored_basins: StoredBasins | None = None
        self._meta_changes = state.get("meta_changes") or {}
        self._given: set[str] = set()
        if state.get("pixel_size") is not None:
            size = as_pixel_size(state["pixel_size"])
            changed = {**self._meta_changes.get("set", {}), PIXEL_SIZE: size}
            self._meta_changes = {**self._meta_changes, "set": changed}
        for name in NAMES:
            if state.get(name) is not None:
                self._given.add(name)
                value = as_content(name, state[name])
                if name == "meta":
                    apply_changes(value, self._meta_changes)
                self._values.put(name, value)

    def get(self, name: str) -> Any:
        """Return one of the four, always the same object."""
        return self._values.get(name, functools.partial(self._read, name))

    def put(self, name: str, value: Any) -> None:
        """Replace one of the four."""
        self._given.add(name)
        self._values.put(name, value)

    def _read(self, name: str) -> Any:
        referrer = self._referrer
        handle, policy = referrer.handle, referrer.policy
        events = referrer.group if name == "basins" else None
        handle.preload(lambda: _stored(name, handle, policy, [], events))
        value = _stored(name, handle, policy, referrer.problems, events)
        if name == "meta":
            self._as_read[name] = copy.deepcopy(value)
            apply_changes(value, self._meta_changes)
            return value
        if name == "basins":
            self._stored_basins, value = value, value.usable
        self._as_read[name] = _digest(name, value)
        return value

    def basins(self) -> tuple[Sequence[Any], list[BasinRecord]]:
        """Return the definitions, and those of the file that are no basins.

        They are parsed already, unless somebody changed them.
        """
        basins, stored = self.get("basins"), self._stored_basins
        if stored is None:  # given by the caller
            return basins, []
        as_read = _digest("basins", basins) == self._as_read["basins"]
        return (stored.definitions if as_read else basins), stored.dropped

    def state(self) -> dict[str, Any]:
        """Return what a pickle has to carry: what differs from the file."""
        state: dict[str, Any] = {"pixel_size": None, "meta_changes": {}}
        for name in NAMES:
            value = self._values.peek(name)
            if name in self._given:
                state[name] = value
            elif value is None or name == "meta":
                state[name] = None
            else:
                changed = _digest(name, value) != self._as_read[name]
                state[name] = value if changed else None
        if "meta" not in self._given:
            meta = self._values.peek("meta")
            state["meta_changes"] = (
                dict(self._meta_changes)
                if meta is None
                else changes(self._as_read["meta"], meta)
            )
        return state


def nest(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as sections of names, as dclab's ``config`` has them.

    A key without a colon, or with several, is kept under its own full name.
    So is one whose section has the name of such a key.
    """
    nested: dict[str, Any] = {}
    whole = {key for key in meta if key.count(":") != 1}
    for key, value in meta.items():
        section, _, name = key.partition(":")
        if key in whole or section in whole:
            nested[key] = value
        else:
            nested.setdefault(section, {})[name] = value
    return nested


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what turns one metadata dictionary into another.

    Returns
    -------
    dict
        ``{"set": {name: value}, "removed": [name]}``, ``{}`` for no difference.
    """
    put = {
        key: copy.deepcopy(value)
        for key, value in after.items()
        if key not in before or not _same(before[key], value)
    }
    removed = [key for key in before if key not in after]
    return {"set": put, "removed": removed} if put or removed else {}


def apply_changes(meta: dict[str, Any], difference: Mapping[str, Any]) -> None:
    """Change `meta` as `changes` told."""
    for key in difference.get("removed", ()):
        meta.pop(key, None)
    meta.update(difference.get("set", {}))


def _same(one: Any, other: Any) -> bool:
    return one is other or fingerprint(one) == fingerprint(other)


def _digest(name: str, value: object) -> bytes | str:
    """Return what tells whether one of the four has changed."""
    # (definitions are JSON, of which the text tells all: there may be thousands)
    return repr(value) if name == "basins" else fingerprint(value)


def fingerprint(value: object) -> bytes:
    """Return a digest of dictionaries, sequences, arrays, text and numbers."""
    digest = hashlib.md5(usedforsecurity=False)
    _feed(digest, (value,))
    return digest.digest()


def _feed(digest: Any, values: Iterable[object]) -> None:
    for value in values:
        if isinstance(value, Mapping):
            digest.update(b"{%d" % len(value))
            _feed(digest, itertools.chain.from_iterable(value.items()))
        elif isinstance(value, (list, tuple)):
            digest.update(b"[%d" % len(value))
            _feed(digest, value)
        elif isinstance(value, np.ndarray):
            digest.update(f"a{value.dtype!r}{value.shape}".encode())
            if value.dtype.hasobject:
                _feed(digest, (value.ravel().tolist(),))
            else:
                digest.update(value.tobytes())
        else:
            text = repr(value).encode("utf-8", "surrogatepass")
            digest.update(b"%s%d:" % (type(value).__name__.encode(), len(text)))
            digest.update(text)


def _stored(
    name: str,
    handle: FileHandle,
    policy: Policy,
    problems: list[Problem],
    events: Place | None,
) -> Any:
    """Read one of the four from the file, whose group of features may be open."""
    resource = handle.resource
    if name == "meta":
        problems += [] if resource is None else resource.problems
        return read_metadata(handle, problems)
    if resource is not None:
        if name == "basins":
            return sort_out(resource.definitions(), handle.h5, problems, policy)
        return getattr(resource, name)(problems)
    if name == "logs":
        return read_logs(handle, problems)
    if name == "tables":
        return read_tables(handle, problems)
    with handle.using(), h5_lock:
        return load_definitions(handle, problems, policy, events)
