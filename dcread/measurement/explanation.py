"""Where a feature comes from, how it is stored there, and what reading it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import notebook
from ..arrays.trace_contour import Contours, Traces
from ..basins.passed_over import PassedOver, passed_over
from ..engine import ReadCost, RowReader, Rows, Storage, reader_for
from ..errors import BasinError, ClosedError, DCReadError, FeatureNotFoundError
from ..problems import as_format_error, one_line

if TYPE_CHECKING:
    from ..basins import BasinSet
    from ..basins.basin_set import Step
    from ..file.measurement_file import MeasurementFile
    from ..problems import Problem

SHOWN = 20
"""Basins that were passed over, as far as texts show them."""

NOTHING, UNKNOWN = ReadCost(0, 0), ReadCost(None, None)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a feature comes from, how it is stored there, and what reading it costs.

    `str` of it is a text of several lines; notebooks show tables.

    Attributes
    ----------
    feature : str
        Name of the feature.
    available : bool
        Whether ``hd[feature]`` gives it.
    reason : str
        Why it cannot be had; empty if it can.
    basins : tuple of str
        Names of the basins that lead to it, the outermost first; empty if the file
        itself has it.
    type, format : str
        Of the basin that has it; empty if the file itself has it.
    location : str
        File, URL or place of a plugin that has it, and the name there.
    mapping : tuple of str
        What tells which row belongs to which event, from the outside in:
        ``"index_mapping"`` for that of the measurement, names of index maps for basins;
        empty if event number n is row n.
    shape : tuple of int or None
        Shape as the measurement gives it; None for contours, and what is not available.
    dtype : numpy.dtype or None
        Type of the values.
    members : tuple of str
        Names of the traces.
    storage : Storage or None
        How it is stored: ``layout``, ``shape``, ``dtype``, ``chunks``, ``filters``,
        ``nbytes``, ``reader``. Of traces the first one.
    one : ReadCost or None
        What reading one event (that in the middle) takes: ``requests`` to servers or
        reads of files, and stored ``nbytes``.
    all : ReadCost or None
        What reading all events in one go takes.
    passed_over : tuple of PassedOver
        The basins that it is not taken from: ``name`` and ``reason`` of each.

    Examples
    --------
    >>> import dcread
    >>> found = dcread.HDF5Data("demo-output/demo.rtdc").explain("image")
    >>> found.basins, found.mapping, found.storage.layout, found.one.requests
    (('recording',), ('basinmap1',), 'chunked', 1)
    >>> [(other.name, other.reason) for other in found.passed_over]
    [('background images', "it does not list 'image'")]
    """

    feature: str
    available: bool
    reason: str = ""
    basins: tuple[str, ...] = ()
    type: str = ""
    format: str = ""
    location: str = ""
    mapping: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    dtype: np.dtype[Any] | None = None
    members: tuple[str, ...] = ()
    storage: Storage | None = None
    one: ReadCost | None = None
    all: ReadCost | None = None
    passed_over: tuple[PassedOver, ...] = ()

    @property
    def source(self) -> str:
        """Where it comes from, in words.

        Examples
        --------
        >>> import dcread
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.explain("deform").source, hd.explain("image").source
        ('the file itself', "basin 'recording' (file, hdf5)")
        """
        if not self.available:
            return "not available"
        if not self.basins:
            return "the file itself"
        return f"basin '{' > '.join(self.basins)}' ({self.type}, {self.format})"

    def __repr__(self) -> str:
        return f"<Explanation of '{self.feature}': {self.source}>"

    def __str__(self) -> str:
        lines = [f"{self.feature}: {self.source}"]
        lines += [f"    {title:<9}  {text}" for title, text in self._facts()]
        if self.passed_over:
            lines.append("    passed over")
            shown = self.passed_over[:SHOWN]
            lines += [f"        {name}: {reason}" for name, reason in shown]
            more = len(self.passed_over) - len(shown)
            lines += [f"        and {more:,} more"] * (more > 0)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [notebook.table(list(self._facts()))]
        if self.passed_over:
            table = notebook.table(self.passed_over, ("Basin", "Reason"))
            count = len(self.passed_over)
            parts.append(notebook.section("Passed over", table, count, unfolded=True))
        return notebook.page(f"{self.feature}: {self.source}", *parts)

    def _facts(self) -> Iterator[tuple[str, str]]:
        if self.reason:
            yield "reason", self.reason
        if self.location:
            yield "at", self.location
        if self.mapping:
            yield "mapped by", ", then ".join(self.mapping)
        if self.shape is not None:
            yield "gives", f"{self.shape} {self.dtype}"
        if self.members:
            yield "members", " ".join(self.members)
        if self.storage is not None:
            yield "stored", str(self.storage)
        for title, cost in (("one event", self.one), ("all", self.all)):
            if cost is not None:
                yield title, str(cost)


