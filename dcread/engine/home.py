"""Paths as people write them: from the home folder, or from the working folder."""

from __future__ import annotations

import os
import pathlib

from ..errors import FileMissingError


def absolute(path: str | bytes | os.PathLike[str]) -> pathlib.Path:
    """Return a path in full, ``~`` and ``~user`` replaced by the home folder.

    Raises
    ------
    FileMissingError
        If there is no such home folder.
    """
    text = os.fsdecode(path)
    try:
        return pathlib.Path(text).expanduser().absolute()
    except RuntimeError as exc:
        raise FileMissingError(
            f"no file at {text}: there is no such home folder; write the path in full"
        ) from exc
