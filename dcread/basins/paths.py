"""Where the stored path of a basin may lead on this machine."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator, Sequence

from ..file.addresses import looks_like_url


def folders_of(referrer: pathlib.Path | None) -> list[pathlib.Path]:
    """Return the folder of a file, and the one that its links lead to."""
    if referrer is None:
        return []
    real = pathlib.Path(os.path.realpath(referrer)).parent
    return list(dict.fromkeys((referrer.parent, real)))


def candidate_paths(
    stored: Iterable[str],
    folders: Sequence[pathlib.Path],
    path_map: Collection[tuple[str, str]] = (),
) -> Iterator[str]:
    """Yield the absolute paths to try for the stored paths of a basin, in order.

    For each stored path: what the path map makes of it; the path itself if it is
    absolute; the path below the folder of the referrer; its bare file name in
    that folder; the same for the next folder. Separators of Windows and POSIX are
    both understood. The working directory is never asked.

    Parameters
    ----------
    stored : iterable of str
        As the definition says.
    folders : sequence of pathlib.Path
        Where relative paths start (see `folders_of`).
    path_map : iterable of (str, str)
        Prefixes and what stands in their place.
    """
    known: set[str] = set()
    for path in stored:
        # A URL is no path (and its query, shown as a file name, may be a secret).
        if not path or "\0" in path or looks_like_url(path):
            continue
        places = _mapped(path, path_map) if path_map else []
        if os.path.isabs(path):
            places.append(path)
        readings = _relative(path) if folders else ()
        for folder in folders:
            places += map(os.path.join, itertools.repeat(folder), readings)
        for place in places:
            if place not in known:
                known.add(place)
                yield place


def _relative(path: str) -> list[str]:
    """Return readings of a stored path that can hang below a folder."""
    posix = path.replace("\\", "/")
    found = [
        reading
        for reading in dict.fromkeys((path, posix))
        if not os.path.isabs(reading) and not pathlib.PureWindowsPath(reading).anchor
    ]
    name = posix.rpartition("/")[2]
    # "C:src.rtdc" is relative to a drive, its bare name comes after the colon.
    name = name.rpartition(":")[2] if pathlib.PureWindowsPath(path).drive else name
    if name not in ("", ".", ".."):
        found.append(name)
    return found


def _mapped(path: str, path_map: Iterable[tuple[str, str]]) -> list[str]:
    """Return what prefixes and what stands in their place make of a path."""
    found = []
    parts = _parts(path)
    for old, new in path_map:
        prefix = _parts(old)
        windows = bool(pathlib.PureWindowsPath(old).drive)
        head = parts[: len(prefix)]
        same = (
            [part.casefold() for part in head] == [part.casefold() for part in prefix]
            if windows
            else head == prefix
        )
        if same:
            mapped = os.path.join(new, *parts[len(prefix) :])
            if os.path.isabs(mapped):
                found.append(mapped)
    return found


def _parts(path: str) -> list[str]:
    """Split a path of either flavour; an absolute one starts with an empty part."""
    parts = path.replace("\\", "/").split("/")
    return parts[:1] + [part for part in parts[1:] if part not in ("", ".")]


def as_locations(answer: object, asked: str, most: int | None = None) -> list[str]:
    """Return the locations that a plugin answered; one text is one location.

    Parameters
    ----------
    answer : text, path, iterable of them, or None
        What it answered.
    asked : str
        What messages call the function that was asked.
    most : int, optional
        How many are taken at the most: there may be no end of them.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if answer is None:
        return []
    items = (answer,) if isinstance(answer, (str, os.PathLike)) else answer
    if not isinstance(items, Iterable):
        raise TypeError(
            f"{asked} should return locations as text, got {type(answer).__name__}"
        )
    found = []
    for item in itertools.islice(items, most):
        text = os.fspath(item) if isinstance(item, os.PathLike) else item
        if not isinstance(text, str):
            raise TypeError(
                f"{asked} should return locations as text, found "
                f"{type(item).__name__} among them"
            )
        found.append(text)
    return found
