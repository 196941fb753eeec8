"""What an open basin gives: features by name, and what is known of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from ..errors import BasinError

if TYPE_CHECKING:
    import h5py
    import numpy as np


class Array(Protocol):
    """One feature as a basin format gives it: the first axis counts the events.

    An ``h5py.Dataset``, a NumPy array, a memory map or a Zarr array will do. Three
    optional attributes are used:

    ``chunks`` : tuple of int or None
        Shape of what is stored together. Rows of one chunk are asked for together.
    ``read_rows(rows)``
        Called with a sorted 1-D array of different row numbers, returns those rows.
        Used in place of many slices where rows are scattered.
    ``read_cost(rows)``
        Called by `HDF5Data.explain` with the rows of one such call; returns how many
        requests and how many stored bytes they take, each None if unknown.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of events, then the shape of one value."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values; numbers or bool."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Return rows of `dtype`; the slice has a step of 1 and lies inside."""


Features: TypeAlias = "Mapping[str, Any] | h5py.Group"
"""Arrays by name; anything with ``keys()`` and ``[]`` will do, such as a Zarr group.
``trace`` is again such a mapping of arrays, ``contour`` one of one array per event."""


class Opened(NamedTuple):
    """What `Basin.open` returns; ``Opened(features)`` is enough.

    Attributes
    ----------
    features : mapping of str to Array
        The features that the basin stores itself. Anything with ``keys()`` and
        ``[]``.
    identifier : str or None
        The measurement identifier, which has to fit that of the referrer; None if
        it is not known.
    identity : hashable or None
        What tells this source from others, to find circles: the same for two ways
        to the same source (device and inode of a file, URL and ETag of a resource).
    length : int or None
        Number of events, needed only for basins of the basin.
    definitions : sequence of dict
        The basins that the basin has itself, as they would be stored.

    Examples
    --------
    >>> import numpy as np
    >>> Opened({"deform": np.zeros(5)}).identifier is None
    True
    """

    features: Features
    identifier: str | None = None
    identity: Hashable | None = None
    length: int | None = None
    definitions: Sequence[Mapping[str, Any]] = ()


def is_mapping(obj: Any) -> bool:
    """Tell whether something has features by name: ``keys()`` and ``[]``."""
    return (
        callable(getattr(obj, "keys", None))
        and hasattr(obj, "__getitem__")
        and not hasattr(obj, "dtype")
    )


def as_opened(answer: Any, name: str) -> Opened:
    """Return what `Basin.open` returned, after a look at it.

    Parameters
    ----------
    answer : object
        What the plugin returned.
    name : str
        What messages call the method.

    Raises
    ------
    BasinError
        If it is something else.
    """
    opened = answer if isinstance(answer, Opened) else Opened(answer)
    if not is_mapping(opened.features):
        raise BasinError(
            f"{name} should return features by name, got "
            f"{type(opened.features).__name__}"
        )
    if not isinstance(opened.identifier, (str, type(None))):
        raise BasinError(
            f"{name} should return a text as identifier, got "
            f"{type(opened.identifier).__name__}"
        )
    if not isinstance(opened.length, (int, type(None))):
        raise BasinError(
            f"{name} should return an integer as length, got "
            f"{type(opened.length).__name__}"
        )
    try:
        hash(opened.identity)
    except TypeError as exc:
        raise BasinError(
            f"{name} should return something hashable as identity (a text, or a tuple "
            f"of numbers and texts): {exc}"
        ) from exc
    return opened
