"""What was found in a damaged measurement."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine import Backing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .readable import Rows


@dataclass
class Salvage:
    """What could be saved of a measurement, and what is lost.

    Attributes
    ----------
    path, source : str
        The new file and the measurement.
    events, kept : int
        How many events there were, and how many are left.
    lost_events : list of (int, int)
        The events that are not left, as ranges: first and last.
    costs : dict of str to dict
        By feature: ``events`` that cannot be read, and ``reason`` of the first.
    lost : dict of str to str
        By the path of what is left out as a whole: the reason.
    torn : str
        What is missing at the end of the file; empty if nothing is.
    """

    path: str
    source: str
    events: int = 0
    kept: int = 0
    lost_events: list[tuple[int, int]] = field(default_factory=list)
    costs: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    torn: str = ""


@dataclass
class Finds:
    """What is to be written: datasets of events, and which events.

    Attributes
    ----------
    rows : dict of str to Rows
        By their path below ``/events``.
    contours : bool
        Whether there are contours.
    internal : dict of str to Rows
        By their path in the file: datasets of internal basins.
    good : ndarray of bool
        For each event whether all features can be read.
    wanted : frozenset of str or None
        The features that were asked for; None for all.
    backing : Backing
        What is claimed by what was read.
    """

    rows: dict[str, Rows] = field(default_factory=dict)
    contours: bool = False
    internal: dict[str, Rows] = field(default_factory=dict)
    good: NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, dtype=bool))
    wanted: frozenset[str] | None = None
    backing: Backing = field(default_factory=Backing)
