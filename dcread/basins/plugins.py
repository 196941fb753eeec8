"""Which plugins there are; ours are registered like anybody's."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import pluggy

from ..problems import Problem, pass_on
from ..sync.locks import PatientLock
from . import cropped, dcor, file, hookspecs, http, internal, s3
from .definition import BasinDefinition
from .entry_points import EntryPoints, Loaded, is_importing, origin_of
from .in_time import call_in_time, describe
from .paths import as_locations
from .plugin_checks import name_of, what_is_wrong, why_useless
from .registered import PluginRow, Registered

HOOK_SECONDS = 10.0
"""How long a hook of a plugin may take before it is passed over."""


class BasinManager:
    """The basin formats that can be read.

    Installed plugins (entry points of the group ``dcread``) are imported when a
    definition needs a format that is not built in: one whose name is that of the
    format (or ``type:format``) alone, the others only if none has that name. A plugin
    that fails is passed over and shows up in `problems`.

    Parameters
    ----------
    built_in : bool
        Whether to begin with the formats that come with dcread.

    Attributes
    ----------
    pluggy : pluggy.PluginManager
        For hooks and plugins; register through `register`.
    problems : list of Problem
        What was wrong with plugins, each once.
    """

    def __init__(self, *, built_in: bool = True) -> None:
        self.pluggy = pluggy.PluginManager("dcread")
        self.pluggy.add_hookspecs(hookspecs)
        self.problems: list[Problem] = []
        self._formats: dict[tuple[str, str], Registered] = {}
        self._sources: dict[str, str] = {}
        self._lock = PatientLock()
        self._entry_points = EntryPoints()
        self._all_loaded = False
        if built_in:
            self.register_built_ins()

    def register_built_ins(self) -> None:
        """Register the formats that come with dcread."""
        for module in (internal, cropped, file, http, s3, dcor):
            self._register(module, None, "dcread", built_in=True)

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
        self._register(plugin, name, source)

    def _register(
        self,
        plugin: object,
        name: str | None,
        source: str | None,
        *,
        built_in: bool = False,
    ) -> None:
        with self._lock:
            registered = self.pluggy.register(plugin, name)
            if registered is None:
                return
            self._sources[registered] = source = source or registered
            reason = why_useless(plugin, self.pluggy)
            if reason:
                self._note(source, reason)
        for implementation in self._implementations("dcread_register_basins"):
            if implementation.plugin is plugin:
                self._take_classes(implementation, source, built_in=built_in)

    def unregister(self, plugin: object) -> None:
        """Forget a plugin and its formats."""
        with self._lock:
            name = self.pluggy.get_name(plugin)
            self.pluggy.unregister(plugin)
            self._sources.pop(name or "", None)
            self._formats = self._formats_but_of(name)

    def _formats_but_of(self, name: str | None) -> dict[tuple[str, str], Registered]:
        return {
            key: entry for key, entry in self._formats.items() if entry.plugin != name
        }

    def _implementations(self, hook: str) -> list[Any]:
        return list(getattr(self.pluggy.hook, hook).get_hookimpls())

    def _take_classes(
        self, implementation: Any, source: str, *, built_in: bool
    ) -> None:
        def ask() -> list[Any]:
            answer = implementation.function()
            return [answer] if isinstance(answer, type) else list(answer or ())

        hook = "dcread_register_basins"
        try:
            classes = ask() if built_in else call_in_time(ask, HOOK_SECONDS, hook)
        except Exception as exc:
            pass_on(exc)
            self._note(source, f"{hook} failed: {describe(exc)}")
            return
        if not classes:
            self._note(source, f"{hook} returned no class")
        for basin_class in classes:
            reason = what_is_wrong(basin_class)
            if reason is not None:
                self._note(source, reason)
                continue
            made = Registered(basin_class, source, implementation.plugin_name, built_in)
            key = (basin_class.type, basin_class.format)
            with self._lock:
                other = self._formats.setdefault(key, made)
            if other.basin_class is not basin_class:
                self._note(
                    source,
                    f"the format '{key[1]}' (type '{key[0]}') is registered twice: by "
                    f"{name_of(other.basin_class)} of {other.source}, which is used, "
                    f"and by {name_of(basin_class)} of {source}, which is not",
                )

    def _note(self, source: str, reason: str) -> None:
        problem = Problem("plugin", source, reason)
        with self._lock:
            if problem not in self.problems:
                self.problems.append(problem)

    def formats(self) -> dict[tuple[str, str], Registered]:
        """Return all classes by (type, format), installed plugins included."""
        self.load_entry_points()
        return dict(self._formats)

    def rows(self) -> list[PluginRow]:
        """Return a line for each format, and for each plugin that gives none.

        Imports all installed plugins.
        """
        found = [
            PluginRow(format_, type_, name_of(entry.basin_class), entry.source)
            for (type_, format_), entry in self.formats().items()
        ]
        troubles = [
            PluginRow("", "", "", problem.name, problem.reason)
            for problem in self.problems
        ]
        return found + troubles

    def find(self, type_: str, format_: str) -> Registered | None:
        """Return the class that reads a format, None if there is none."""
        key = (type_, format_)
        found = self._formats.get(key)
        if found is None and not self._all_loaded and not is_importing():
            named = self._entry_points.for_format(type_, format_)
            if named:
                self._take(self._entry_points.load(named))
            else:
                self.load_entry_points()
            found = self._formats.get(key)
        return found

    def knows_type(self, type_: str) -> bool:
        """Tell whether any registered class is of a type."""
        # (the keys are pairs of type and format)
        return type_ in dict(list(self._formats)) or type_ in dict(list(self.formats()))

    def missing_format(self, definition: BasinDefinition) -> str:
        """Return why no class reads a definition, and what to do about it."""
        types = sorted(
            type_ for type_, format_ in self._formats if format_ == definition.format
        )
        if types:
            return (
                f"format '{definition.format}' is of type '{types[0]}', "
                f"the definition says type '{definition.type}'"
            )
        notes = "".join(f"; {problem}" for problem in list(self.problems))
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
        hook = "dcread_basin_locations"
        for implementation in self._implementations(hook):
            source = self._sources.get(implementation.plugin_name, "a plugin")

            def ask(implementation: Any = implementation) -> list[str]:
                arguments = [values[name] for name in implementation.argnames]
                return as_locations(implementation.function(*arguments), hook)

            try:
                yield from call_in_time(ask, HOOK_SECONDS, hook)
            except Exception as exc:
                pass_on(exc)
                self._note(source, f"{hook} failed: {describe(exc)}")

    def load_entry_points(self) -> None:
        """Import all installed plugins; once, at the first need."""
        # A plugin that asks for formats while it is imported gets what is there.
        if self._all_loaded or is_importing():
            return
        self._take(self._entry_points.load(self._entry_points.all()))
        self._all_loaded = True

    def _take(self, loaded: Iterable[Loaded]) -> None:
        for entry_point, plugin, error in loaded:
            source, name = origin_of(entry_point), entry_point.name
            if self.pluggy.is_blocked(name):
                continue
            if self.pluggy.has_plugin(name):
                # Names are unique within a distribution only.
                name = f"{source}: {name}"
            try:
                if error is not None:
                    raise error
                if not self.pluggy.is_registered(plugin):
                    self.register(plugin, name, source)
            except Exception as exc:
                pass_on(exc)
                self._note(
                    source, f"the plugin '{name}' cannot be loaded: {describe(exc)}"
                )


_manager: BasinManager | None = None
_manager_lock = PatientLock()


def get_manager() -> BasinManager:
    """Return the one manager of this process."""
    global _manager  # noqa: PLW0603
    found = _manager
    if found is None:
        with _manager_lock:
            if _manager is None:
                _manager = BasinManager()
            found = _manager
    return found


@contextlib.contextmanager
def using_manager(manager: BasinManager) -> Iterator[BasinManager]:
    """Have another manager in this process for the length of a ``with`` block."""
    global _manager  # noqa: PLW0603
    with _manager_lock:
        before, _manager = _manager, manager
    try:
        yield manager
    finally:
        with _manager_lock:
            _manager = before
