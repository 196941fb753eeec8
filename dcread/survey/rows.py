"""Records as rows of a table: one value in each column."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .inputs import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .examine import Record

Row = dict[str, Any]

COLUMNS = ("path", "state", "error", "size", "modified")
"""Columns that every table of a survey begins with."""


def state(record: Record) -> str:
    """Return the verdict on a measurement in a word or two."""
    error = record["error"]
    if error is not None:
        return _STATE_OF_ERROR.get(error["type"], "unreadable")
    if "drifting" in record:
        if record["flickering_without_drift"]:
            return "flickers"
        return "drifts" if record["drifting"] else "steady"
    if "basins" in record:
        away = sum(basin["available"] is False for basin in record["basins"])
        return f"{away} missing" if away else "ok"
    problems = len(record.get("problems", ()))
    return f"{problems} problem{'' if problems == 1 else 's'}" if problems else "ok"


_STATE_OF_ERROR = {
    "FeatureNotFoundError": "no images",
    "FileMissingError": "missing",
    "TimeoutError": "given up",
    "ChildProcessError": "given up",
    "KilledWorker": "given up",
    "CancelledError": "given up",
    "FutureCancelledError": "given up",
}


def reasons(record: Record) -> list[str]:
    """Return what is wrong with a measurement, a sentence each."""
    if record["error"] is not None:
        return [without_path(record["error"]["message"], record["path"])]
    if "basins" in record:
        return [
            f"basin '{basin['name']}': {basin['reason']}"
            for basin in record["basins"]
            if basin["available"] is False
        ]
    return [
        without_path(problem_text(one), record["path"])
        for one in record.get("problems", ())
    ]


def problem_text(problem: Mapping[str, str]) -> str:
    """Return a problem as one sentence, which names its object once."""
    title, reason = f"{problem['kind']} '{problem['name']}'", problem["reason"]
    return reason if title in reason else f"{title}: {reason}"


def without_path(text: str, path: str) -> str:
    """Return a message without the path that is told beside it."""
    if is_url(path):
        path = path.partition("?")[0]  # as messages have it
    return text.replace(f"{path}: ", "", 1).removeprefix(f"{path} ")


def is_bad(record: Record) -> bool:
    """Tell whether a record makes the exit status 1."""
    return record["error"] is not None or record.get("ok") is False


def row(record: Record) -> Row:
    """Return a record as one row: counts in place of lists, metadata by key."""
    size, modified = fingerprint(record["path"])
    values: Row = {
        "path": record["path"],
        "state": state(record),
        "error": record["error"]["message"] if record["error"] else None,
        "size": size,
        "modified": modified,
    }
    for name, value in record.items():
        if name in ("path", "error", "warnings", "summary"):
            continue  # (or is there already)
        if name == "metadata" and isinstance(value, dict):
            values.update(value)
        elif isinstance(value, (list, dict)):
            values[name] = len(value)
        else:
            values[name] = value
    values["reasons"] = "; ".join(reasons(record)) if not record["error"] else None
    return values


def fingerprint(path: str) -> tuple[int | None, float | None]:
    """Return size and time of change of a file; None where there is no file."""
    if is_url(path):
        return None, None
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None, None
    return status.st_size, status.st_mtime
