"""Image caches: the names of `dcnum.read.cache`."""

from __future__ import annotations

from .file.md5 import md5sum
from .images.image_cache import (
    BaseImageChunkCache,
    EmptyDatasetWarning,
    HDF5ImageCache,
    ImageCorrCache,
)

__all__ = [
    "BaseImageChunkCache",
    "EmptyDatasetWarning",
    "HDF5ImageCache",
    "ImageCorrCache",
    "md5sum",
]
