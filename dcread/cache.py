"""Image caches: the names of `dcnum.read.cache`."""

from __future__ import annotations

from .file.md5 import md5sum
from .images.base_cache import BaseImageChunkCache
from .images.corrected_cache import ImageCorrCache
from .images.image_cache import EmptyDatasetWarning, HDF5ImageCache

__all__ = [
    "BaseImageChunkCache",
    "EmptyDatasetWarning",
    "HDF5ImageCache",
    "ImageCorrCache",
    "md5sum",
]
