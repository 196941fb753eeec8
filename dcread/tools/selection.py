"""Some events of a measurement, taken block by block."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..engine import Backing
from ..errors import FeatureNotFoundError
from ..measurement.data import HDF5Data
from ..problems import near_and_first
from ..survey import require_measurement, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .where import Condition

BLOCK = 20_000
"""Events that are in memory together."""
_ITEM = re.compile(r"(-?\d*)(?:(:)(-?\d*)(?::(-?\d*))?)?")


@dataclass(frozen=True)
class Selection:
    """Events by number and by condition.

    Attributes
    ----------
    events : tuple of int or slice
        What to take, in this order, as NumPy would.
    where : Condition or None
        What must hold for an event.
    """

    events: tuple[int | slice, ...] = (slice(None),)
    where: Condition | None = None

    def numbers(self, length: int) -> Sequence[range]:
        """Return the numbers of the events, without the condition.

        Raises
        ------
        ValueError
            If an event is not there.
        """
        found = []
        for item in self.events:
            if isinstance(item, slice):
                found.append(range(length)[item])
            elif -length <= item < length:
                found.append(range(item % length, item % length + 1))
            else:
                raise ValueError(
                    f"there is no event {item}: there are {length:,} events"
                )
        return found


def parse_events(text: str) -> tuple[int | slice, ...]:
    """Parse numbers and slices of events, with commas between them.

    Raises
    ------
    ValueError
        If the text is something else.

    Examples
    --------
    >>> parse_events("0:1000:10,-1")
    (slice(0, 1000, 10), -1)
    """
    items: list[int | slice] = []
    for part in text.split(","):
        found = _ITEM.fullmatch(part.strip())
        if found is None or not part.strip() or found[1] == found[2] is None:
            raise ValueError(
                f"'{part}' is neither an event number nor a slice such as 0:100:10"
            )
        if found[2] is None:
            items.append(int(found[1]))
            continue
        numbers = [int(group) if group else None for group in found.group(1, 3, 4)]
        if numbers[2] == 0:
            raise ValueError(f"'{part}' has a step of 0")
        items.append(slice(*numbers))
    return tuple(items)


def blocks(
    path: str | os.PathLike[str],
    selection: Selection,
    features: Sequence[str] = (),
    block: int = BLOCK,
) -> Iterator[tuple[HDF5Data, NDArray[np.int64], NDArray[np.int64]]]:
    """Open a measurement for one block of events after the other.

    Parameters
    ----------
    path : str or path-like
        The measurement.
    selection : Selection
        The events.
    features : sequence of str
        Features that must be there.
    block : int
        Events of one block.

    Yields
    ------
    hd : HDF5Data
        The measurement, mapped to the events of a block; closed after the turn.
    rows : ndarray of int64
        Those of its events for which the condition holds.
    numbers : ndarray of int64
        The numbers in the measurement of these.

    Raises
    ------
    FeatureNotFoundError, ValueError
        If a feature or an event is not there.
    """
    with HDF5Data(path) as hd:
        require_measurement(hd)
        needed = [*features, *(selection.where.features if selection.where else ())]
        for name in needed:
            if not _has(hd, name):
                raise FeatureNotFoundError(
                    f"{shown(os.fspath(path))}: there is no feature '{name}'; "
                    f"{near_and_first(name, hd.keys())}; dcread info lists all"
                )
        ranges = selection.numbers(len(hd))
    for numbers in _split(ranges, block):
        with HDF5Data(path, index_mapping=numbers) as hd:
            rows = np.arange(len(numbers))
            if selection.where is not None:
                values = {name: hd[name][:] for name in selection.where.features}
                for name, array in values.items():
                    if getattr(array, "ndim", 0) != 1:
                        raise ValueError(f"'{name}' is not a scalar feature")
                rows = np.flatnonzero(selection.where(values))
            yield hd, rows, numbers[rows]


def require_backing(hd: HDF5Data, names: Sequence[str], selection: Selection) -> None:
    """Refuse more events than the files can hold that have the features.

    Parameters
    ----------
    hd : HDF5Data
        The measurement, mapped to a block of the events.
    names : sequence of str
        Of features that are about to be read for all of the events.
    selection : Selection
        The events.

    Raises
    ------
    FormatError
        If the files are too small.
    """
    backing, count = Backing(), sum(map(len, selection.numbers(hd.raw_length)))
    for name in names:
        if name not in ("trace", "contour"):
            stored = "image" if name == "image_corr" else name
            backing.require(hd.view(stored).reader, count)


def _has(hd: HDF5Data, name: str) -> bool:
    """Tell whether there is a feature; remote basins that list none are asked."""
    if name == "image_corr":
        return hd.image_corr is not None
    if name in hd:
        return True
    try:
        hd.view(name)
    except FeatureNotFoundError:
        return False
    return True


def _split(ranges: Sequence[range], block: int) -> Iterator[NDArray[np.int64]]:
    """Yield arrays of at most `block` numbers; one that is empty if there are none."""
    numbers = itertools.chain.from_iterable(ranges)
    size = sum(map(len, ranges))
    for start in range(0, max(size, 1), block):
        count = min(block, size - start)
        yield np.fromiter(itertools.islice(numbers, count), np.int64, count)
