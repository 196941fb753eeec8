"""Arguments of `HDF5Data`: a wrong one is named, with what was expected of it."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.home import absolute
from ..engine.urls import shown
from ..errors import NotAFileError
from ..file.addresses import is_url
from ..file.policy import Policy

_KNOWN = re.compile(r"(https?|s3):/", re.IGNORECASE)


def as_target(path: Any) -> Any:
    """Return what to open: text for any path, file objects and h5py files as given.

    Raises
    ------
    TypeError
        If it is none of them.
    FileMissingError, NotAFileError
        If there is no such home folder, or it is a URL of an unknown kind.
    """
    if not isinstance(path, str) and isinstance(path, (bytes, os.PathLike)):
        path = os.fsdecode(path)
    if isinstance(path, str):
        _check_text(path)
        return path
    import h5py

    is_file = hasattr(path, "read") and hasattr(path, "seek")
    if is_file or isinstance(path, h5py.File):
        return path
    raise TypeError(
        f"`path` must be a path, an open h5py.File or a binary file object, got "
        f"{_shown(path)}"
    )


def _check_text(path: str) -> None:
    if path.startswith("~"):
        absolute(path)
    if is_url(path) and not _KNOWN.match(path):
        raise NotAFileError(
            f"{shown(path)}: expected a path, or a URL that begins with http://, "
            "https:// or s3://"
        )


def as_size(name: str, value: Any) -> int:
    """Return a number of images or chunks.

    Raises
    ------
    TypeError, ValueError
        If it is not an integer, or below 1.
    """
    try:
        size = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {_shown(value)}") from None
    if size < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return size


def as_pixel_size(value: Any) -> float:
    """Return a pixel size with 8 decimals, as pipeline identifiers name it.

    Raises
    ------
    TypeError
        If it is not a number.
    """
    try:
        return float(f"{value:.8f}")
    except (TypeError, ValueError):
        raise TypeError(
            f"pixel_size must be a number (in µm), got {_shown(value)}"
        ) from None


def as_policy(policy: Any) -> Policy:
    """Return the policy, the default one for None.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if policy is None:
        return Policy.default()
    if not isinstance(policy, Policy):
        raise TypeError(f"`policy` must be a dcread.Policy, got {_shown(policy)}")
    return policy


def as_content(name: str, value: Any) -> Any:
    """Return a copy of ``meta``, ``logs``, ``tables`` or ``basins``.

    Dictionaries and lists are copied, not the arrays and texts in them.

    Raises
    ------
    TypeError
        If it is not a dictionary, or no list in case of ``basins``.
    """
    if name == "basins":
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise TypeError(
                f"`basins` must be a list of dictionaries, got {_shown(value)}"
            )
        return _copied(list(value))
    if not isinstance(value, Mapping):
        raise TypeError(f"`{name}` must be a dictionary, got {_shown(value)}")
    return _copied(value)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return value


def _shown(value: Any) -> str:
    return f"{type(value).__name__} ({value!r:.100})"
