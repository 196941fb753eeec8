"""Which plugins there are; ours are registered like anybody's."""

from __future__ import annotations

import importlib.metadata
import inspect
import pathlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pluggy

from ..problems import Problem
from ..sync.locks import PatientLock
from .base import Basin
from .definition import BasinDefinition
from .paths import as_locations

GROUP = "dcread"
IMPORT_SECONDS = 10.0
"""How long importing one plugin may take before it is passed over."""


class Registered(NamedTuple):
    """A basin class and where it comes from."""

    basin_class: type[Basin]
    source: str
    plugin: str


class BasinManager:
    """The basin formats that can be read.

    Installed plugins (entry points of the group ``dcread``) are imported when a
    definition needs a format that is not built in, or a place to look that is not
    stored. A plugin that fails is passed over and shows up in `problems`.

    Attributes
    ----------
    pluggy : pluggy.PluginManager
        For hooks and plugins; register through `register`.
    problems : list of Problem
        What was wrong with plugins.
    """

    def __init__(self) -> None:
        from . import file, hookspecs, internal

        self.pluggy = pluggy.PluginManager("dcread")
        self.pluggy.add_hookspecs(hookspecs)
        self.problems: list[Problem] = []
        self._formats: dict[str, Registered] = {}
        self._sources: dict[str, str] = {}
        self._lock = PatientLock()
        self._entry_points_loaded = False
        for module in (internal, file):
            self.register(module, source="dcread")

    def register(
        self, plugin: object, name: str | None = None, source: str | None = None
    ) -> None:
        """Register a plugin: a module or object with hook implementations.

        Parameters
        ----------
        plugin : object
            Something with functions marked by ``dcread.hookimpl``.
        name : str, optional
            Unique name; that of the module if not given.
        source : str, optional
            What messages call its origin (a distribution).
        """
        with self._lock:
            registered = self.pluggy.register(plugin, name)
            if registered is None:
                return
            self._sources[registered] = source or registered
            for implementation in self._implementations("dcread_register_basins"):
                if implementation.plugin is plugin:
                    self._take_classes(implementation)

    def unregister(self, plugin: object) -> None:
        """Forget a plugin and its formats."""
        with self._lock:
            name = self.pluggy.get_name(plugin)
            self.pluggy.unregister(plugin)
            self._sources.pop(name or "", None)
            self._formats = {
                format_: entry
                for format_, entry in self._formats.items()
                if entry.plugin != name
            }

    def _implementations(self, hook: str) -> list[Any]:
        return list(getattr(self.pluggy.hook, hook).get_hookimpls())

    def _take_classes(self, implementation: Any) -> None:
        source = self._sources[implementation.plugin_name]
        try:
            answer = implementation.function()
            classes: list[Any] = (
                [answer] if isinstance(answer, type) else list(answer or ())
            )
        except Exception as exc:
            self._note(source, f"dcread_register_basins failed: {exc!r}")
            return
        for basin_class in classes:
            reason = _what_is_wrong(basin_class)
            if reason is not None:
                self._note(source, reason)
                continue
            other = self._formats.setdefault(
                basin_class.format,
                Registered(basin_class, source, implementation.plugin_name),
            )
            if other.basin_class is not basin_class:
                self._note(
                    source,
                    f"the format '{basin_class.format}' is registered twice: by "
                    f"{_name(other.basin_class)} of {other.source}, which is used, and "
                    f"by {_name(basin_class)} of {source}, which is not",
                )

    def _note(self, source: str, reason: str) -> None:
        self.problems.append(Problem("plugin", source, reason))

    def formats(self) -> dict[str, Registered]:
        """Return all formats, installed plugins included."""
        self.load_entry_points()
        return dict(self._formats)

    def basin_class(self, type_: str, format_: str) -> type[Basin] | None:
        """Return the class that reads a format, None if there is none."""
        if format_ not in self._formats:
            self.load_entry_points()
        found = self._formats.get(format_)
        if found is None or found.basin_class.type != type_:
            return None
        return found.basin_class

    def knows_type(self, type_: str) -> bool:
        """Tell whether any registered class is of a type."""
        if any(item.basin_class.type == type_ for item in self._formats.values()):
            return True
        return any(item.basin_class.type == type_ for item in self.formats().values())

    def missing_format(self, definition: BasinDefinition) -> str:
        """Return why no class reads a definition, and what to do about it."""
        found = self.formats().get(definition.format)
        if found is not None:
            return (
                f"format '{definition.format}' is of type '{found.basin_class.type}', "
                f"the definition says type '{definition.type}'"
            )
        notes = "".join(f"; {problem}" for problem in self.problems)
        return (
            f"format '{definition.format}' (type '{definition.type}') is unknown: "
            f"install a plugin for it, or a newer dcread{notes}"
        )

    def offered_locations(
        self, definition: BasinDefinition, referrer_path: pathlib.Path | None
    ) -> Iterator[str]:
        """Yield the locations that plugins offer for a definition."""
        self.load_entry_points()
        values = {"definition": definition, "referrer_path": referrer_path}
        for implementation in self._implementations("dcread_basin_locations"):
            source = self._sources.get(implementation.plugin_name, "a plugin")
            try:
                arguments = [values[name] for name in implementation.argnames]
                answer = implementation.function(*arguments)
                found = list(as_locations(answer, "dcread_basin_locations"))
            except Exception as exc:
                self._note(source, f"dcread_basin_locations failed: {exc!r}")
                continue
            yield from found

    def load_entry_points(self) -> None:
        """Import the installed plugins; once, at the first need."""
        # A plugin that asks for formats while it is imported gets what is there.
        if self._entry_points_loaded or isinstance(
            threading.current_thread(), _ImportThread
        ):
            return
        with self._lock:
            if self._entry_points_loaded:
                return
            found = importlib.metadata.entry_points(group=GROUP)
            for entry_point in sorted(found, key=_origin):
                self._load(entry_point)
            self._entry_points_loaded = True

    def _load(self, entry_point: importlib.metadata.EntryPoint) -> None:
        source = _origin(entry_point)
        name = entry_point.name
        if self.pluggy.is_blocked(name):
            return
        if self.pluggy.has_plugin(name):
            # Names are unique within a distribution only.
            name = f"{source}: {name}"
        try:
            plugin = _import_in_time(entry_point)
            if not self.pluggy.is_registered(plugin):
                self.register(plugin, name, source)
        except BaseException as exc:
            # SystemExit in a plugin must not end the program either.
            if isinstance(exc, KeyboardInterrupt):
                raise
            self._note(source, f"the plugin '{name}' cannot be loaded: {exc!r}")


