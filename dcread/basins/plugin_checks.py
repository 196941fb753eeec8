"""What is wrong with a plugin, or with a basin class that it registers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pluggy

from . import hookspecs
from .base import API, Basin

_REACHES = ("local", "remote", "inside")


def why_useless(plugin: object, manager: pluggy.PluginManager) -> str:
    """Return why a plugin registers nothing; empty if it does."""
    if isinstance(plugin, type):
        return (
            f"it names the class {plugin.__qualname__}: name the module with the hooks"
        )
    known = {name for name in vars(hookspecs) if name.startswith("dcread_")}
    names = [name for name in dir(plugin) if not name.startswith("__")]
    marked = [name for name in names if _is_marked(plugin, name, manager)]
    unknown = [name for name in marked if _specname(plugin, name) not in known]
    if unknown:
        return (
            f"there is no hook '{unknown[0]}'; there are {' and '.join(sorted(known))}"
        )
    if marked:
        return ""
    bare = sorted(known.intersection(names))
    if bare:
        return f"its function '{bare[0]}' is not marked with @dcread.hookimpl"
    return f"it implements no hook; there are {' and '.join(sorted(known))}"


def _is_marked(plugin: object, name: str, manager: pluggy.PluginManager) -> bool:
    options = getattr(getattr(plugin, name, None), f"{manager.project_name}_impl", None)
    return isinstance(options, dict)


def _specname(plugin: object, name: str) -> str:
    options = getattr(getattr(plugin, name), "dcread_impl", {})
    return str(options.get("specname") or name)


def name_of(basin_class: type[Basin]) -> str:
    """Return what messages call a class: its module and its name."""
    return f"{basin_class.__module__}.{basin_class.__qualname__}"


def what_is_wrong(basin_class: Any) -> str | None:
    """Return why something cannot be registered as a basin class; None if it can."""
    if not isinstance(basin_class, type) or not issubclass(basin_class, Basin):
        return f"dcread_register_basins should return Basin classes, got {basin_class}"
    return next(_shortcomings(basin_class), None)


def _shortcomings(basin_class: type[Basin]) -> Iterator[str]:
    name = name_of(basin_class)
    for attribute in ("format", "type"):
        value = getattr(basin_class, attribute, None)
        if not isinstance(value, str) or not value:
            yield f"{name} should declare '{attribute}' as text"
    if basin_class.api != API:
        yield (
            f"{name} is written for version {basin_class.api!r} of the contract, this "
            f"dcread knows version {API}: install versions that fit"
        )
    if basin_class.reach not in _REACHES:
        yield f"{name} should declare 'reach' as one of {', '.join(_REACHES)}"
    if not isinstance(basin_class.priority, int):
        yield f"{name} should declare 'priority' as an integer"
    if inspect.isabstract(basin_class):
        missing = ", ".join(sorted(basin_class.__abstractmethods__))
        yield f"{name} does not implement {missing}"
