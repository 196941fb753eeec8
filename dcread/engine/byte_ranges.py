"""Which bytes to ask for, of a source that takes its time: arithmetic on tables.

Nothing here reads. A plan says where chunks lie; here they are merged into ranges that
are worth a request, and cut into whole waves of ranges that travel side by side.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class RangeLimits(NamedTuple):
    """How large ranges may be, and how many travel at once.

    Attributes
    ----------
    depth : int
        Ranges on their way at the same time.
    gap : int
        Bytes between two chunks that are read along rather than left out.
    least, most : int
        Bytes of a range that is cut out of a longer run. A single chunk may be larger.
    """

    depth: int
    gap: int
    least: int
    most: int


class ByteRange(NamedTuple):
    """Bytes to read, and the items of the plan that lie in them.

    Attributes
    ----------
    start, stop : int
        Of the bytes.
    first, last : int
        Of the items (``last`` is the one after).
    """

    start: int
    stop: int
    first: int
    last: int


def plan_ranges(
    starts: NDArray[np.int64], sizes: NDArray[np.int64], limits: RangeLimits
) -> list[ByteRange]:
    """Return ranges that hold all items, none of them in two ranges.

    Parameters
    ----------
    starts, sizes : ndarray of int64, shape (n,)
        Where items lie, in ascending order of `starts`; they may overlap.
    limits : RangeLimits
        How large ranges may be.

    Examples
    --------
    >>> limits = RangeLimits(depth=2, gap=10, least=1, most=100)
    >>> starts, sizes = np.array([0, 105, 1000]), np.array([100, 95, 50])
    >>> for found in plan_ranges(starts, sizes, limits):
    ...     print(*found)
    0 100 0 1
    105 200 1 2
    1000 1050 2 3
    """
    if not len(starts):
        return []
    ends = np.maximum.accumulate(starts + sizes)
    far = starts[1:] - ends[:-1] > limits.gap
    bounds = [0, *(np.flatnonzero(far) + 1).tolist(), len(starts)]
    runs = list(pairwise(bounds))
    spans = [int(ends[last - 1] - starts[first]) for first, last in runs]
    parts = _parts(spans, limits)
    found: list[ByteRange] = []
    for (first, last), count in zip(runs, parts, strict=True):
        found += _cut(starts, ends, first, last, count)
    return found


def _share(total: int, limits: RangeLimits) -> int:
    """Return the bytes of a range, so that whole waves of equal size come out."""
    waves = max(1, -(-total // (limits.depth * limits.most)))
    return max(limits.least, -(-total // (limits.depth * waves)))


def _parts(spans: list[int], limits: RangeLimits) -> list[int]:
    """Return in how many parts to cut each run, so that they fill whole waves.

    Each run has one part at the least; the run with the largest parts gets one more.
    """
    total = max(1, sum(spans))
    count = round(total / _share(total, limits))
    parts = [max(1, -(-span // limits.most), span * count // total) for span in spans]
    largest = [(-span / parts[number], number) for number, span in enumerate(spans)]
    heapq.heapify(largest)
    for _ in range(count - sum(parts)):
        number = largest[0][1]
        parts[number] += 1
        heapq.heapreplace(largest, (-spans[number] / parts[number], number))
    return parts


def _cut(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    first: int,
    last: int,
    parts: int,
) -> list[ByteRange]:
    """Cut a run between items, as near as possible to equal parts."""
    begin = int(starts[first])
    span = int(ends[last - 1]) - begin
    parts = min(last - first, parts)
    if parts == 1:
        return [ByteRange(begin, begin + span, first, last)]
    wanted = begin + span * np.arange(1, parts) / parts
    middles = (starts[first + 1 : last] + ends[first : last - 1]) / 2
    cuts = np.unique(first + 1 + np.searchsorted(middles, wanted))
    cuts = cuts[(cuts > first) & (cuts < last)]
    # Items that overlap stay together: a cut must not go through any.
    cuts = cuts[starts[cuts] >= ends[cuts - 1]]
    bounds = [first, *cuts.tolist(), last]
    return [
        ByteRange(int(starts[a]), int(ends[b - 1]), a, b) for a, b in pairwise(bounds)
    ]


def cut_evenly(start: int, stop: int, most: int) -> list[tuple[int, int]]:
    """Return the parts of a range in which it is asked for, none above `most` bytes.

    Examples
    --------
    >>> cut_evenly(0, 10, 4)
    [(0, 4), (4, 8), (8, 10)]
    """
    length = stop - start
    count = max(1, -(-length // most))
    step = -(-length // count)
    return [
        (start + part * step, min(stop, start + (part + 1) * step))
        for part in range(count)
    ]


def cut_at_multiples(start: int, stop: int, step: int) -> list[tuple[int, int]]:
    """Return the parts of a range, cut at the multiples of `step` in the file.

    Examples
    --------
    >>> cut_at_multiples(3, 10, 4)
    [(3, 4), (4, 8), (8, 10)]
    """
    cuts = range(start - start % step + step, stop, step)
    return list(pairwise([start, *cuts, stop]))


def merge_ranges(ranges: Sequence[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    """Return ascending ranges that cover the given ones, near ones joined.

    Examples
    --------
    >>> merge_ranges([(50, 60), (0, 10), (12, 20)], gap=5)
    [(0, 20), (50, 60)]
    """
    merged: list[list[int]] = []
    for start, stop in sorted(ranges):
        if merged and start - merged[-1][1] <= gap:
            merged[-1][1] = max(merged[-1][1], stop)
        else:
            merged.append([start, stop])
    return [(start, stop) for start, stop in merged]
