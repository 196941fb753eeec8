"""One question put to one measurement: the record of the answer."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import DCReadError, FormatError
from .inputs import Input, full_path, shown, without_secrets
from .plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..measurement.data import HDF5Data

    Progress = Callable[[int, int], None]
    Question = str | Callable[[HDF5Data], Mapping[str, Any]]
    """What is asked: ``"info"``, ``"basins"``, ``"flicker"``, ``"verify"``, or a
    function of an open measurement that returns facts by name."""

QUESTIONS = ("info", "basins", "flicker", "verify")

Record = dict[str, Any]
"""``path``, ``error`` (None, or ``type`` and ``message``), ``warnings``, facts."""


def examine(
    item: Input | str,
    question: Question,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Record:
    """Put a question to one measurement.

    Parameters
    ----------
    item : Input or str
        The measurement.
    question : str or callable
        ``"info"``, ``"basins"``, ``"flicker"``, ``"verify"``, or a function that
        takes an open `HDF5Data` and returns a mapping.
    options : mapping, optional
        For the question; ``basins=False`` of ``"verify"`` leaves basins out.
    progress : callable, optional
        Called with the bytes read and the bytes to read (of ``"verify"`` only).

    Returns
    -------
    record : dict
        Plain data. Whatever goes wrong is in ``error``; only interrupts are raised.
    """
    item = Input(item) if isinstance(item, str) else item
    path = full_path(item.path)
    record: Record = {"path": shown(path), "error": None, "warnings": []}
    if item.reason:
        return failed(item.path, "FileMissingError", item.reason)
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always")
        try:
            facts = _ask(path, question, dict(options or {}), progress)
            record.update(plain(facts))
        except Exception as error:
            record["error"] = described(error)
    record["warnings"] = [without_secrets(str(each.message)) for each in noticed]
    return record


def failed(path: str, kind: str, message: str) -> Record:
    """Return the record of a measurement that gives no answer."""
    path = shown(full_path(path))
    error = {"type": kind, "message": f"{path}: {message}"}
    return {"path": path, "error": error, "warnings": []}


def described(error: Exception) -> dict[str, str]:
    """Return type and message of an error, in the words of people."""
    text = without_secrets(" ".join(str(error).split()))
    if isinstance(error, RuntimeError) and _is_from_h5py(error):
        text = (
            f"HDF5 says: {text}; the file may be damaged: 'dcread verify' tells where"
        )
    elif isinstance(error, MemoryError):
        text = f"not enough memory: {text}" if text else "not enough memory"
    elif not isinstance(error, (DCReadError, ImportError, OSError, ValueError)):
        text = f"{type(error).__name__}: {text} (unexpected: please report it)"
    return {"type": type(error).__name__, "message": text}


def _is_from_h5py(error: BaseException) -> bool:
    """Tell whether h5py raised an error, as it does for damaged structures."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")).startswith("h5py.")


def _ask(
    path: str, question: Question, options: dict[str, Any], progress: Progress | None
) -> Mapping[str, Any]:
    from ..measurement.data import HDF5Data
    from . import facts
    from .verify import verify

    basins: list[Any] | None = [] if options.pop("basins", True) is False else None
    with HDF5Data(path, basins=basins) as hd:
        require_measurement(hd)
        if callable(question):
            return question(hd, **options)
        if question == "verify":
            return verify(hd, progress=progress, **options)
        answer: Mapping[str, Any] = getattr(facts, question)(hd, **options)
        return answer


def require_measurement(hd: HDF5Data) -> None:
    """Raise a `FormatError` for an HDF5 file that holds no measurement."""
    from ..problems import UNREADABLE

    try:
        names = set(hd.h5)
    except UNREADABLE:  # the question will tell what is damaged
        return
    if not names & {"events", "basins"}:
        raise FormatError(
            f"{shown(str(hd.path))}: not a measurement: this HDF5 file has no group "
            f"'events' (it has: {', '.join(sorted(names)[:5]) or 'nothing'})"
        )
