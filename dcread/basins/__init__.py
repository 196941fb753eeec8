"""Basins: where else a feature can come from.

A *basin* is a place from which a measurement (the *referrer*) takes features
that it does not store itself. Every format is a plugin, ours included.
"""

from __future__ import annotations

from .base import Basin
from .context import BasinContext
from .definition import BasinDefinition, sort_definitions
from .hookspecs import hookimpl
from .manager import BasinManager, get_manager
from .policy import Policy
from .referrer import Referrer
from .resolve import BasinSet
from .status import BasinStatus
from .stored import (
    DroppedBasin,
    StoredBasins,
    extract_basin_dicts,
    load_definitions,
)

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
