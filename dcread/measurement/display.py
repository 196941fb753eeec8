"""How an open measurement shows itself: one line, or a table in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..basins import BasinStatus
from ..errors import DCReadError


class Shown(Protocol):
    """What of a measurement is shown; `dcread.HDF5Data` has it."""

    path: Any

    def __len__(self) -> int:
        """Return the number of events."""

    def keys(self) -> list[str]:
        """Return the names of the features."""

    def basin_status(self) -> Sequence[BasinStatus]:
        """Return a record for each basin."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """The metadata."""

    @property
    def problems(self) -> Sequence[object]:
        """What could not be used."""


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


def as_html(data: Shown) -> str:
    """Return a short HTML table; all text of the file is escaped."""
    try:
        rows = _rows(data)
    except DCReadError:
        rows = []
    body = "".join(
        f"<tr><th style='text-align:left'>{html.escape(title)}</th>"
        f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
        for title, text in rows
    )
    return (
        f"<div><p><strong>{html.escape(repr(data))}</strong></p>"
        f"<table>{body}</table></div>"
    )


def _rows(data: Shown) -> Iterable[tuple[str, str]]:
    rows = [
        ("File", str(data.path)),
        ("Events", str(len(data))),
        ("Features", ", ".join(data.keys()) or "none"),
    ]
    for title, name in (
        ("Sample", "experiment:sample"),
        ("Date", "experiment:date"),
        ("Time", "experiment:time"),
        ("Instrument", "setup:identifier"),
        ("Channel width [µm]", "setup:channel width"),
        ("Flow rate [µl/s]", "setup:flow rate"),
        ("Pixel size [µm]", "imaging:pixel size"),
    ):
        value = data.meta.get(name)
        text = "" if value is None else " ".join(str(value).split())
        if text:
            rows.append((title, text))
    status = [
        f"{basin.name} ({_availability(basin.available)})"
        for basin in data.basin_status()
    ]
    if status:
        rows.append(("Basins", ", ".join(status)))
    problems = data.problems
    if problems:
        rows.append(("Problems", "; ".join(map(str, problems))))
    return rows


def _availability(available: bool | None) -> str:
    if available is None:
        return "not asked yet"
    return "available" if available else "not available"
