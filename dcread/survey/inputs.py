"""What the arguments of a survey lead to: files, patterns, folders and URLs."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SUFFIXES = (".rtdc",)
"""Endings of the files that a folder is searched for."""
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])", re.IGNORECASE)
_SECRET = re.compile(r"(?<=//)[^/@\s]*@|[?#].*", re.DOTALL)
_SECRET_IN_TEXT = re.compile(
    r"(\b[a-z][a-z0-9+.-]+:/{1,2})(?:[^\s/@'\"]*@)?([^\s?#'\"]*)"
    r"(?:[?#][^\s'\"]*?(?=[:;,.)]?(?:[\s'\"]|$)))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Input:
    """One file or URL to look at.

    Attributes
    ----------
    path : str
        Where it is.
    reason : str
        Why there is nothing to look at; empty if there may be something.
    """

    path: str
    reason: str = ""


def is_url(path: str) -> bool:
    """Tell whether a path is a URL, also as pathlib writes it (``https:/host``)."""
    found = _URL.match(path)
    return found is not None and len(found[1]) > 1  # not a drive letter


def full_path(path: str) -> str:
    """Return the absolute path; of a URL the URL."""
    return path if is_url(path) else os.path.abspath(path)


def shown(path: str) -> str:
    """Return a path for people: of a URL without signatures and passwords.

    The rest of a query stays, since it may tell one file from another.
    """
    if not is_url(path):
        return path
    from ..engine.urls import without_signature  # costs as much as NumPy

    try:
        return without_signature(_URL.sub(r"\1://", path, count=1))
    except ValueError:  # not one that can be read
        return _SECRET.sub("", path)


def without_secrets(text: str) -> str:
    """Return a text whose URLs have neither signatures nor passwords."""
    return _SECRET_IN_TEXT.sub(r"\1\2", text) if ":/" in text else text


def find_inputs(arguments: Iterable[str | os.PathLike[str]]) -> list[Input]:
    """List the files that arguments lead to, each once, in the order found.

    Parameters
    ----------
    arguments : iterable of str or path-like
        Files, URLs, folders (searched for ``.rtdc`` files, folders in them
        included, in alphabetical order) and patterns (``*``, ``?``, ``[abc]``, and
        ``**`` for folders at any depth). What exists under its literal name is no
        pattern.

    Returns
    -------
    inputs : list of Input
        What leads nowhere is in the list as well, with the reason.
    """
    found: dict[str, Input] = {}
    for argument in arguments:
        for item in _expand(os.fspath(argument)):
            found.setdefault(full_path(item.path), item)
    return list(found.values())


def _expand(argument: str) -> Iterator[Input]:
    if is_url(argument):
        yield Input(argument)
        return
    path = os.path.expanduser(argument)
    if os.path.isdir(path):
        yield from _search(path)
    elif os.path.lexists(path) or not glob.has_magic(path):
        yield Input(path)
    else:
        names = sorted(glob.iglob(path, recursive=True))
        for name in names:
            if not os.path.isdir(name):
                yield Input(name)
            elif not path.endswith("**"):  # which gives the folders below as well
                yield from _search(name)
        if not names:
            yield Input(path, "no file has a name like this")


def _search(folder: str) -> Iterator[Input]:
    """Yield the measurements in a folder, and the folders that cannot be listed."""
    failures: list[OSError] = []
    some = False
    for place, folders, names in os.walk(folder, onerror=failures.append):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                some = True
                yield Input(os.path.join(place, name))
    for failure in failures:
        some = True
        reason = f"the folder cannot be listed: {failure.strerror}"
        yield Input(str(failure.filename), reason)
    if not some:
        yield Input(folder, f"the folder holds no {' or '.join(SUFFIXES)} files")
