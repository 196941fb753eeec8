"""What a concatenation will hold: decided, and checked, before anything is written."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..engine import MAX_OPEN
from ..errors import DCReadError, FormatError, ShapeMismatchError
from ..problems import Problem, one_line
from .frame_time import continue_frames, continue_times, frame_interval
from .input_file import SERIES, InputFile
from .records import Input, Piece, Plan

if TYPE_CHECKING:
    from ..engine import Opened


def make_plan(
    paths: Sequence[pathlib.Path],
    features: Iterable[str] | None,
    *,
    compute_frame: bool,
    progress: Callable[[float], object] | None,
    opened: dict[str, Opened],
) -> Plan:
    """Look at all inputs and decide what the output holds.

    The first inputs stay open, for who reads from them next: they are in `opened`, by
    path, after an error, too; the caller closes them.

    Raises
    ------
    FileMissingError, NotAFileError, FormatError, FileChangedError
        If an input cannot be read.
    ValueError
        If a file lacks a feature, or shapes or types do not fit.
    """
    wanted = list(dict.fromkeys(features or ()))
    notes: list[Problem] = []
    inputs: list[Input] = []
    attributes: dict[str, Any] = {}
    chosen, optional = wanted, list[str]()
    for number, path in enumerate(paths):
        with InputFile(path, notes, wanted) as file:
            if number == 0:
                attributes = file.attributes()
                if not wanted:
                    chosen, optional = file.default_features()
            columns = [name for name in chosen if name not in SERIES]
            asked = {*chosen, *optional}
            series = {name for name in SERIES if name in asked}
            series = series | {"frame"} if compute_frame else series - {"frame"}
            missing = file.missing({*columns, *series} - {"frame", *optional})
            if missing:
                larger = "The list `features`" if wanted else f"File {paths[0]}"
                raise ValueError(
                    f"{larger} contains more features than {path}, which lacks "
                    f"{', '.join(missing)}; pass the features that all files have as "
                    "`features`"
                )
            more = [name for name in optional if name not in SERIES]
            computed = {name: name in asked for name in sorted(series)}
            inputs.append(file.take(columns, computed, more))
            if len(opened) < MAX_OPEN and str(path) not in opened:
                opened[str(path)] = file.hand_on()
        if progress is not None:
            progress((number + 1) / len(paths))
    _leave_out(inputs, optional, notes)
    dtypes = {name: _common_dtype(inputs, name) for name in _all_columns(inputs)}
    joined = _series(inputs, frame_wanted=compute_frame and "frame" in wanted)
    plan = Plan(inputs, dtypes, joined, attributes, notes)
    if not plan.dtypes and not plan.series:
        left = " without 'frame' (compute_frame=False)" * (chosen == ["frame"])
        raise ValueError(f"{paths[0]} has no features that could be concatenated{left}")
    return plan


def _leave_out(
    inputs: Sequence[Input], optional: Sequence[str], notes: list[Problem]
) -> None:
    """Drop the optional features that not all inputs give; one warning tells them."""
    reasons: dict[str, str] = {}
    first = _first_filled(inputs)
    for name in optional:
        keys = dict.fromkeys(key for key in first.pieces if _feature_of(key) == name)
        lacks = [part.lacks[name] for part in inputs if name in part.lacks]
        if name in SERIES and any(name in part.series for part in inputs):
            keys = {name: None}
        elif not keys and lacks:
            reasons[name] = lacks[0]
        for key in keys:
            reason = _why_not_all(inputs, key)
            if reason:
                reasons[key] = reason
                for part in inputs:
                    part.pieces.pop(key, None)
                    part.series.pop(key, None)
    if reasons:
        told = "; ".join(dict.fromkeys(reasons.values()))
        warnings.warn(f"Ignoring {', '.join(reasons)}; {one_line(told)}", stacklevel=4)
        notes += [
            Problem("feature", name, f"left out: {reason}")
            for name, reason in reasons.items()
        ]


def _first_filled(inputs: Sequence[Input]) -> Input:
    """Return the first input that has events: one without may lack traces."""
    for part in inputs:
        if part.length:
            return part
    return inputs[0]


def _feature_of(key: str) -> str:
    return key.partition("/")[0]


def _why_not_all(inputs: Sequence[Input], key: str) -> str:
    """Return why the inputs cannot be joined for an optional feature, or ""."""
    for part in inputs:
        if part.length and key not in part.pieces and key not in part.series:
            return part.lacks.get(_feature_of(key), f"{part.path} does not have it")
    try:
        if any(key in part.pieces for part in inputs):
            _common_dtype(inputs, key)
    except DCReadError as exc:
        return str(exc)
    return ""


def _all_columns(inputs: Sequence[Input]) -> list[str]:
    """Return the features, each trace counted as one; all inputs must have them."""
    # What later ones have more is left out.
    first = _first_filled(inputs)
    for name in first.pieces:
        for part in inputs:
            if name not in part.pieces and part.length:
                raise ValueError(
                    f"File {first.path} contains more features than {part.path}, which "
                    f"lacks {name}; leave it out of `features`"
                )
    return list(first.pieces)


def _common_dtype(inputs: Sequence[Input], name: str) -> np.dtype[Any]:
    """Return the type that holds the values of all inputs; check the shapes."""
    pieces = [part.pieces[name] for part in inputs if name in part.pieces]
    first, dtype = pieces[0], pieces[0].dtype
    for piece in pieces[1:]:
        # Inputs without events give nothing that could have another shape or type.
        if not piece.shape[0]:
            continue
        if not first.shape[0]:
            first, dtype = piece, piece.dtype
        elif piece.shape[1:] != first.shape[1:]:
            raise ShapeMismatchError(
                f"{piece.path}: feature '{name}' has shape {piece.shape}, expected "
                f"(events, *{first.shape[1:]}) as in {first.path}; leave it out of "
                "`features`"
            )
        elif piece.dtype != dtype:
            dtype = _promote(dtype, piece, name)
    return dtype


def _promote(dtype: np.dtype[Any], piece: Piece, name: str) -> np.dtype[Any]:
    numbers = "biuf"
    if (dtype.kind in numbers) == (piece.dtype.kind in numbers):
        try:
            return np.promote_types(dtype, piece.dtype)
        except TypeError:
            pass
    raise FormatError(
        f"{piece.path}: feature '{name}' has values of type {piece.dtype}, which do "
        f"not fit {dtype} in the files before it; leave it out of `features`"
    )


def _times_of(part: Input) -> NDArray[Any]:
    times = part.series.get("time", np.empty(0))
    if times.dtype.kind not in "biuf":
        raise FormatError(
            f"{part.path}: feature 'time': expected seconds, found values of type "
            f"{times.dtype}; leave it out of `features`"
        )
    return times


def _series(inputs: Sequence[Input], *, frame_wanted: bool) -> dict[str, NDArray[Any]]:
    series: dict[str, NDArray[Any]] = {}
    empty = np.empty(0, np.uint64)
    lacking = [p.path for p in inputs if p.length and "frame" not in p.series]
    some = any("frame" in part.series for part in inputs)
    if some and not lacking:
        frames = [part.series.get("frame", empty) for part in inputs]
        series["frame"] = continue_frames(frames, [str(part.path) for part in inputs])
    elif some or frame_wanted:
        warnings.warn(
            f"Ignoring frame; {lacking[0] if lacking else inputs[0].path} does not "
            "have it",
            stacklevel=4,
        )
    if any("time" in part.series for part in inputs):
        times = [_times_of(part) for part in inputs]
        intervals = [
            frame_interval(part.frame_rate, part.series.get("frame"), time)
            for part, time in zip(inputs, times, strict=True)
        ]
        series["time"] = continue_times(times, intervals)
    return series
