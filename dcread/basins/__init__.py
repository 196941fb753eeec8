"""Basins: where else a feature can come from.

A *basin* is a place from which a measurement (the *referrer*) takes features
that it does not store itself. Every format is a plugin, ours included.
"""

from __future__ import annotations

from ..file.policy import Policy
from .base import Basin
from .basin_set import BasinSet
from .definition import BasinDefinition, sort_definitions
from .definitions import (
    DroppedBasin,
    StoredBasins,
    extract_basin_dicts,
    load_definitions,
)
from .hookspecs import hookimpl
from .plugins import BasinManager, get_manager
from .referrer import Referrer
from .scope import BasinContext
from .status import BasinStatus

__all__ = [
    "Basin",
    "BasinContext",
    "BasinDefinition",
    "BasinManager",
    "BasinSet",
    "BasinStatus",
    "DroppedBasin",
    "Policy",
    "Referrer",
    "StoredBasins",
    "extract_basin_dicts",
    "get_manager",
    "hookimpl",
    "load_definitions",
    "sort_definitions",
]
