"""Frame numbers and times that go on from file to file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

_UINT64_MAX = 2**64 - 1


def continue_frames(
    parts: Sequence[NDArray[Any]], labels: Sequence[str]
) -> NDArray[np.uint64]:
    """Renumber the frames of several files so that they go on.

    The smallest frame of the first file becomes 1, the smallest of each following
    file is one more than the largest before it. Order and gaps within a file stay.

    Parameters
    ----------
    parts : sequence of ndarray
        Frame numbers of each file, of any integer or float type, in any order.
    labels : sequence of str
        Names of the files for messages.

    Returns
    -------
    ndarray of uint64
        As long as all parts together.

    Raises
    ------
    FormatError
        If frame numbers are not whole numbers, or beyond 64 bits.

    Examples
    --------
    >>> continue_frames([np.array([101, 103]), np.array([7, 5])], ["a", "b"]).tolist()
    [1, 3, 6, 4]
    """
    out = np.empty(sum(map(len, parts)), np.uint64)
    place, last = 0, 0
    for part, label in zip(parts, labels, strict=True):
        if not len(part):
            continue
        whole = _whole_numbers(part, label)
        lowest = int(whole.min())
        # Modulo 2**64 the distance to the lowest frame is exact for every type.
        distance = whole.astype(np.uint64) - np.uint64(lowest % 2**64)
        offset = last + 1
        last = offset + int(distance.max())
        if last > _UINT64_MAX:
            raise FormatError(
                f"{label}: feature 'frame' goes up to {int(whole.max())}; together "
                "with the files before that is beyond 64 bits; pass "
                "compute_frame=False"
            )
        out[place : place + len(part)] = distance + np.uint64(offset)
        place += len(part)
    return out


def _whole_numbers(part: NDArray[Any], label: str) -> NDArray[Any]:
    if part.dtype.kind in "iu":
        return part
    if part.dtype.kind == "f":
        wide = part.astype(np.float64)
        fine = np.isfinite(wide) & (np.trunc(wide) == wide) & (abs(wide) < 2.0**63)
        if fine.all():
            return part.astype(np.int64)
        event = int(np.argmin(fine))
        found = f"{part[event]} at event {event}"
    else:
        found = f"values of type {part.dtype}"
    raise FormatError(
        f"{label}: feature 'frame': expected whole numbers, found {found}; pass "
        "compute_frame=False to leave it out"
    )


def frame_interval(
    rate: Any, frames: NDArray[Any] | None, times: NDArray[Any]
) -> float:
    """Return the time from one frame to the next in seconds.

    Parameters
    ----------
    rate : number or None
        Frame rate in Hz from the metadata; used if it is positive.
    frames : ndarray or None
        Frame numbers; where there is no frame rate, they and the times tell it.
    times : ndarray
        Times in seconds.

    Returns
    -------
    float
        0.0 if nothing tells it.
    """
    try:
        hertz = float(rate)
    except (TypeError, ValueError):
        hertz = math.nan
    if math.isfinite(hertz) and hertz > 0:
        return 1 / hertz
    if frames is None or len(frames) != len(times):
        return 0.0
    known = np.isfinite(frames) & np.isfinite(times)
    if not known.any():
        return 0.0
    duration = float(np.ptp(times[known].astype(np.float64)))
    number = float(np.ptp(frames[known].astype(np.float64)))
    return duration / number if number > 0 else 0.0


def continue_times(
    parts: Sequence[NDArray[Any]], intervals: Sequence[float]
) -> NDArray[np.float64]:
    """Join the times of several files so that they go on.

    The first file keeps its times. The earliest event of each following file comes
    one frame interval after the latest event before it. Values that are not finite
    stay as they are.

    Parameters
    ----------
    parts : sequence of ndarray
        Times of each file in seconds.
    intervals : sequence of float
        The frame interval of each file in seconds; 0 if it is not known.

    Returns
    -------
    ndarray of float64
        As long as all parts together.

    Examples
    --------
    >>> continue_times([np.array([5.0, 6.0]), np.array([2.0, 4.0])], [0.5, 0.5])
    array([5. , 6. , 6.5, 8.5])
    """
    joined: list[NDArray[np.float64]] = []
    latest: float | None = None
    step = 0.0
    for part, interval in zip(parts, intervals, strict=True):
        times = part.astype(np.float64)
        known = times[np.isfinite(times)]
        if len(known):
            if latest is not None:
                times += latest + (step or interval) - float(known.min())
            latest = float(np.max(times[np.isfinite(times)]))
            step = interval
        joined.append(times)
    return np.concatenate(joined) if joined else np.empty(0)
