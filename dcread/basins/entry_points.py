"""Installed plugins: which there are, and importing them in time."""

from __future__ import annotations

import functools
import importlib.metadata
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..errors import BasinNotAvailableError
from ..problems import pass_on
from ..sync.locks import BriefLock
from .in_time import CallInTime

GROUP = "dcread"
IMPORT_SECONDS = 10.0
"""How long importing a plugin may take before it is passed over."""

_importing = threading.local()


class Loaded(NamedTuple):
    """A plugin that was imported, or why it could not be."""

    entry_point: importlib.metadata.EntryPoint
    plugin: Any
    error: BaseException | None


def origin_of(entry_point: importlib.metadata.EntryPoint) -> str:
    """Return name and version of the distribution."""
    dist = entry_point.dist
    return f"{dist.name} {dist.version}" if dist is not None else entry_point.value


def is_importing() -> bool:
    """Tell whether this thread imports a plugin."""
    return getattr(_importing, "now", False)


class EntryPoints:
    """The entry points of installed plugins, each imported once, side by side."""

    def __init__(self) -> None:
        self._lock = BriefLock()
        self._found: list[importlib.metadata.EntryPoint] | None = None
        self._calls: dict[int, tuple[CallInTime[Any], float]] = {}
        self._taken: set[int] = set()

    def all(self) -> list[importlib.metadata.EntryPoint]:
        """Return all, in the order of their distributions."""
        if self._found is None:
            found = importlib.metadata.entry_points(group=GROUP)
            self._found = sorted(found, key=origin_of)
        return self._found

    def for_format(
        self, type_: str, format_: str
    ) -> list[importlib.metadata.EntryPoint]:
        """Return those whose name says that they are for a format."""
        names = (format_, f"{type_}:{format_}")
        return [found for found in self.all() if found.name in names]

    def load(
        self, entry_points: Iterable[importlib.metadata.EntryPoint]
    ) -> list[Loaded]:
        """Import plugins side by side; return those that nobody got before."""
        every = self.all()
        wanted = {every.index(found): found for found in entry_points}
        loaded = []
        for number, found in wanted.items():
            try:
                self._start(number, found)
            except BasinNotAvailableError as exc:  # tried again when asked again
                loaded.append(Loaded(found, None, exc))
        for number, found in wanted.items():
            if number not in self._calls:
                continue
            call, deadline = self._calls[number]
            plugin, error = None, None
            try:
                plugin = call.wait(max(0.0, deadline - time.monotonic()))
            except Exception as exc:
                pass_on(exc)
                error = exc
            with self._lock:
                if number not in self._taken:
                    self._taken.add(number)
                    loaded.append(Loaded(found, plugin, error))
        return loaded

    def _start(self, number: int, found: importlib.metadata.EntryPoint) -> None:
        with self._lock:
            known = self._calls.get(number)
            if known is None or known[0].is_lost:
                call = CallInTime(
                    functools.partial(_import, found), IMPORT_SECONDS, "its import"
                )
                call.start()
                self._calls[number] = (call, time.monotonic() + IMPORT_SECONDS)


def _import(entry_point: importlib.metadata.EntryPoint) -> Any:
    _importing.now = True
    return entry_point.load()
