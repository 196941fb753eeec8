"""How many events a feature of a basin has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..const import IMAGE_FEATURES
from ..engine import Reader
from ..errors import BasinError


def rows_of(name: str, obj: Any) -> int:
    """Return how many events a feature has.

    Raises
    ------
    BasinError
        If it is not what a feature of this name has to be.
    """
    if not isinstance(obj, Mapping):
        if name == "trace":
            raise BasinError(f"'{name}' should be arrays by name, found one array")
        return _array_rows(name, obj)
    if name not in ("contour", "trace"):
        raise BasinError(f"'{name}' should be a dataset, found a group")
    if name == "contour":
        # One member for each event, such as the contours.
        return len(obj)
    lengths = {_array_rows(f"{name}/{key}", obj[key]) for key in obj}
    if len(lengths) != 1:
        raise BasinError(
            f"'{name}' should hold arrays of one length, found lengths "
            f"{sorted(lengths)}"
        )
    return lengths.pop()


def _array_rows(name: str, obj: Any) -> int:
    if not isinstance(obj, Reader):
        raise BasinError(f"'{name}' should be a dataset, found {type(obj).__name__}")
    if not obj.shape:
        raise BasinError(f"'{name}' should have a first axis of events, found none")
    check_kind(name, obj)
    return obj.shape[0]


def check_kind(name: str, obj: Any) -> None:
    """Raise BasinError if a feature is not of the kind that its name tells.

    Parameters
    ----------
    name : str
        Name of the feature.
    obj : Reader or mapping
        What a basin gives for it.
    """
    shape = getattr(obj, "shape", None)
    if name in IMAGE_FEATURES and shape is not None and len(shape) < 3:
        raise BasinError(
            f"'{name}' should be images (events, height, width), found shape {shape}"
        )
    dtype = getattr(obj, "dtype", None)
    if dtype is not None and dtype.hasobject:
        raise BasinError(f"'{name}' should hold numbers, found values of type {dtype}")
