"""Comparison of two measurements, event by event."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine import Backing
from ..errors import (
    ClosedError,
    DCReadError,
    FeatureNotFoundError,
    FileChangedError,
    FormatError,
)
from ..measurement.data import HDF5Data
from ..problems import near_and_first, text_of

PARTS = ("features", "metadata", "logs", "tables")
"""What is compared."""
MANY = 2**16
"""Events that cannot be read, after which no further ones are tried."""
AT_ONCE = 2**24
"""Bytes of a feature that are in memory together, of each measurement."""


@dataclass(frozen=True)
class Difference:
    """One thing in which two measurements differ.

    Attributes
    ----------
    part : str
        ``"events"`` (their number), or one of `PARTS`.
    name : str
        Of the feature, the key, the log or the table.
    reason : str
        How they differ.
    events, first : int or None
        Of a feature that both have: how many events differ, and the first of them.
    only : str
        ``"first"`` or ``"second"`` if only that measurement has it, else empty.
    """

    part: str
    name: str
    reason: str
    events: int | None = None
    first: int | None = None
    only: str = ""

    def __str__(self) -> str:
        if self.part == "events":
            return f"number of events: {self.reason}"
        return f"{_SINGULAR[self.part]} '{self.name}': {self.reason}"


_SINGULAR = {
    "features": "feature",
    "metadata": "metadata",
    "logs": "log",
    "tables": "table",
}


@dataclass
class Comparison:
    """What comparing two measurements found.

    Attributes
    ----------
    events : tuple of int
        The number of events of each.
    compared : dict of str to int
        How many features, keys, logs and tables were looked at.
    differences : list of Difference
        In what they differ.
    problems : list of str
        What could not be read, so that nobody knows whether it is equal.
    backings : tuple of Backing
        What the files of each claim.
    """

    events: tuple[int, int]
    compared: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    backings: tuple[Backing, Backing] = field(
        default_factory=lambda: (Backing(), Backing()), repr=False, compare=False
    )

    @property
    def equal(self) -> bool:
        """Whether everything was compared and is equal."""
        return not self.differences and not self.problems


def compare(
    first: HDF5Data,
    second: HDF5Data,
    features: Sequence[str] | None = None,
    ignore: Collection[str] = (),
    progress: Callable[[int, int, str], None] | None = None,
) -> Comparison:
    """Compare two measurements, features from basins included.

    Numbers are equal if their values are, whatever their type; NaN equals NaN.

    Parameters
    ----------
    first, second : HDF5Data
        The measurements.
    features : sequence of str, optional
        Those to compare; all by default.
    ignore : collection of str
        Which of `PARTS` are left out.
    progress : callable, optional
        Called with the features that are done, their number, and the next one.

    Raises
    ------
    FeatureNotFoundError
        If neither measurement has one of `features`.
    """
    found = Comparison((len(first), len(second)))
    if found.events[0] != found.events[1]:
        reason = f"{found.events[0]:,} against {found.events[1]:,}"
        found.differences.append(Difference("events", "number", reason))
    if "features" not in ignore:
        _compare_features(found, first, second, features, progress)
    if "metadata" not in ignore:
        _compare_mappings(found, "metadata", first.meta, second.meta, _value_differs)
    if "logs" not in ignore:
        _compare_mappings(found, "logs", first.logs, second.logs, _lines_differ)
    if "tables" not in ignore:
        _compare_mappings(found, "tables", first.tables, second.tables, _table_differs)
    for hd in (first, second):
        kinds = {"log": "logs", "table": "tables", "attribute": "metadata"}
        found.problems += [
            f"{hd.path}: {problem}"
            for problem in hd.problems
            if kinds.get(problem.kind, "features") not in ignore
            and not _is_told(problem.name, problem.kind, features, found)
        ]
    return found


def _is_told(
    name: str, kind: str, features: Sequence[str] | None, found: Comparison
) -> bool:
    """Tell whether a problem says nothing new about what was to be compared."""
    if kind == "feature":
        told = any(f"'{name}'" in problem for problem in found.problems)
        return told or (features is not None and name not in features)
    return kind == "length"  # (the data win: they were compared)


def _compare_features(
    found: Comparison,
    first: HDF5Data,
    second: HDF5Data,
    features: Sequence[str] | None,
    progress: Callable[[int, int, str], None] | None,
) -> None:
    names = sorted({*first.keys(), *second.keys()})
    for name in features or ():
        if name not in names:
            raise FeatureNotFoundError(
                f"neither measurement has a feature '{name}'; "
                f"{near_and_first(name, names)}; dcread info lists all"
            )
    names = names if features is None else list(features)
    found.compared["features"] = len(names)
    for done, name in enumerate(names):
        if progress is not None:
            progress(done, len(names), name)
        if _is_in_one_only(found, "features", name, first, second):
            continue
        try:
            pairs = list(_pairs(first[name], second[name], name))
        except (ClosedError, FileChangedError):
            raise
        except (DCReadError, _ShapeDiffersError) as error:
            _note(found, name, error)
            continue
        for label, one, other in pairs:
            try:
                _require_backing(found, one, other)
            except FormatError as error:
                _note(found, label, error)
            else:
                _compare_rows(found, label, one, other)


class _ShapeDiffersError(Exception):
    """Two features are of different kinds."""


def _note(found: Comparison, name: str, error: Exception) -> None:
    if isinstance(error, _ShapeDiffersError):
        found.differences.append(Difference("features", name, str(error)))
    else:
        found.problems.append(f"feature '{name}': {text_of(error)}")


def _pairs(one: Any, other: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield arrays to compare row by row, with their names."""
    if isinstance(one, Mapping) != isinstance(other, Mapping):
        raise _ShapeDiffersError("one is a group of datasets, the other is not")
    if not isinstance(one, Mapping):
        yield name, one, other
        return
    for part in sorted({*one, *other}):
        if part not in one or part not in other:
            place = "second" if part not in one else "first"
            raise _ShapeDiffersError(f"'{part}' is in the {place} only")
        yield f"{name}/{part}", one[part], other[part]


