"""How an array is stored, and what a read of it costs: described, not read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .filters import NAMES, bringer_of

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class ReadCost:
    """What one read takes.

    Attributes
    ----------
    requests : int or None
        Reads of files, requests to servers, or calls of a plugin; None if that cannot
        be told beforehand.
    nbytes : int or None
        Stored bytes that are read; None if that cannot be told beforehand.

    Examples
    --------
    >>> ReadCost(1, 300) + ReadCost(2, 700)
    ReadCost(requests=3, nbytes=1000)
    """

    requests: int | None
    nbytes: int | None

    def __add__(self, other: ReadCost) -> ReadCost:
        """Return what both take together."""
        return ReadCost(
            _sum(self.requests, other.requests), _sum(self.nbytes, other.nbytes)
        )

    def __str__(self) -> str:
        requests, nbytes = self.requests, self.nbytes
        reads = "? reads" if requests is None else _counted(requests, "read")
        return f"{reads}, {'? bytes' if nbytes is None else size_text(nbytes)}"


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_text(nbytes: int) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> size_text(31), size_text(31_234), size_text(31_234_567)
    ('31 bytes', '31.2 kB', '31.2 MB')
    """
    if nbytes < 1000:
        return _counted(nbytes, "byte")
    value = float(nbytes)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


@dataclass(frozen=True, slots=True)
class Storage:
    """How an array is stored.

    Attributes
    ----------
    layout : str
        ``"chunked"``, ``"contiguous"``, ``"compact"``, ``"virtual"`` (rows of other
        datasets) or ``"array"`` (no HDF5 dataset).
    shape : tuple of int
        Shape as stored, the rows first.
    dtype : numpy.dtype
        Type as stored.
    chunks : tuple of int or None
        Shape of a chunk; of a virtual dataset that of its first source.
    filters : tuple of str
        Names of the filters in the order of writing; of a virtual dataset those of its
        first source.
    nbytes : int or None
        Stored bytes of all values; None if that is not known.
    reader : str
        Who reads the values: ``"dcread"``, ``"h5py"`` with the reason, or a plugin.
    """

    layout: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None = None
    filters: tuple[str, ...] = ()
    nbytes: int | None = None
    reader: str = "dcread"

    def __str__(self) -> str:
        parts = [f"{self.shape} {self.dtype}", self.layout]
        if self.chunks is not None:
            parts.append(f"chunks {self.chunks}")
        if self.filters:
            parts.append(" + ".join(self.filters))
        if self.nbytes is not None:
            parts.append(size_text(self.nbytes))
        if self.reader != "dcread":
            parts.append(f"read by {self.reader}")
        return ", ".join(parts)


def filter_names(plist: Any) -> tuple[str, ...]:
    """Return the names of the filters that a dataset was created with.

    Parameters
    ----------
    plist : h5py.h5p.PropDCID
        How it was created.
    """
    numbers = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    return tuple(map(_filter_name, numbers))


def _filter_name(number: int) -> str:
    if number in NAMES:
        return NAMES[number]
    told = bringer_of(number)
    return told.partition(",")[0] if "brought by" in told else f"filter {number}"
