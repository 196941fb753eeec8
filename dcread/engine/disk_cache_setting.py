"""Whether bytes of remote files are kept on the disk: where, and how many."""

from __future__ import annotations

import os
import pathlib
import re
import sys
import warnings

from .disk_cache import DiskCache
from .home import absolute

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)

_given: tuple[int, pathlib.Path | None] | None = None
_caches: dict[tuple[pathlib.Path, int], DiskCache] = {}


def set_disk_cache(
    max_bytes: int | None, path: str | os.PathLike[str] | None = None
) -> None:
    """Keep bytes of remote files on the disk, for what is opened from now on.

    Only files of servers that give a strong ETag are kept. Each opening asks the server
    for that first, so a file that was replaced is fetched anew.

    Parameters
    ----------
    max_bytes : int or None
        Most bytes on the disk; what was not used for longest goes first. 0 switches the
        cache off, None leaves it to the environment (``DCREAD_DISK_CACHE``, off by
        default).
    path : path, optional
        Folder to make the cache in; by default that of the environment
        (``DCREAD_DISK_CACHE_FOLDER``), else the user's folder for caches.

    Raises
    ------
    TypeError, ValueError
        If `max_bytes` is not an integer, or is negative.
    FileMissingError
        If `path` begins with the home folder of somebody who has none.

    Examples
    --------
    >>> dcread.set_disk_cache(2 * 10**9)
    >>> dcread.set_disk_cache(None)
    """
    global _given  # noqa: PLW0603 - one setting of the process
    if max_bytes is None:
        _given = None
        return
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int):
        raise TypeError(
            f"max_bytes must be an integer or None, got {type(max_bytes).__name__}"
        )
    if max_bytes < 0:
        raise ValueError(f"max_bytes must not be negative, got {max_bytes}")
    folder = None if path is None else absolute(path)
    _given = max_bytes, folder


def max_bytes_now() -> int:
    """Return the limit that holds for what is opened now; 0 if there is no cache."""
    if _given is not None:
        return _given[0]
    text = os.environ.get("DCREAD_DISK_CACHE", "").strip()
    match = _SIZE.fullmatch(text)
    if match is None:
        if text:
            warnings.warn(
                f"DCREAD_DISK_CACHE: expected a size such as 2GB, found {text[:40]!r}; "
                "nothing is kept on the disk",
                UserWarning,
                stacklevel=2,
            )
        return 0
    number, unit, binary = match.groups()
    power = " kmgt".index(unit.lower() or " ")
    return int(float(number) * (1024 if binary else 1000) ** power)


def folder_now() -> pathlib.Path:
    """Return the folder of the cache, whether it is in use or not."""
    given = _given[1] if _given is not None else None
    named = os.environ.get("DCREAD_DISK_CACHE_FOLDER")
    if given is None and named:
        given = absolute(named)
    return (given or _users_folder()) / "dcread-remote"


def disk_cache() -> DiskCache | None:
    """Return the cache for what is opened now; None if there is none."""
    limit = max_bytes_now()
    if not limit:
        return None
    place = folder_now(), limit
    return _caches.setdefault(place, DiskCache(*place))


def _users_folder() -> pathlib.Path:
    home = pathlib.Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local")
    if sys.platform == "darwin":
        return home / "Library/Caches"
    named = os.environ.get("XDG_CACHE_HOME", "")
    return pathlib.Path(named) if os.path.isabs(named) else home / ".cache"
