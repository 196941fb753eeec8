"""Medians of the first rows of images, by the compiled kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dcread_ext import roi_median as _roi_median
from dcread_ext import roi_select as _roi_select

from ..engine.thread_pool import get_num_threads, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ..engine.thread_pool import Pieces

_BLOCK_BYTES = 1 << 20
_INLINE_BYTES = 1 << 20  # so few are counted before another thread is awake
_COUNTED = (np.dtype(np.uint8), np.dtype(np.uint16))
_SELECTED = tuple(map(np.dtype, ("i1", "i2", "i4", "u4", "i8", "u8", "f4", "f8")))


def roi_medians(stack: NDArray[Any], roi_height: int) -> NDArray[np.float64]:
    """Return the median of the first rows of every image.

    Parameters
    ----------
    stack : ndarray
        Images of shape (N, H, W), any real dtype, any strides; not copied.
    roi_height : int
        How many rows count, at least 1; more than H means all.

    Returns
    -------
    ndarray of float64
        Shape (N,); the values of ``np.median(stack[:, :roi_height], axis=(1, 2))``,
        NaN for images without pixels.

    Raises
    ------
    ValueError
        If `stack` is not a stack of images or `roi_height` is below 1.
    TypeError
        If the pixels are not real numbers.

    Examples
    --------
    >>> roi_medians(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), 2)
    array([ 3.5, 15.5])
    """
    if stack.ndim != 3:
        raise ValueError(
            f"expected a stack of images (3 dimensions), found shape {stack.shape}"
        )
    if roi_height < 1:
        raise ValueError(f"roi_height must be at least 1, got {roi_height}")
    if stack.dtype.kind not in "biuf":
        raise TypeError(f"pixels of dtype {stack.dtype} have no median")
    roi = stack[:, :roi_height]
    out = np.full(len(roi), np.nan)
    if roi.size == 0:
        return out
    if roi.dtype.kind == "b":
        roi = roi.view(np.uint8)
    if roi.nbytes <= _INLINE_BYTES:
        _medians(roi, out)
        return out
    # Two parts for each thread: one that is held up leaves work to the others.
    frames = -(-len(roi) // (2 * get_num_threads()))

    def work(pieces: Pieces) -> None:
        for piece in pieces:
            part = slice(piece * frames, (piece + 1) * frames)
            _medians(roi[part], out[part])

    share(work, -(-len(roi) // frames))
    return out


def _medians(roi: NDArray[Any], out: NDArray[np.float64]) -> None:
    pixels = roi.shape[1] * roi.shape[2]
    if roi.dtype in _COUNTED:
        _roi_median.roi_median(roi, np.empty(pixels, roi.dtype), out)
    elif roi.dtype in _SELECTED:
        _roi_select.roi_select(roi, np.empty(pixels, np.uint64), out)
    elif roi.dtype.newbyteorder("=") in (*_COUNTED, *_SELECTED):
        for part in _blocks(roi):
            _medians(roi[part].astype(roi.dtype.newbyteorder("=")), out[part])
    elif roi.dtype.itemsize == 2:
        # Half precision: exact as float32, the mean of two rounds like NumPy's.
        for part in _blocks(roi):
            _medians(roi[part].astype(np.float32), out[part])
            out[part] = out[part].astype(np.float16)
    else:
        for part in _blocks(roi):
            with np.errstate(invalid="ignore"):  # infinities: NaN, as elsewhere
                out[part] = np.median(roi[part], axis=(1, 2))


def _blocks(roi: NDArray[Any]) -> Iterator[slice]:
    frames = max(1, _BLOCK_BYTES // (roi.itemsize * roi.shape[1] * roi.shape[2]))
    for start in range(0, len(roi), frames):
        yield slice(start, start + frames)
