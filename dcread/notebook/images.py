"""Small images for a page, made of a few events."""

from __future__ import annotations

import base64
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import DCReadError
from .html import alarm, remark

THUMBNAILS = 4
"""Images that are shown, evenly over the measurement."""
SECONDS = 1.0
"""Time for images: when it is over, no further one is read."""
_WIDTH, _HEIGHT = 240, 120
_MOST_PIXELS = 1 << 24


def thumbnails(length: int, read: Callable[[int], NDArray[np.generic] | None]) -> str:
    """Return small pictures of some images.

    Parameters
    ----------
    length : int
        How many images there are.
    read : callable
        Returns an image by its number; None where it would take too long, and
        `DCReadError` where it is damaged.
    """
    if not length:
        return remark("no images")
    end = time.monotonic() + SECONDS
    chosen = sorted({k * (length - 1) // max(1, THUMBNAILS - 1) for k in range(4)})
    figures = []
    for number in chosen:
        if time.monotonic() > end:
            figures.append(remark("reading takes long: no further images are shown"))
            break
        try:
            image = read(number)
        except DCReadError as error:
            figures.append(_figure(number, alarm(f"cannot be read: {error}")))
            continue
        if image is None:
            return remark("not in memory and not quickly read: none are shown")
        figures.append(_figure(number, _image_tag(number, image)))
    return f"<div class='dcread-images'>{''.join(figures)}</div>"


def _figure(number: int, body: str) -> str:
    return f"<figure>{body}<figcaption>event {number:,}</figcaption></figure>"


def _image_tag(number: int, image: NDArray[np.generic]) -> str:
    if image.ndim != 2 or not 0 < image.size <= _MOST_PIXELS:
        return remark(f"an image of shape {image.shape} is not shown")
    if image.dtype.kind not in "biuf":
        return remark(f"an image of {image.dtype} is not shown")
    data = base64.b64encode(grey_png(_small(image))).decode()
    return f"<img alt='event {number}' src='data:image/png;base64,{data}'>"


@np.errstate(over="ignore", invalid="ignore")
def _small(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return an image in 8 bits that is not larger than a thumbnail."""
    step = max(1, -(-image.shape[0] // _HEIGHT), -(-image.shape[1] // _WIDTH))
    height, width = (max(1, size // step) for size in image.shape)
    rows, columns = min(step, image.shape[0]), min(step, image.shape[1])
    part = image[: height * rows, : width * columns].astype(np.float64)
    values = part.reshape(height, rows, width, columns).mean(axis=(1, 3))
    if image.dtype.kind == "b":
        low, high = 0.0, 1.0
    else:
        finite = values[np.isfinite(values)]
        if not finite.size:
            return np.zeros(values.shape, np.uint8)
        low, high = (float(end) for end in np.percentile(finite, [0.5, 99.5]))
    scaled = (values - low) / (high - low) if high > low else values * 0 + 0.5
    clean = np.nan_to_num(scaled, nan=0.0, posinf=1.0, neginf=0.0)
    grey: NDArray[np.uint8] = (255 * clean.clip(0, 1)).astype(np.uint8)
    return grey


def grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a grey image as a PNG file."""
    height, width = pixels.shape
    lines = np.zeros((height, width + 1), np.uint8)  # each begins with its filter, 0
    lines[:, 1:] = pixels
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    )
    made = b"\x89PNG\r\n\x1a\n"
    for kind, data in parts:
        checksum = zlib.crc32(kind + data)
        made += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
    return made
