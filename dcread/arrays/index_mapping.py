"""What an index mapping stands for: which rows, in which order."""

from __future__ import annotations

import functools
import numbers
import operator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..problems import pass_on

__all__ = ["IndexMapping", "check_rows", "get_mapping_indices"]

IndexMapping: TypeAlias = (
    "int | slice | range | list[int] | tuple[int, ...] | NDArray[Any]"
)
_IntArray: TypeAlias = "NDArray[np.integer[Any]]"


def get_mapping_indices(
    index_mapping: IndexMapping, size: int | None = None
) -> _IntArray:
    """Return the rows that an index mapping stands for.

    Parameters
    ----------
    index_mapping : int, slice, range, list, tuple or ndarray
        An integer N: the first N rows. A slice or range: those rows. A list,
        tuple or array of integers: these rows, in any order, repeats allowed. A
        list or array of bool: the rows where it is true.
    size : int, optional
        Number of rows that there are. With it, NumPy's slicing rules apply:
        bounds may be open, negative or too large, and every row is checked.

    Returns
    -------
    ndarray
        1-D. int64 for integers and slices (read-only, the same object for equal
        arguments); uint32 otherwise where the values fit, else int64.

    Raises
    ------
    NotImplementedError
        For an open slice without `size`.
    IndexError
        For a negative index without `size`, or one that is out of range.
    ValueError
        For what is not an index mapping: floats, bool, several axes, step 0.

    Examples
    --------
    >>> get_mapping_indices(slice(-2, None), size=7)
    array([5, 6])
    >>> get_mapping_indices([4, 2, 4])
    array([4, 2, 4], dtype=uint32)
    """
    if size is not None:
        size = operator.index(size)
        if size < 0:
            raise ValueError(f"`size` must not be negative, got {size}")
    if isinstance(index_mapping, (bool, np.bool_)):
        raise _invalid(index_mapping)
    if isinstance(index_mapping, numbers.Integral):
        return _from_slice(0, operator.index(index_mapping), 1, size)
    if isinstance(index_mapping, slice):
        parts = (index_mapping.start, index_mapping.stop, index_mapping.step)
        try:
            start, stop, step = (
                None if part is None else operator.index(part) for part in parts
            )
        except TypeError:
            raise _invalid(index_mapping) from None
        return _from_slice(start, stop, 1 if step is None else step, size)
    if isinstance(index_mapping, (list, tuple, range, np.ndarray)):
        return _from_array(index_mapping, size)
    raise _invalid(index_mapping)


def _invalid(index_mapping: Any) -> ValueError:
    return ValueError(
        f"Invalid type for `index_mapping`: {type(index_mapping)} "
        f"({index_mapping!r:.200}); expected an integer, a slice, or one axis of "
        "integers or bool"
    )


_KEPT_ROWS = 1 << 20
"""Larger results are not kept: one of 10^7 events takes 80 MB."""


def _from_slice(
    start: int | None, stop: int | None, step: int, size: int | None
) -> _IntArray:
    if step == 0:
        raise ValueError("the step of a slice for `index_mapping` cannot be zero")
    if size is not None:
        rows = range(*slice(start, stop, step).indices(size))
    elif start is None or stop is None:
        raise NotImplementedError(
            "Slices must have start and stop defined, or the number of events must "
            f"be given as `size`, got slice({start}, {stop}, {step})"
        )
    elif start < 0 or stop < 0:
        raise IndexError(
            f"negative bounds ({start}, {stop}) count from the end: give the number "
            "of events as `size`"
        )
    else:
        rows = range(start, stop, step)
    return _numbers(rows) if rows[_KEPT_ROWS:] else _kept_numbers(rows)


def _numbers(rows: range) -> _IntArray:
    # equal ranges give equal arrays, whatever bounds they were made of
    step = rows.step if rows[1:] else 1
    stop = rows[-1] + (1 if step > 0 else -1) if rows else 0
    indices = np.arange(rows[0] if rows else 0, stop, step)
    indices.flags.writeable = False
    return indices


_kept_numbers = functools.lru_cache(maxsize=64)(_numbers)


def _from_array(
    index_mapping: list[int] | tuple[int, ...] | range | NDArray[Any],
    size: int | None,
) -> _IntArray:
    if isinstance(index_mapping, np.ndarray):
        array = index_mapping
    else:
        kinds = set(map(type, index_mapping)) & {bool, np.bool_}
        try:
            array = np.asarray(index_mapping)
        except (ValueError, OverflowError):
            raise _invalid(index_mapping) from None
        if array.size == 0 and array.ndim == 1:
            array = array.astype(np.uint32)
        if kinds and array.dtype != bool:
            raise _invalid(index_mapping)
    if array.dtype == object and _all_integers(array):
        raise IndexError(
            f"`index_mapping` has an index beyond 64 bits ({max(array, key=abs)})"
        )
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise _invalid(index_mapping)
    if array.dtype == bool:
        if size is not None and len(array) != size:
            raise IndexError(
                f"the bool `index_mapping` has {len(array)} items, but there are "
                f"{size} events"
            )
        array = np.flatnonzero(array)
    array = check_rows(array, size)
    low_enough = array.size == 0 or int(array.max()) <= np.iinfo(np.uint32).max
    return array.astype(np.uint32 if low_enough else np.int64, copy=False)


def _all_integers(array: NDArray[Any]) -> bool:
    return array.ndim == 1 and all(
        isinstance(item, numbers.Integral) and not isinstance(item, bool)
        for item in array
    )


def misfit(error: IndexError | ValueError, where: str) -> IndexError | ValueError:
    """Return the error of an index mapping that does not fit, with what it is for.

    Parameters
    ----------
    error : IndexError or ValueError
        As `get_mapping_indices` or `check_rows` raised it.
    where : str
        What is mapped.
    """
    pass_on(error)
    kind = IndexError if isinstance(error, IndexError) else ValueError
    return kind(f"{where}: {error}")


def check_rows(array: _IntArray, size: int | None) -> _IntArray:
    """Return row numbers that all are in ``range(size)``, or raise IndexError.

    Negative ones count from the end if `size` is known.
    """
    if array.size == 0:
        return array
    low, high = int(array.min()), int(array.max())
    if size is None:
        if low < 0:
            raise IndexError(
                f"the negative index {low} counts from the end: give the number of "
                "events as `size`"
            )
        if high > np.iinfo(np.int64).max:
            raise IndexError(f"index {high} is out of bounds for any dataset")
        return array
    if low < -size or high >= size:
        wrong = low if low < -size else high
        raise IndexError(f"index {wrong} is out of bounds for {size} events")
    if low < 0:
        array = array.astype(np.int64)
        array[array < 0] += size
    return array
