"""Brightness over time: the ROI median of each image."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine import reader_for
from ..errors import FeatureNotFoundError
from ..problems import text_of
from .roi_medians import roi_medians

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def roi_median_series(
    image_data: Any, roi_height: int, max_frames: int | None
) -> tuple[NDArray[np.float64], int]:
    """Return the median of the first rows of each image.

    Parameters
    ----------
    image_data : array-like of shape (N, H, W), measurement, or sequence of images
        See `dcread.detect_flickering`.
    roi_height : int
        Rows that count, at least 1; more than H means all.
    max_frames : int or None
        Which images, as in ``image_data[:max_frames]``.

    Returns
    -------
    medians : ndarray of float64
        In grey values, one for each image.
    roi_height : int
        Rows that were used.

    Raises
    ------
    ValueError, FeatureNotFoundError
        See `dcread.detect_flickering`.
    """
    roi_height = operator.index(roi_height)
    if roi_height < 1:
        raise ValueError(f"roi_height must be at least 1, got {roi_height}")
    label = _label(image_data)
    wanted = slice(None, max_frames)
    if isinstance(image_data, (list, tuple)):
        stack = _stack_of(image_data[wanted], roi_height)
        wanted = slice(None)
    else:
        stack = _images_of(image_data)
    shape = tuple(stack.shape)
    if len(shape) != 3 or np.dtype(stack.dtype).kind not in "buif":
        raise ValueError(
            f"{label}: expected a stack of grey images (events, height, width), "
            f"found shape {shape} of {stack.dtype}"
        )
    count = len(range(shape[0])[wanted])
    if count and not (shape[1] and shape[2]):
        raise ValueError(f"{label}: images of shape {shape[1:]} have no pixels")
    roi_height = min(roi_height, max(shape[1], 1))
    return _read_medians(stack, count, roi_height), roi_height


def _stack_of(frames: Sequence[Any], roi_height: int) -> NDArray[Any]:
    """Stack the first rows of images."""
    if not frames:
        return np.empty((0, 1, 1), np.uint8)
    images = [np.asarray(frame) for frame in frames]
    shapes = {image.shape for image in images}
    if len(shapes) > 1 or images[0].ndim != 2:
        raise ValueError(
            "a sequence of images: expected images of one shape (height, width), "
            f"found {sorted(shapes)}"
        )
    return np.stack([image[:roi_height] for image in images])


def _images_of(image_data: Any) -> Any:
    """Return an object with shape and dtype, without reading images."""
    if hasattr(image_data, "shape") and hasattr(image_data, "dtype"):
        return image_data
    if not (hasattr(image_data, "image") and hasattr(image_data, "keys")):
        raise ValueError(
            f"expected a stack of images or a measurement, found {type(image_data)}"
        )
    image = image_data.image
    if image is None:
        raise FeatureNotFoundError(
            f"{_label(image_data)}: there is no feature 'image' to check"
            f"{_why_missing(image_data)}"
        )
    return image


def _why_missing(image_data: Any) -> str:
    """Return what a measurement without images says when it is asked for them."""
    try:
        image_data["image"]
    except KeyError as exc:
        return f": {text_of(exc)}"
    return ""


def _read_medians(stack: Any, count: int, roi_height: int) -> NDArray[np.float64]:
    if isinstance(stack, np.ndarray):
        return roi_medians(stack[:count], roi_height)
    medians = np.empty(count, np.float64)
    if not count:
        return medians
    reader = reader_for(stack)

    def take(start: int, block: NDArray[Any]) -> None:
        medians[start : start + len(block)] = roi_medians(block, roi_height)

    window = (slice(0, roi_height), slice(0, reader.shape[2]))
    reader.map_blocks(slice(0, count), take, window=window)
    return medians


def _label(image_data: Any) -> str:
    """Return what messages call the images."""
    where = getattr(image_data, "path", None)
    if where is None:
        where = getattr(getattr(image_data, "file", None), "filename", None)
    name = getattr(image_data, "name", None)
    if isinstance(where, (str, os.PathLike)):
        label = os.fspath(where)
        return f"{label}, '{name}'" if isinstance(name, str) else label
    return f"{type(image_data).__name__} of images"
