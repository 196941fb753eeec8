"""Values of one type as those of another, by HDF5's own rules; types it cannot take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..problems import pass_on
from ..sync.locks import h5_lock

BLOCK = 2**22
"""Bytes that are converted while the lock is held."""


def require_room_for_columns(dtype: np.dtype[Any]) -> None:
    """Refuse a type in which a column reaches into the next one, or beyond the end.

    Of damaged numbers (a float with another exponent, say), h5py takes a column for
    wider than it is. It has HDF5 write all of them beside each other then, and so
    beyond the memory that there is for a row.

    Parameters
    ----------
    dtype : numpy.dtype
        What h5py makes of the type of a dataset or an attribute.

    Raises
    ------
    FormatError
        If it is such a type.

    Examples
    --------
    >>> require_room_for_columns(np.dtype([("time", "f8"), ("count", "i4")]))
    """
    if dtype.subdtype is not None:
        require_room_for_columns(dtype.base)
    if dtype.names is None or dtype.fields is None:
        return
    columns = sorted((dtype.fields[name][1], name) for name in dtype.names)
    ends = [start for start, _ in columns[1:]] + [dtype.itemsize]
    for (start, name), end in zip(columns, ends, strict=True):
        if start + dtype[name].itemsize > end:
            raise FormatError(
                f"expected columns that do not overlap, found '{name}' of type "
                f"{dtype[name]} in {end - start} bytes; the file is damaged: copy it "
                "again"
            )
        require_room_for_columns(dtype[name])


def converted(values: NDArray[Any], dtype: np.dtype[Any], where: str) -> NDArray[Any]:
    """Return values as another type, as HDF5 does: what does not fit is clamped.

    Parameters
    ----------
    values : ndarray
        Any shape.
    dtype : numpy.dtype
        The type that is wanted.
    where : str
        What error messages call the values.

    Returns
    -------
    ndarray
        Of the same shape; `values` itself if the types are the same.

    Raises
    ------
    FormatError
        If HDF5 knows no way from one type to the other.

    Examples
    --------
    >>> converted(np.array([-5, 300]), np.dtype("u1"), "an example").tolist()
    [0, 255]
    """
    from h5py import h5t

    if values.dtype == dtype:
        return values
    flat = np.ascontiguousarray(values).reshape(-1)
    out = np.empty(flat.shape, dtype)
    size = max(dtype.itemsize, flat.dtype.itemsize, 1)
    step = BLOCK // size
    try:
        # As plain numbers, as h5py reads them: HDF5 makes no enumerations of floats.
        source, target = (h5t.py_create(t) for t in (flat.dtype, dtype))
        for start in range(0, len(flat), step):
            part = flat[start : start + step]
            raw = np.zeros(len(part) * size, np.uint8)
            raw[: part.nbytes] = part.view(np.uint8)
            with h5_lock:
                h5t.convert(source, target, len(part), raw, np.zeros_like(raw))
            wanted = len(part) * dtype.itemsize
            out[start : start + step] = raw[:wanted].view(dtype)
    except (OSError, RuntimeError, TypeError, ValueError) as exc:
        pass_on(exc)
        raise FormatError(
            f"{where}: expected values of {dtype}, found {values.dtype}, which cannot "
            f"be converted: {exc}"
        ) from exc
    return out.reshape(values.shape)
