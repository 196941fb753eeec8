"""How an open measurement shows itself: one line, or a page in a notebook."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .. import notebook
from ..basins import BasinStatus, BasinStatusList
from ..errors import DCReadError, FeatureNotFoundError
from .feature_info import feature_info

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..pictures.cells import Drawn

NEAR = ("internal", "file")
"""Types of basins that are no network and no plugin's."""


class Shown(Protocol):
    """What of a measurement is shown; `dcread.HDF5Data` has it."""

    path: Any

    def __len__(self) -> int:
        """Return the number of events."""

    def keys(self) -> list[str]:
        """Return the names of the features."""

    def basin_status(self) -> BasinStatusList:
        """Return a record for each basin."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """The metadata."""

    @property
    def problems(self) -> Sequence[object]:
        """What could not be used."""

    @property
    def closed(self) -> bool:
        """Whether it is closed."""


def one_line(name: str, length: int | None, *, closed: bool, mapped: bool) -> str:
    """Return what `repr` says of a measurement; never reads anything."""
    parts = [f"'{name}'"]
    if length is not None:
        parts.append(f"{length} event{'' if length == 1 else 's'}")
    if mapped:
        parts.append("index-mapped")
    if closed:
        parts.append("closed")
    return f"<dcread.HDF5Data {', '.join(parts)}>"


def preview(data: Drawn, name: str) -> Figure:
    """Return a figure of some events."""
    from ..pictures.cells import Reader
    from ..pictures.figure import all_fonts, title_of
    from ..pictures.preview import figure_of

    with all_fonts():
        figure, _ = figure_of(Reader(data), title_of(pathlib.PurePath(name).name))
    return figure


def as_html(
    data: Shown,
    own: Callable[[str], Any],
    glimpse: Callable[[str, int], Any],
) -> str:
    """Return a page with thumbnails; all text of the file is escaped.

    No feature is read but a few images, no server is contacted, and no plugin is
    called for an image.

    Parameters
    ----------
    data : HDF5Data
        The measurement.
    own : callable
        Returns what the file knows of a feature (its ``shape`` and ``dtype``), None
        if it does not have it.
    glimpse : callable
        Returns one image of a feature; None if that takes more than a moment.
    """
    if data.closed:
        return notebook.page(repr(data))
    try:
        status, error = data.basin_status(), None
    except DCReadError as exc:
        status, error = BasinStatusList(), exc
    parts = [
        notebook.guarded(lambda: _facts(data)),
        notebook.guarded(lambda: _images(data, status, own, glimpse)),
        notebook.guarded(lambda: _features(data, status, own)),
        notebook.guarded(lambda: _metadata(data)),
    ]
    if error is not None:
        parts.append(notebook.alarm(error))
    elif status:
        parts.append(notebook.section("Basins", status.as_table(), len(status)))
    parts.append(notebook.guarded(lambda: _problems(data)))
    return notebook.page(repr(data), *parts)


def _facts(data: Shown) -> str:
    rows = [("File", str(data.path)), ("Events", f"{len(data):,}")]
    for title, name in (
        ("Sample", "experiment:sample"),
        ("Date", "experiment:date"),
        ("Time", "experiment:time"),
        ("Instrument", "setup:identifier"),
        ("Channel width [µm]", "setup:channel width"),
        ("Flow rate [µl/s]", "setup:flow rate"),
        ("Pixel size [µm]", "imaging:pixel size"),
    ):
        shown = str(data.meta.get(name, ""))
        if shown.strip():
            rows.append((title, shown))
    return notebook.table(rows)


def _images(
    data: Shown,
    status: BasinStatusList,
    own: Callable[[str], Any],
    glimpse: Callable[[str, int], Any],
) -> str:
    near = set().union(*(_near_features(record) for record in status))
    names = data.keys()
    there = [name for name in ("image", "mask") if name in names]
    found = [name for name in there if name in near or own(name) is not None]
    if not there:
        return ""
    if found:
        name = found[0]
        body = notebook.thumbnails(len(data), lambda number: glimpse(name, number))
    else:
        name = there[0]
        body = notebook.remark(f"not here: hd['{name}'] asks the basins for them")
    title = "Images" if name == "image" else "Masks"
    return notebook.section(title, body, unfolded=True)


def _near_features(record: BasinStatus) -> set[str]:
    """Return the features that a basin gives without a network or a plugin."""
    if record.available is not True or not _all_near([record]):
        return set()
    return set(record.features or ())


def _all_near(records: Iterable[BasinStatus]) -> bool:
    return all(one.type in NEAR and _all_near(one.basins) for one in records)


def _features(data: Shown, status: BasinStatusList, own: Callable[[str], Any]) -> str:
    names = data.keys()
    rows = []
    for name in names[: notebook.MOST_ROWS]:
        try:
            info = feature_info(name)
            label, unit = info.label, info.unit
        except FeatureNotFoundError:
            label, unit = "", ""
        stored = own(name)
        shape = getattr(stored, "shape", None)
        kind = "" if shape is None else f"{shape} {stored.dtype}"
        givers = [one.name for one in status if name in (one.features or ())]
        source = "file" if stored is not None else ", ".join(givers[:1])
        rows.append((name, label, unit, kind, source))
    rows += [("",) * 5] * (len(names) - len(rows))  # counted, not shown
    titles = ("Feature", "Meaning", "Unit", "Stored", "From")
    return notebook.section("Features", notebook.table(rows, titles), len(names))


def _metadata(data: Shown) -> str:
    rows = [(name, value) for name, value in data.meta.items() if str(value).strip()]
    return notebook.section("Metadata", notebook.table(rows), len(rows)) if rows else ""


def _problems(data: Shown) -> str:
    found = data.problems
    if not found:
        return ""
    body = "".join(map(notebook.alarm, found[:20]))
    if len(found) > 20:
        body += notebook.remark(f"and {len(found) - 20:,} more: see hd.problems")
    return notebook.section("Problems", body, len(found), unfolded=True)
