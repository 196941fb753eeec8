"""Images that look, and compress, like those of a measurement; from one seed.

A frame is a channel with bright and dark bands along its walls, cells that
deform as they pass, and shot noise. At 80x400 pixels, zstd level 5 and 32
frames a chunk, images shrink 2.1 times and backgrounds 32 times, as in the real
measurement that `benchmarks/test_data.py` compares them with.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 80, 400
_POOL = 1 << 24


def channel(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return an empty channel as an ideal camera would see it."""
    y = np.arange(HEIGHT, dtype=np.float32)[:, None]
    x = np.arange(WIDTH, dtype=np.float32)[None, :]
    upper = -75 * np.exp(-(((y - 5) / 3.5) ** 2)) + 25 * np.exp(-(((y - 14) / 5) ** 2))
    lower = -45 * np.exp(-(((y - 76.5) / 3) ** 2)) + 8 * np.exp(-(((y - 69) / 1) ** 2))
    ripple = np.zeros((1, WIDTH), np.float32)
    for period in (29.0, 83.0, 210.0):
        phase = rng.uniform(0, 2 * np.pi)
        ripple += np.sin(2 * np.pi * x / period + phase).astype(np.float32)
    grain = rng.normal(0, 0.9, (HEIGHT, WIDTH)).astype(np.float32)
    return np.asarray(185 + upper + lower + ripple + grain, np.float32)


def _cell(rng: np.random.Generator, image: NDArray[np.float32]) -> None:
    """Draw one cell: a bullet with a dark outline and a bright inside."""
    length, width = rng.uniform(18, 34), rng.uniform(6, 9)
    cx, cy = rng.uniform(length, WIDTH - length), rng.normal(42, 2)
    left, right = int(cx - length) - 12, int(cx + length) + 12
    top, bottom = int(cy - width) - 3, int(cy + width) + 4
    y, x = np.mgrid[top:bottom, max(left, 0) : min(right, WIDTH)]
    along = (x - cx) / length
    taper = np.clip(0.55 + 0.45 * np.tanh(2.5 * (along + 0.5)), 0.05, 1)
    radius = np.hypot(along, (y - cy) / (width * taper))
    outline = -58 * np.exp(-(((radius - 1) / 0.14) ** 2))
    inside = rng.uniform(5, 30) / (1 + np.exp(np.clip((radius - 0.85) * 20, -50, 50)))
    image[top:bottom, max(left, 0) : min(right, WIDTH)] += outline + inside


def batches(
    frames: int, size: int, seed: int = 20240805
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield images and backgrounds, `size` frames at a time.

    Yields
    ------
    image, image_bg : ndarray of uint8, shape (size, 80, 400)
        The last pair may be shorter.
    """
    rng = np.random.default_rng(seed)
    ideal = channel(rng)
    cells = np.zeros((24, HEIGHT, WIDTH), np.float32)
    for cell in cells:
        for _ in range(rng.integers(1, 3)):
            _cell(rng, cell)
    noise = rng.normal(0, 0.93, _POOL).astype(np.float32)
    pixels = HEIGHT * WIDTH
    for start in range(0, frames, size):
        count = min(size, frames - start)
        images = np.empty((count, HEIGHT, WIDTH), np.uint8)
        backgrounds = np.empty_like(images)
        for position in range(count):
            # The light drifts slowly; the background is renewed now and then.
            drift = 1.5 * np.sin((start + position) / 3000)
            renewed = 1.5 * np.sin(((start + position) // 500 * 500) / 3000)
            offset = rng.integers(0, _POOL - pixels)
            shot = noise[offset : offset + pixels].reshape(HEIGHT, WIDTH)
            cell = cells[rng.integers(len(cells))]
            shift = int(rng.integers(WIDTH))
            frame = ideal + shot + np.float32(drift)
            frame[:, shift:] += cell[:, : WIDTH - shift]
            frame[:, :shift] += cell[:, WIDTH - shift :]
            np.clip(np.rint(frame), 0, 255, out=frame)
            images[position] = frame
            backgrounds[position] = np.rint(ideal + np.float32(renewed))
        yield images, backgrounds
