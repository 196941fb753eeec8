"""What goes from one step of a concatenation to the next."""

from __future__ import annotations

import functools
import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..file.source_records import Source
from ..problems import Problem


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows that one input gives to a feature.

    Attributes
    ----------
    path : pathlib.Path
        The file that has them.
    name : str or None
        The dataset in it; None where the rows have to be copied into the output.
    shape : tuple of int
        Of what the input gives, one row for each event.
    dtype : numpy.dtype
    stored : int
        Number of rows of the dataset.
    rows : ndarray of int or None
        Row of the dataset for each event, where a basin maps them.
    """

    path: pathlib.Path
    name: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: int
    rows: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """What one of the files gives.

    Attributes
    ----------
    path : pathlib.Path
    sources : list of Source
        The file, and others that it takes these features from.
    length : int
        Number of events.
    pieces : dict of str to Piece
        By the path below ``/events``.
    series : dict of str to ndarray
        Values of the features that are computed.
    lacks : dict of str to str
        Optional features that it does not give, and why.
    frame_rate : number or None
        In Hz, as the metadata have it.
    has_texts : bool
        Whether there are logs or tables.
    """

    path: pathlib.Path
    sources: list[Source]
    length: int
    pieces: dict[str, Piece]
    series: dict[str, NDArray[Any]]
    lacks: dict[str, str]
    frame_rate: Any
    has_texts: bool


@dataclass(frozen=True)
class Plan:
    """All that is to be written.

    Attributes
    ----------
    inputs : list of Input
    dtypes : dict of str to numpy.dtype
        Of each feature that is joined, by its path below ``/events``.
    series : dict of str to ndarray
        The features that are computed.
    attributes : dict
        The metadata of the first file, as h5py gives them.
    notes : list of Problem
        What was left out.
    """

    inputs: list[Input]
    dtypes: dict[str, np.dtype[Any]]
    series: dict[str, NDArray[Any]]
    attributes: dict[str, Any]
    notes: list[Problem]

    def is_mapped(self, name: str) -> bool:
        """Tell whether basins map a feature in an input."""
        for part in self.filled:
            piece = part.pieces.get(name)
            if piece is not None and piece.rows is not None:
                return True
        return False

    @functools.cached_property
    def filled(self) -> list[Input]:
        """The inputs that have events."""
        return [part for part in self.inputs if part.length]

    @functools.cached_property
    def length(self) -> int:
        """The number of events."""
        return sum([part.length for part in self.inputs])