class _ImportThread(threading.Thread):
    """Imports one plugin; a daemon, so that a hanging import cannot hold the exit."""

    def __init__(self, entry_point: importlib.metadata.EntryPoint) -> None:
        super().__init__(name=f"dcread-plugin-{entry_point.name}", daemon=True)
        self.entry_point = entry_point
        self.plugin: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.plugin = self.entry_point.load()
        except BaseException as exc:
            self.error = exc


def _import_in_time(entry_point: importlib.metadata.EntryPoint) -> Any:
    thread = _ImportThread(entry_point)
    thread.start()
    thread.join(IMPORT_SECONDS)
    if thread.is_alive():
        raise TimeoutError(f"its import took longer than {IMPORT_SECONDS:g} s")
    if thread.error is not None:
        raise thread.error
    return thread.plugin


def _origin(entry_point: importlib.metadata.EntryPoint) -> str:
    dist = entry_point.dist
    return f"{dist.name} {dist.version}" if dist is not None else entry_point.value


def _name(basin_class: type[Basin]) -> str:
    return f"{basin_class.__module__}.{basin_class.__qualname__}"


def _what_is_wrong(basin_class: Any) -> str | None:
    if not isinstance(basin_class, type) or not issubclass(basin_class, Basin):
        return f"dcread_register_basins should return Basin classes, got {basin_class}"
    for attribute in ("format", "type"):
        value = getattr(basin_class, attribute, None)
        if not isinstance(value, str) or not value:
            return f"{_name(basin_class)} should declare '{attribute}' as text"
    if inspect.isabstract(basin_class):
        missing = ", ".join(sorted(basin_class.__abstractmethods__))
        return f"{_name(basin_class)} does not implement {missing}"
    return None


_manager: BasinManager | None = None
_manager_lock = PatientLock()


def get_manager() -> BasinManager:
    """Return the one manager of this process."""
    global _manager  # noqa: PLW0603
    with _manager_lock:
        if _manager is None:
            _manager = BasinManager()
        return _manager
