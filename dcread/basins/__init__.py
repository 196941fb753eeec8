"""Basins: where else a feature can come from.

A *basin* is a place from which a measurement (the *referrer*) takes features
that it does not store itself. Every format is a plugin, ours included.
"""

from __future__ import annotations

from ..file.policy import Policy
from .base import Array, Basin, Opened
from .basin_set import BasinSet
from .context import BasinContext
from .definition import BasinDefinition
from .definitions import (
    StoredBasins,
    extract_basin_dicts,
    load_definitions,
    sort_definitions,
)
from .hookspecs import hookimpl
from .plugins import BasinManager, get_manager
from .registered import PluginRow
from .status import BasinStatus, BasinStatusList

__all__ = [
    "Array",
    "Basin",
    "BasinContext",
    "BasinDefinition",
    "BasinManager",
    "BasinSet",
    "BasinStatus",
    "BasinStatusList",
    "Opened",
    "PluginRow",
    "Policy",
    "StoredBasins",
    "extract_basin_dicts",
    "get_manager",
    "hookimpl",
    "load_definitions",
    "sort_definitions",
]
