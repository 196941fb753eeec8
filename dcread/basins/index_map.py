"""Index maps of mapped basins: the row of the basin for each event."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import BasinError

IntArray = NDArray[np.integer[Any]]


class IndexMap(NamedTuple):
    """A checked map.

    Attributes
    ----------
    name : str
        The feature that it was read from.
    values : ndarray of int64, read-only
        For each event of the referrer the row in the basin, never negative.
    last : int
        The largest row; -1 for an empty map.
    """

    name: str
    values: NDArray[np.int64]
    last: int

    def check_rows(self, rows: int) -> None:
        """Raise BasinError if the map leads beyond `rows` rows."""
        if self.last >= rows:
            raise BasinError(
                f"its map '{self.name}' leads to row {self.last}, but the basin has "
                f"{rows} rows"
            )


def check_map_shape(
    name: str, shape: tuple[int, ...], dtype: np.dtype[Any], events: int | None
) -> None:
    """Raise BasinError unless shape and dtype are those of a map."""
    if dtype.kind not in "iuf":  # dcnum writes some as float
        raise BasinError(f"its map '{name}' should hold integers, found {dtype}")
    if len(shape) != 1:
        raise BasinError(
            f"its map '{name}' should have one dimension, found shape {shape}"
        )
    if events is not None and shape[0] != events:
        raise BasinError(
            f"its map '{name}' should have one row for each of the {events} events, "
            f"found {shape[0]}"
        )


def as_map(name: str, values: NDArray[Any]) -> IndexMap:
    """Return a map, given its values (see `check_map_shape`).

    Raises
    ------
    BasinError
        If they are not whole numbers, or negative.
    """
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (np.trunc(values) == values)
        if not whole.all():
            event = int(np.argmin(whole))
            raise BasinError(
                f"its map '{name}' should hold integers, found {values[event]} "
                f"at event {event}"
            )
    lowest, highest = (int(values.min()), int(values.max())) if values.size else (0, -1)
    if lowest < 0:
        raise BasinError(f"its map '{name}' should hold rows from 0 on, found {lowest}")
    if highest > np.iinfo(np.int64).max:
        raise BasinError(f"its map '{name}' leads to row {highest}, which no basin has")
    rows = values.astype(np.int64)
    rows.flags.writeable = False
    return IndexMap(name, rows, highest)


def compose(outer: IntArray | None, inner: IntArray | None) -> IntArray | None:
    """Return the map that takes `outer` first and `inner` afterwards."""
    if inner is None or outer is None:
        return outer if inner is None else inner
    return inner[outer]
