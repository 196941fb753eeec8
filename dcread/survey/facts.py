"""The questions of a survey: what a measurement holds, and what is wrong with it.

Each function takes an open measurement and the options of its question, and
returns facts by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..file.links import names_in, subgroup
from ..problems import UNREADABLE
from ..sync.locks import h5_lock
from .plain import plain

if TYPE_CHECKING:
    from ..flicker.report import FlickerReport
    from ..measurement.data import HDF5Data

FLICKER_FACTS = (
    "frames",
    "flickering",
    "flickering_frames",
    "flickering_without_drift",
    "flickering_frames_without_drift",
    "drifting",
    "drift_range",
    "roi_height",
    "brightness_threshold",
    "count_threshold",
    "drift_window",
)
"""Attributes of a `FlickerReport` that are told: all but the series."""


def info(hd: HDF5Data) -> dict[str, Any]:
    """Return what a measurement holds."""
    own = stored_features(hd)
    features = list(hd.keys())
    return {
        "events": len(hd),
        "features": [name for name in features if name in own],
        "features_from_basins": [name for name in features if name not in own],
        "metadata": dict(sorted(hd.meta.items())),
        "logs": {name: len(lines) for name, lines in sorted(hd.logs.items())},
        "tables": sorted(hd.tables),
        "problems": list(hd.problems),
    }


def basins(hd: HDF5Data, *, explain: str | None = None) -> dict[str, Any]:
    """Return what is known of each basin; `explain` names a feature to explain."""
    facts: dict[str, Any] = {}
    if explain is not None:
        found = hd.explain(explain)
        facts["explained"] = {**plain(found), "text": str(found)}
    return {"basins": hd.basin_status(), **facts}


def flicker(
    hd: HDF5Data, *, max_frames: int = 1000, threshold: float = 2.5
) -> dict[str, Any]:
    """Return the numbers of the flicker check; `max_frames` 0 looks at all."""
    from ..flicker.report import flicker_report

    report: FlickerReport = flicker_report(
        hd, brightness_threshold=threshold, max_frames=max_frames or len(hd)
    )
    facts: dict[str, Any] = {name: getattr(report, name) for name in FLICKER_FACTS}
    return {**facts, "summary": str(report)}


def stored_features(hd: HDF5Data) -> set[str]:
    """Return the names in the file's own group of events."""
    try:
        with hd.handle.using(), h5_lock:
            return set(names_in(subgroup(hd.handle, "events")))
    except UNREADABLE:  # the file is damaged there, or has no such group
        return set()
