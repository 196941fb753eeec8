"""Features that are groups of datasets: fluorescence traces and contours."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureNotFoundError, FormatError
from ..problems import near_and_first


class Traces(Mapping[str, Any]):
    """Traces by name, each of shape (events, samples).

    Parameters
    ----------
    names : sequence of str
        What there is.
    open_one : callable
        Returns the view of one trace, by its name.
    label : str
        What messages call the feature and its file.
    """

    def __init__(
        self, names: Sequence[str], open_one: Callable[[str], Any], label: str
    ) -> None:
        self._names = sorted(names)
        self._open_one = open_one
        self._label = label

    def __getitem__(self, name: str) -> Any:
        """Return the view of one trace: shape (events, samples), any NumPy index.

        Raises
        ------
        FeatureNotFoundError
            If there is no such trace.
        """
        if name not in self._names:
            raise FeatureNotFoundError(
                f"{self._label} has no trace {name!r}; "
                f"{near_and_first(name, self._names)}"
            )
        return self._open_one(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._names)

    def __repr__(self) -> str:
        return f"<Traces of {self._label}: {', '.join(self._names) or 'none'}>"


class Contours(Sequence[NDArray[Any]]):
    """One contour an event: integer pixel positions (x, y) of shape (points, 2).

    Parameters
    ----------
    length : int
        Number of events.
    read_one : callable
        Returns the contour at a row of the file.
    rows : ndarray of int, optional
        The row of each event; None where event and row are the same.
    label : str
        What messages call the feature and its file.
    most_bytes : float
        How many bytes different contours may have that are read at once.
    """

    def __init__(
        self,
        length: int,
        read_one: Callable[[int], NDArray[Any]],
        rows: NDArray[Any] | None,
        label: str,
        most_bytes: float = math.inf,
    ) -> None:
        self._length = length
        self._read_one = read_one
        self._rows = rows
        self._label = label
        self._most_bytes = most_bytes

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[Any]]: ...
    def __getitem__(self, index: Any) -> Any:
        """Return the contour of an event, or a list of contours.

        Parameters
        ----------
        index : int, slice, or sequence of int or bool
            As for a NumPy array of one object an event.

        Raises
        ------
        IndexError
            If there is no such event.
        FormatError
            If a contour is missing or damaged, or so much cannot be in the file.
        """
        try:
            event = operator.index(index)
        except TypeError:
            chosen = np.arange(self._length)[index]
            if chosen.ndim != 1:
                raise IndexError(
                    f"{self._label}: expected an index of one dimension"
                ) from None
            return self._read_many(chosen.tolist())
        if not -self._length <= event < self._length:
            raise IndexError(
                f"{self._label}: index {event} is out of bounds for {self._length} "
                "events"
            )
        return self._read(event % self._length)

    def _read_many(self, events: list[int]) -> list[NDArray[Any]]:
        """Return contours; one dataset may have any number of names."""
        found: list[NDArray[Any]] = []
        seen: set[int] = set()
        total = 0
        for event in events:
            contour = self._read(event)
            found.append(contour)
            total += contour.nbytes if event not in seen else 0
            seen.add(event)
            if total > self._most_bytes:
                raise FormatError(
                    f"{self._label}: the contours that are asked for have more than "
                    f"{total} bytes, far more than the file can hold; read fewer at a "
                    "time"
                )
        return found

    def _read(self, event: int) -> NDArray[Any]:
        return self._read_one(self.row_of(event))

    def row_of(self, event: int) -> int:
        """Return the row of the file that holds the contour of an event."""
        return event if self._rows is None else int(self._rows[event])

    def __repr__(self) -> str:
        return f"<Contours of {self._label}: {self._length} events>"
