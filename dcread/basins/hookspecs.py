"""The hooks that a plugin may implement; nothing else."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import pluggy

from .base import Basin
from .definition import BasinDefinition

hookspec = pluggy.HookspecMarker("dcread")
hookimpl = pluggy.HookimplMarker("dcread")


@hookspec
def dcread_register_basins() -> type[Basin] | Iterable[type[Basin]]:  # type: ignore[empty-body]
    """Return one `Basin` class, or several, for formats that you can read."""


@hookspec
def dcread_basin_locations(  # type: ignore[empty-body]
    definition: BasinDefinition, referrer_path: pathlib.Path | None
) -> Iterable[str]:
    """Return further places (paths, URLs) where a basin may lie.

    They are tried after the stored ones, under the same policy.
    """
