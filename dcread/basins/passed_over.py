"""Why a feature was not taken from basins: each of them, with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..problems import one_line
from .basin_set import BasinSet, Step, Unparsed
from .entry import Entry
from .reports import label_of, may_promise


class PassedOver(NamedTuple):
    """A basin that does not give a feature.

    Attributes
    ----------
    name : str
        Name of the basin; of the basin of a basin both, with ``>`` in between.
    reason : str
        Why the feature is not taken from it.
    """

    name: str
    reason: str


def passed_over(
    basins: BasinSet, feature: str, way: Sequence[Step] = (), *, own: str = ""
) -> Iterator[PassedOver]:
    """Yield the basins that a feature is not taken from; nothing is opened for it.

    Parameters
    ----------
    basins : BasinSet
        Of the measurement, after it was asked for the feature.
    feature : str
        Name of the feature.
    way : sequence of Step
        The basins that lead to it, the outermost first.
    own : str
        Why the basins were not asked at all, if they were not.
    """
    step = way[0] if way else None
    used = ""
    for entry in basins.entries:
        if isinstance(entry, Unparsed):
            yield PassedOver(entry.name, one_line(entry.error))
        elif step is not None and entry is step.entry:
            used = entry.definition.label
            nested = basins.nested_if_made(step.candidate)
            if nested is not None and len(way) == 1:
                where = f"basin '{used}' has '{feature}' itself"
                yield from _inside(used, passed_over(nested, feature, own=where))
            elif nested is not None:
                yield from _inside(used, passed_over(nested, feature, way[1:]))
        else:
            yield PassedOver(entry.definition.label, _why(entry, feature, used, own))
            for candidate in entry.opened():
                nested = basins.nested_if_made(candidate)
                if nested is not None and entry.may_have(feature):
                    inner = passed_over(nested, feature, own=own)
                    yield from _inside(entry.definition.label, inner)
    for item in basins.dropped:
        if may_promise(item, feature):
            yield PassedOver(label_of(item), one_line(item.reason))


def _inside(outer: str, found: Iterator[PassedOver]) -> Iterator[PassedOver]:
    for name, reason in found:
        yield PassedOver(f"{outer} > {name}", reason)


def _why(entry: Entry, feature: str, used: str, own: str) -> str:
    if not entry.may_have(feature):
        return f"it does not list '{feature}'"
    reason = entry.reason(feature)
    if not reason and own:
        reason = f"not asked: {own}"
    if not reason and used:
        reason = f"not asked: '{used}' comes first"
    if not reason and entry.is_remote and not entry.opened():
        reason = "not asked: what is local comes first"
    if not reason and entry.definition.mapping == feature:
        reason = "it is mapped by this very feature"
    return reason or f"it has no '{feature}'"
