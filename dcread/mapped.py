"""Mapped datasets: the names of `dcnum.read.mapped`."""

from __future__ import annotations

from .arrays.index_mapping import get_mapping_indices
from .arrays.mapped_dataset import MappedHDF5Dataset, get_mapped_object

__all__ = [
    "MappedHDF5Dataset",
    "get_mapped_object",
    "get_mapping_indices",
]