def explain(
    feature: str,
    referrer: MeasurementFile,
    basins: BasinSet,
    look: Callable[[str], tuple[Any, Any]],
) -> Explanation:
    """Return where a feature of a measurement comes from.

    Parameters
    ----------
    feature : str
        Name of the feature.
    referrer : MeasurementFile
        The open file.
    basins : BasinSet
        Its basins.
    look : callable
        Looks a feature up; returns the view that a user gets, and the dataset or group
        behind it, or raises why it cannot be had.
    """
    own = referrer.events.get(feature)
    if own is not None and own.absent:
        own = None
    handle = referrer.handle
    try:
        with as_format_error(f"{handle.label}: feature '{feature}'", handle):
            view, behind = look(feature)
            way = [] if own is not None else basins.way_to(feature)
            if own is None and not way:  # (it went away in between)
                raise FeatureNotFoundError(feature)
            found = _described(feature, view, behind)
    except ClosedError:
        raise
    except FeatureNotFoundError:  # (the reasons of basins stand by their names)
        reasons = [str(one.reason) for one in referrer.problems if is_about_all(one)]
        reasons = reasons or ["neither the file nor a basin of it has it"]
        reason = "; ".join(map(one_line, reasons))
        way, found = [], Explanation(feature, available=False, reason=reason)
    except DCReadError as exc:
        way, found = [], Explanation(feature, available=False, reason=one_line(exc))
    where = f"the file has '{feature}' itself" if own is not None else ""
    others = tuple(passed_over(basins, feature, way, own=where))
    if not found.available:
        return replace(found, passed_over=others)
    maps = [step.entry.definition.mapping for step in way]
    if referrer.index_mapping is not None:
        maps.insert(0, "index_mapping")
    found = replace(
        found,
        mapping=tuple(name for name in maps if name is not None),
        passed_over=others,
    )
    return _of_basin(found, way) if way else found


def is_about_all(problem: Problem) -> bool:
    """Tell whether a problem keeps all features of a file away."""
    return problem.kind == "feature" and problem.name == "/events"


def _of_basin(found: Explanation, way: Sequence[Step]) -> Explanation:
    last = way[-1]
    storage = found.storage
    if storage is not None and last.candidate.is_built_in and storage.layout == "array":
        storage = replace(storage, reader="dcread")
    definition = last.entry.definition
    return replace(
        found,
        basins=tuple(step.entry.definition.label for step in way),
        type=one_line(definition.type, 100),
        format=one_line(definition.format, 100),
        storage=storage,
    )


def _described(feature: str, view: Any, behind: Any) -> Explanation:
    if isinstance(view, Traces):
        return _of_traces(feature, view)
    if isinstance(view, Contours):
        return _of_contours(feature, view, behind)
    reader: RowReader = view.reader
    count = reader.shape[0]
    return Explanation(
        feature,
        available=True,
        location=_place(reader),
        shape=tuple(view.shape),
        dtype=np.dtype(bool) if feature == "mask" else view.dtype,
        storage=reader.storage(),
        one=_cost(reader, range(count // 2, min(count, count // 2 + 1))),
        all=_cost(reader, range(count)),
    )


def _of_traces(feature: str, traces: Traces) -> Explanation:
    one = all_ = NOTHING
    first: RowReader | None = None
    for name in traces:
        try:
            reader = traces[name].reader
        except ClosedError:
            raise
        except DCReadError:  # (one bad trace costs only itself)
            one = all_ = UNKNOWN
            continue
        first, count = first or reader, reader.shape[0]
        one += _cost(reader, range(count // 2, min(count, count // 2 + 1)))
        all_ += _cost(reader, range(count))
    if first is None:
        return Explanation(feature, available=True, one=one, all=all_)
    return Explanation(
        feature,
        available=True,
        location=_place(first).rpartition("/")[0],
        shape=tuple(first.shape),
        dtype=first.dtype,
        members=tuple(traces),
        storage=first.storage(),
        one=one,
        all=all_,
    )


def _of_contours(feature: str, contours: Contours, group: Any) -> Explanation:
    if not len(contours):
        return Explanation(feature, available=True, one=NOTHING, all=NOTHING)
    try:
        with as_format_error(feature):
            reader = reader_for(group[str(contours.row_of(len(contours) // 2))])
    except ClosedError:
        raise
    except (DCReadError, KeyError):  # (one that is damaged or missing costs itself)
        return Explanation(feature, available=True, one=UNKNOWN, all=UNKNOWN)
    return Explanation(
        feature,
        available=True,
        location=_place(reader).rpartition("/")[0],
        dtype=reader.dtype,
        storage=reader.storage(),
        one=_cost(reader, range(reader.shape[0])),
        all=UNKNOWN,  # as many datasets as events: they are not looked at
    )


def _place(reader: RowReader) -> str:
    return one_line(f"{reader.filename}: {reader.name}")


def _cost(reader: RowReader, rows: range) -> ReadCost:
    if not len(rows):
        return NOTHING
    try:
        return reader.read_cost(Rows(rows))
    except BasinError:  # (of a plugin, that may give the values all the same)
        return UNKNOWN