def _require_backing(found: Comparison, *pair: Any) -> None:
    for values, backing in zip(pair, found.backings, strict=True):
        if hasattr(values, "reader"):
            backing.require(values.reader)


def _compare_rows(found: Comparison, name: str, one: Any, other: Any) -> None:
    length = min(len(one), len(other))
    shapes = [getattr(values, "shape", (0,))[1:] for values in (one, other)]
    if shapes[0] != shapes[1]:
        reason = f"the shape of an event is {shapes[0]} against {shapes[1]}"
        found.differences.append(Difference("features", name, reason))
        return
    row_bytes = 4096
    if hasattr(one, "dtype"):
        row_bytes = int(np.prod(shapes[0], dtype=np.int64)) * one.dtype.itemsize
    step = max(1, AT_ONCE // max(row_bytes, 1))
    steps = (slice(i, min(i + step, length)) for i in range(0, length, step))
    number, first = 0, None
    lost = 0
    for rows, differs in itertools.chain.from_iterable(
        _parts(one, other, part) for part in steps
    ):
        if isinstance(differs, DCReadError):
            if not lost:
                found.problems.append(f"feature '{name}': {text_of(differs)}")
            lost += rows.stop - rows.start
            if lost > MANY:
                lost += length - rows.stop
                break
        elif differs.any():
            number += int(np.count_nonzero(differs))
            place = rows.start + int(np.argmax(differs))
            first = place if first is None else first
    if lost:
        found.problems[-1] += f" ({lost:,} of {length:,} events not compared)"
    if number:
        reason = f"{number:,} of {length:,} events differ, the first is {first:,}"
        difference = Difference("features", name, reason, number, first)
        found.differences.append(difference)


def _parts(one: Any, other: Any, rows: slice) -> Iterator[tuple[slice, Any]]:
    """Yield rows and for which of them two features differ, or why nobody knows."""
    try:
        yield rows, _rows_differ(one, other, rows)
    except (ClosedError, FileChangedError):
        raise
    except DCReadError as error:
        size = rows.stop - rows.start
        if size == 1:
            yield rows, error
            return
        middle = rows.start + size // 2
        yield from _parts(one, other, slice(rows.start, middle))
        yield from _parts(one, other, slice(middle, rows.stop))


def _rows_differ(one: Any, other: Any, rows: slice) -> Any:
    """Return for which events of a block two features differ."""
    if not hasattr(one, "dtype") or not hasattr(other, "dtype"):  # contours
        pairs = ((one[i], other[i]) for i in range(rows.start, rows.stop))
        return np.array([not np.array_equal(a, b) for a, b in pairs], dtype=bool)
    a, b = np.asarray(one[rows]), np.asarray(other[rows])
    differs = np.asarray(a != b)
    if a.dtype.kind in "fc" and b.dtype.kind in "fc":
        differs &= ~(np.isnan(a) & np.isnan(b))
    return differs.reshape(len(differs), -1).any(axis=1)


def _compare_mappings(
    found: Comparison,
    part: str,
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    how: Callable[[Any, Any], str],
) -> None:
    names = sorted({*one, *other})
    found.compared[part] = len(names)
    for name in names:
        if not _is_in_one_only(found, part, name, one, other):
            reason = how(one[name], other[name])
            if reason:
                found.differences.append(Difference(part, name, reason))


def _is_in_one_only(
    found: Comparison, part: str, name: str, one: Any, other: Any
) -> bool:
    if name in one and name in other:
        return False
    place = "first" if name in one else "second"
    reason = f"is in the {place} only"
    found.differences.append(Difference(part, name, reason, only=place))
    return True


def _value_differs(one: Any, other: Any) -> str:
    same = np.array_equal(np.asarray(one), np.asarray(other))
    if same or (one != one and other != other):  # noqa: PLR0124  (both are NaN)
        return ""
    return f"{one!r} against {other!r}"


def _lines_differ(one: Sequence[str], other: Sequence[str]) -> str:
    if list(one) == list(other):
        return ""
    pairs = enumerate(zip(one, other, strict=False), start=1)
    line = next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)) + 1)
    return f"{len(one):,} lines against {len(other):,}, different from line {line:,} on"


def _table_differs(one: Any, other: Any) -> str:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if list(one) != list(other):
            return f"columns {', '.join(one)} against {', '.join(other)}"
        wrong = [name for name in one if _values_differ(one[name], other[name])]
        return f"different values in {', '.join(wrong)}" if wrong else ""
    if isinstance(one, Mapping) or isinstance(other, Mapping):
        return "one has columns, the other has none"
    return "different values" if _values_differ(one, other) else ""


def _values_differ(one: Any, other: Any) -> bool:
    a, b = np.asarray(one), np.asarray(other)
    both_float = a.dtype.kind in "fc" and b.dtype.kind in "fc"
    return not np.array_equal(a, b, equal_nan=both_float)
