"""Differences of images, without overflow."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from dcread_ext import subtract as _subtract

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["difference_dtype", "subtract_images"]

_COUNTED = (np.dtype(np.uint8), np.dtype(np.uint16))


@functools.lru_cache(64)  # it takes as long as subtracting an image
def difference_dtype(image: np.dtype[Any], background: np.dtype[Any]) -> np.dtype[Any]:
    """Return the smallest dtype, int16 or wider, that holds every difference.

    64-bit integers give int64 (checked when they are subtracted), floats what
    NumPy gives, float32 or wider.

    Examples
    --------
    >>> difference_dtype(np.dtype("uint8"), np.dtype("uint16"))
    dtype('int32')
    """
    for dtype in (image, background):
        if dtype.kind not in "biuf":
            raise TypeError(f"cannot subtract images of dtype {dtype}")
    if "f" in (image.kind, background.kind):
        return np.result_type(image, background, np.float32)
    low_image, high_image = _limits(image)
    low_back, high_back = _limits(background)
    low, high = low_image - high_back, high_image - low_back
    for name in (np.int16, np.int32):
        info = np.iinfo(name)
        if info.min <= low and high <= info.max:
            return np.dtype(name)
    return np.dtype(np.int64)


def _holds(dtype: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    # NumPy calls the cast of int64 to float64 safe, though it rounds.
    exact = wanted != np.int64 or dtype.kind == "i"
    return exact and np.can_cast(wanted, dtype, "safe")


def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def subtract_images(
    image: NDArray[Any], background: NDArray[Any], out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return ``image - background``, never overflowing.

    Parameters
    ----------
    image, background : ndarray
        Of one shape, of any boolean, integer or float dtype.
    out : ndarray, optional
        Of the same shape and of `difference_dtype` or a wider one.

    Raises
    ------
    OverflowError
        If a difference of 64-bit integers does not fit int64; `out` is then
        not to be used.
    TypeError
        For other dtypes, or if `out` is too narrow.
    ValueError
        If shapes differ.
    """
    if image.shape != background.shape:
        raise ValueError(
            f"image of shape {image.shape} and background of shape "
            f"{background.shape} differ"
        )
    wanted = difference_dtype(image.dtype, background.dtype)
    if out is None:
        out = np.empty(image.shape, wanted)
    elif out.shape != image.shape:
        raise ValueError(f"output of shape {out.shape} for images of {image.shape}")
    elif not _holds(out.dtype, wanted):
        raise TypeError(f"output of dtype {out.dtype} cannot hold {wanted}")
    if wanted == np.int64:
        _subtract_checked(image, background, out)
        return out
    stacks = _as_stacks(image, background, out) if out.dtype == wanted else None
    if stacks is None:
        # NumPy widens in small buffers; neither image is copied as a whole.
        np.subtract(image, background, out=out, dtype=out.dtype.type, casting="unsafe")
    else:
        _subtract.subtract(*stacks)
    return out


def _as_stacks(
    image: NDArray[Any], background: NDArray[Any], out: NDArray[Any]
) -> list[NDArray[Any]] | None:
    """Return three 3-D views that the kernel takes, None if it does not."""
    arrays = [image, background, out]
    if image.dtype not in _COUNTED or background.dtype not in _COUNTED:
        return None
    if not out.dtype.isnative or any(np.may_share_memory(out, a) for a in arrays[:2]):
        return None
    if all(array.flags.c_contiguous for array in arrays):
        return [array.reshape(1, 1, -1) for array in arrays]
    if image.ndim > 3:
        return None
    return [array[(None,) * (3 - image.ndim)] for array in arrays]


def _subtract_checked(
    image: NDArray[Any], background: NDArray[Any], out: NDArray[np.int64]
) -> None:
    # Modulo 2**64, a difference of less than that is right if and only if its sign is.
    # One of 2**63 and one below zero lie too far apart for that.
    np.subtract(image, background, out=out, dtype=np.int64, casting="unsafe")
    if max(image.dtype.itemsize, background.dtype.itemsize) < 8:
        return
    beyond = False
    for large, small in ((image, background), (background, image)):
        if large.dtype.kind == "u" and small.dtype.kind == "i":
            beyond |= bool(((large >= np.uint64(2**63)) & (small < 0)).any())
    if beyond or not np.array_equal(out >= 0, image >= background):
        raise OverflowError(
            f"a difference of {image.dtype} and {background.dtype} images does not "
            "fit int64"
        )
