"""How an image cache shows itself in a notebook; nothing is computed for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import notebook
from ..engine import RowReader

MOST_BYTES = 64 << 20
"""Bytes of a chunk that may be decoded to show one image."""


class Shown(Protocol):
    """What of an image cache is shown."""

    shape: tuple[int, ...]
    chunk_size: int
    cache_size: int

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of a stored chunk."""


def as_html(
    images: Shown,
    dtype: np.dtype[Any] | None,
    glimpse: Callable[[int], NDArray[Any] | None],
) -> str:
    """Return facts and some images.

    Parameters
    ----------
    images : BaseImageChunkCache
        What to show.
    dtype : numpy.dtype or None
        Data type, if it is known without loading anything.
    glimpse : callable
        Returns an image; None if that takes more than a moment.
    """
    rows: list[tuple[str, object]] = [("Shape", images.shape)]
    if dtype is not None:
        size = math.prod(images.shape) * dtype.itemsize
        rows += [("Type", dtype), ("In memory", f"{size / 2**20:,.1f} MiB")]
    if images.chunks is not None:
        rows.append(("Stored in chunks of", images.chunks))
    kept = f"{images.cache_size} chunks of {images.chunk_size} images"
    rows.append(("Kept", f"at most {kept}"))
    shown = notebook.thumbnails(images.shape[0], glimpse)
    return notebook.page(
        repr(images),
        notebook.table(rows),
        notebook.section("Images", shown, unfolded=True),
    )


def is_near(reader: RowReader) -> bool:
    """Tell whether one row can be read at once: no network, no plugin, no computing."""
    if reader.is_at_hand:
        return True
    handle = reader.handle
    source = None if handle is None else handle.source  # None when it is closed, too
    if handle is None or (source is not None and source.is_far):
        return False
    chunk = reader.chunks or (reader.block_rows, *reader.shape[1:])
    return math.prod(chunk) * reader.dtype.itemsize <= MOST_BYTES
