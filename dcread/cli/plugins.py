"""``dcread plugins``: which formats of basins can be read, and what is wrong."""

from __future__ import annotations

import click

from . import options
from .screen import Screen


@click.command(
    "plugins",
    short_help="Show the formats of basins that can be read, and by which plugin.",
)
@options.as_json
def command(as_json: bool) -> int:
    """Show the formats of basins that can be read, and by which plugin.

    All installed plugins are imported. The exit status is 1 if something is wrong with
    one of them.
    """
    from ..basins import get_manager

    screen = Screen(as_json=as_json)
    rows = get_manager().rows()
    for row in rows:
        if as_json:
            screen.json(row)
        elif row.problem:
            screen.wrap(f"{row.source}: {row.problem}", "    ")
        else:
            text = f"{row.format} ({row.type}): {row.basin_class}, {row.source}"
            screen.wrap(text, "    ", "")
    return int(any(row.problem for row in rows))
