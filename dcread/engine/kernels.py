"""The doors to the compiled kernels: check, allocate, then one nogil loop.

A kernel sees nothing but memory of the right type; shapes, dtypes, byte order,
overlap and index types are settled here. What a kernel does not take (rows whose
bytes do not lie side by side, unusual dtypes) is done by NumPy, in bounded memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dcread_ext import gather as _gather
from dcread_ext import unshuffle as _unshuffle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes: TypeAlias = "bytes | bytearray | memoryview | NDArray[np.uint8]"

__all__ = [
    "gather_rows",
    "scatter_rows",
    "unshuffle",
]


def unshuffle(
    data: Bytes, width: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Undo HDF5's shuffle filter.

    Parameters
    ----------
    data : buffer of bytes
        The shuffled bytes.
    width : int
        Size of an element in bytes; left-over bytes are copied as they are.
    out : ndarray of uint8, optional
        1-D, contiguous, as long as `data` and not overlapping it.

    Examples
    --------
    >>> unshuffle(b"acebdf!", 2).tobytes()
    b'abcdef!'
    """
    if out is None:
        out = np.empty(len(data), np.uint8)
    elif len(data) and np.may_share_memory(np.frombuffer(data, np.uint8), out):
        raise ValueError("unshuffle cannot work in place: give another output")
    _unshuffle.unshuffle(data, width, out)
    return out


def gather_rows(
    source: NDArray[Any], indices: NDArray[np.integer[Any]], out: NDArray[Any]
) -> None:
    """Set ``out[i] = source[indices[i]]``.

    Parameters
    ----------
    source : ndarray
        Rows along the first axis, any dtype of fixed size, any strides.
    indices : ndarray of int
        1-D, any integer type, every item in ``range(len(source))``.
    out : ndarray
        Same dtype and row shape as `source`, one row for each index. Written
        only if all indices are good.

    Raises
    ------
    IndexError
        For an index out of range, or indices that are not integers.
    TypeError
        If the dtypes differ or hold Python objects.
    ValueError
        If shapes do not fit.
    """
    _check_rows(source, out)
    picks = _as_indices(indices)
    if len(picks) != len(out):
        raise ValueError(f"{len(picks)} indices for an output of {len(out)} rows")
    rows, places = _row_bytes(source), _row_bytes(out)
    if rows is None or places is None or np.may_share_memory(source, out):
        _check_bounds(picks, len(source), "source")
        out[...] = source[picks]
    else:
        _gather.gather(rows, picks, places)


def scatter_rows(
    source: NDArray[Any],
    source_indices: NDArray[np.integer[Any]],
    out: NDArray[Any],
    out_indices: NDArray[np.integer[Any]],
) -> None:
    """Set ``out[out_indices[i]] = source[source_indices[i]]``.

    As `gather_rows`, with a place for each row; of repeated places the last wins.
    """
    _check_rows(source, out)
    picks, targets = _as_indices(source_indices), _as_indices(out_indices)
    if len(picks) != len(targets):
        raise ValueError(f"{len(picks)} source indices for {len(targets)} places")
    rows, places = _row_bytes(source), _row_bytes(out)
    if rows is None or places is None or np.may_share_memory(source, out):
        _check_bounds(picks, len(source), "source")
        _check_bounds(targets, len(out), "output")
        out[targets] = source[picks]
    else:
        _gather.scatter(rows, picks, places, targets)


def _check_rows(source: NDArray[Any], out: NDArray[Any]) -> None:
    if source.ndim == 0 or out.ndim == 0:
        raise ValueError("rows need arrays of at least one dimension")
    if source.dtype != out.dtype or source.dtype.hasobject:
        raise TypeError(
            f"rows of dtype {source.dtype} cannot be copied to dtype {out.dtype}"
        )
    if source.shape[1:] != out.shape[1:]:
        raise ValueError(
            f"rows of shape {source.shape[1:]} do not fit rows of {out.shape[1:]}"
        )


def _as_indices(indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise IndexError(
            "row indices must be a 1-D array of integers, found "
            f"{indices.dtype} of {indices.ndim} dimensions"
        )
    if indices.dtype.kind == "u" and indices.dtype.itemsize == 8:
        # Beyond int64 no row exists; unchecked, such an index would wrap.
        beyond = indices > np.uint64(np.iinfo(np.int64).max)
        if beyond.any():
            position = int(beyond.argmax())
            raise IndexError(
                f"index {indices[position]} at position {position} is out of bounds"
            )
    return np.ascontiguousarray(indices, np.int64)


def _check_bounds(indices: NDArray[np.int64], length: int, where: str) -> None:
    outside = (indices < 0) | (indices >= length)
    if outside.any():
        position = int(outside.argmax())
        raise IndexError(
            f"index {indices[position]} at position {position} is out of bounds "
            f"for {length} rows of the {where}"
        )


def _row_bytes(array: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Return the rows as bytes without a copy, None if they are scattered."""
    width = math.prod(array.shape[1:]) * array.itemsize
    shape = (len(array), width)
    if 0 in shape:
        return np.empty(shape, np.uint8)
    array = array.view(np.ndarray)
    if array.flags.c_contiguous:
        return array.reshape(-1).view(np.uint8).reshape(shape)
    first = array[:1]
    if not first.flags.c_contiguous:
        return None
    return np.lib.stride_tricks.as_strided(
        first.reshape(-1).view(np.uint8), shape, (array.strides[0], 1)
    )
