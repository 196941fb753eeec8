"""What is known of each basin of an open measurement, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .. import notebook

_STATES = {True: "available", False: "not available", None: "not asked yet"}
_COLOURS = {True: "32", False: "31", None: "33"}


@dataclass(frozen=True, slots=True)
class BasinStatus:
    """Status of one basin.

    Attributes
    ----------
    name : str
        As stored, else the key in the file, else its position.
    type, format : str
        As stored; empty where nothing usable is stored.
    location : str or None
        The file, URL or group in use; None while there is none.
    available : bool or None
        None for not yet known (a remote basin that nobody asked for a feature).
    reason : str
        Why it is not available, or what was noticed on the way; may be empty.
    features : tuple of str or None
        The features that it makes available, sorted; None if not yet known.
    mapping : str or None
        The feature that maps events to its rows; None if they are the same.
    basins : tuple of BasinStatus
        Its own basins, as far as they were looked at.

    Examples
    --------
    >>> import dcread
    >>> with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
    ...     recording = hd.basin_status()[1]
    >>> recording.name, recording.state, recording.features, recording.mapping
    ('recording', 'available', ('image',), 'basinmap1')
    """

    name: str
    type: str
    format: str
    location: str | None
    available: bool | None
    reason: str
    features: tuple[str, ...] | None
    mapping: str | None = None
    basins: tuple[BasinStatus, ...] = ()

    @property
    def state(self) -> str:
        """What `available` says, in words."""
        return _STATES[self.available]


class BasinStatusList(list[BasinStatus]):
    """One record per basin; shows itself as a tree, in notebooks as a table.

    Examples
    --------
    >>> record = BasinStatus("raw", "file", "hdf5", "/d/a.rtdc", True, "", ("image",))
    >>> print(BasinStatusList([record]))
    raw: available, file (hdf5) at /d/a.rtdc
        features: image
    """

    def __repr__(self) -> str:
        names = ", ".join(f"{record.name} ({record.state})" for record in self)
        return f"<BasinStatusList: {names or 'no basins'}>"

    def __str__(self) -> str:
        return "\n".join(as_tree(self))

    def _repr_html_(self) -> str:
        return notebook.page(repr(self), self.as_table())

    def as_table(self) -> str:
        """Return a table for notebooks, basins of basins indented below them."""
        records = list(_with_depths(self, 0))
        rows = [
            (
                record.name,
                record.state,
                _kind(record),
                record.location or "",
                ", ".join(record.features or ()),
                record.reason,
            )
            for record, _ in records
        ]
        titles = ("Basin", "State", "Kind", "Location", "Features", "Reason")
        return notebook.table(rows, titles, (depth for _, depth in records))


def _with_depths(
    records: Iterable[BasinStatus], depth: int
) -> Iterator[tuple[BasinStatus, int]]:
    for record in records:
        yield record, depth
        yield from _with_depths(record.basins, depth + 1)


def as_tree(
    records: Iterable[BasinStatus], *, colour: bool = False, indent: str = ""
) -> Iterator[str]:
    """Yield the lines of a tree of basins, those of basins below them.

    Parameters
    ----------
    records : iterable of BasinStatus
        What to show.
    colour : bool
        Whether to mark states by the colours of a terminal.
    indent : str
        What each line begins with.
    """
    for record in records:
        state = record.state
        if colour:
            state = f"\x1b[{_COLOURS[record.available]}m{state}\x1b[0m"
        place = f" at {record.location}" if record.location else ""
        yield f"{indent}{record.name}: {state}, {_kind(record)}{place}"
        if record.features:
            yield f"{indent}    features: {' '.join(record.features)}"
        if record.reason:
            yield f"{indent}    {record.reason}"
        yield from as_tree(record.basins, colour=colour, indent=indent + "    ")


def _kind(record: BasinStatus) -> str:
    kind = f"{record.type or 'no type'} ({record.format or 'no format'})"
    return kind if record.mapping is None else f"{kind}, mapped by {record.mapping}"
