"""Joined measurements: the names of `dcnum.read.hdf5_concat`."""

from __future__ import annotations

from .concat.concatenate import concatenated_hdf5_data

__all__ = [
    "concatenated_hdf5_data",
]
