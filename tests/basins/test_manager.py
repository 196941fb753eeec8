"""Which formats there are: registering, priorities, clashes."""

from __future__ import annotations

import importlib
import pathlib
import pkgutil
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dcread
from dcread import basins
from dcread.basins import Basin, BasinManager

RAMP = np.arange(5) * 1.5
MEMORY = {"name": "m", "type": "memory", "format": "memory"}
Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., type[Basin]]
Plugin = Callable[..., types.ModuleType]


def test_built_in_formats_are_plugins_like_others(manager: BasinManager) -> None:
    formats = manager.formats()
    assert {
        ("file", "hdf5"),
        ("internal", "h5dataset"),
        ("internal", "h5datasetchop"),
    } <= set(formats)
    assert all(item.source == "dcread" for item in formats.values())
    assert manager.problems == []
    names = {hook for hook in dir(manager.pluggy.hook) if hook.startswith("dcread")}
    assert names == {"dcread_register_basins", "dcread_basin_locations"}


def test_every_format_in_the_package_is_offered(manager: BasinManager) -> None:
    """Not only those that somebody thought of when the manager was written."""
    names = (module.name for module in pkgutil.iter_modules(basins.__path__))
    modules = [importlib.import_module(f"dcread.basins.{name}") for name in names]
    offering = {
        module.__name__
        for module in modules
        if hasattr(getattr(module, "dcread_register_basins", None), "dcread_impl")
    }
    assert {"dcread.basins.file", "dcread.basins.http"} <= offering
    assert offering == {module.__name__ for module in manager.pluggy.get_plugins()}


def test_type_of_a_plugin_is_used_and_forgotten(
    manager: BasinManager,
    write_file: Write,
    open_basins: Open,
    plugin: Plugin,
    memory_basin: Make,
) -> None:
    path = write_file("ref.rtdc", basins=[MEMORY])
    assert open_basins(path).values("deform") is None
    memory = memory_basin()
    module = plugin(memory)
    manager.register(module)
    opened = open_basins(path)
    assert opened.values("deform").tolist() == RAMP.tolist()
    assert opened.get_data(0)[1] == ["deform"]
    assert opened.status("m").location == "memory"
    manager.unregister(module)
    assert open_basins(path).values("deform") is None
    assert ("file", "hdf5") in manager.formats()


def test_priority_orders_the_types_of_plugins(
    manager: BasinManager, memory_basin: Make, plugin: Plugin
) -> None:
    late = memory_basin(format="late", type="a", priority=200)
    early = memory_basin(format="early", type="z", priority=10)
    manager.register(plugin(late, early))
    given = [
        {"type": "a", "format": "late"},
        {"type": "z", "format": "early"},
        {"type": "remote", "format": "http"},
        {"type": "b", "format": "unknown"},
    ]
    ordered = [raw["type"] for raw in dcread.basins.sort_definitions(given)]
    assert ordered == ["remote", "z", "a", "b"]


def test_clash_names_both_classes_and_origins(
    manager: BasinManager, memory_basin: Make, plugin: Plugin
) -> None:
    memory = memory_basin()
    manager.register(plugin(memory), "first", "dist-one 1.0")
    other = memory_basin()
    manager.register(
        plugin(other, memory_basin(format="hdf5", type="file")),
        "second",
        "dist-two 2.0",
    )
    clash, hdf5 = manager.problems
    for text in ("Variant of dist-one 1.0", "Variant of dist-two 2.0", "'memory'"):
        assert text in clash.reason
    assert "HDF5FileBasin of dcread" in hdf5.reason
    assert manager.find("memory", "memory").basin_class is memory
    assert manager.formats()["file", "hdf5"].source == "dcread"


@pytest.mark.parametrize(
    ("answer", "telling"),
    [
        (3, "should return Basin classes, got 3"),
        (dict, "should return Basin classes"),
        ({"format": ""}, "should declare 'format'"),
        ({"type": None}, "should declare 'type'"),
        (type("Bare", (Basin,), {"format": "x", "type": "y"}), "not implement open"),
    ],
)
def test_wrong_answers_are_reported(
    answer: object,
    telling: str,
    manager: BasinManager,
    plugin: Plugin,
    memory_basin: Make,
) -> None:
    if isinstance(answer, dict):
        answer = memory_basin(**answer)
    manager.register(plugin(answer, answer))
    assert telling in manager.problems[0].reason
    assert ("file", "hdf5") in manager.formats()


def test_forgetting_a_plugin_leaves_others_of_its_origin(
    manager: BasinManager, plugin: Plugin, memory_basin: Make
) -> None:
    one = plugin(memory_basin(format="one"))
    two = plugin(memory_basin(format="two"))
    manager.register(one, "first", source="many-formats 1.0")
    manager.register(two, "second", source="many-formats 1.0")
    manager.unregister(one)
    assert [format_ for _, format_ in manager.formats()][-1] == "two"
