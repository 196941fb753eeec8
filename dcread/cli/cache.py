"""``dcread cache``: what is kept of remote files on the disk."""

from __future__ import annotations

import click

from . import options
from .screen import Screen
from .table import size


@click.command(
    "cache",
    short_help="Show what is kept of remote files on the disk, or remove it.",
)
@click.option("--clear", is_flag=True, help="Remove all of it.")
@options.as_json
def command(clear: bool, as_json: bool) -> int:
    """Show what is kept of remote files on the disk, or remove it.

    Nothing is kept unless DCREAD_DISK_CACHE or dcread.set_disk_cache sets a size.
    """
    from ..engine import disk_cache
    from ..engine.disk_cache_setting import folder_now, max_bytes_now

    screen = Screen(as_json=as_json)
    folder, limit = folder_now(), max_bytes_now()
    found = disk_cache.usage(folder)
    total = sum(found.values())
    if clear:
        disk_cache.clear(folder)
        if not as_json:
            screen.wrap(f"{folder}: {size(total)} removed", "  ", "")
            return 0
        found, total = {}, 0
    if as_json:
        screen.json(
            {
                "path": str(folder),
                "max_bytes": limit,
                "bytes": total,
                "origins": found,
            }
        )
        return 0
    room = (
        f"of {size(limit)}"
        if limit
        else "(nothing is added; DCREAD_DISK_CACHE sets a size)"
    )
    screen.wrap(f"{folder}: {size(total)} {room}", "  ", "")
    for origin, number in found.items():
        screen.wrap(f"{size(number):>8}  {origin}", "            ", "  ")
    return 0
