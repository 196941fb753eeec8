"""Measurements: the names of `dcnum.read.hdf5_data`."""

from __future__ import annotations

import warnings
from typing import Any

from .concat.concatenate import concatenated_hdf5_data as _concatenated
from .errors import BasinIdentifierMismatchError
from .file.identifier import get_measurement_identifier
from .images.corrected_cache import ImageCorrCache
from .images.image_cache import HDF5ImageCache
from .measurement.data import HDF5Data

__all__ = [
    "BasinIdentifierMismatchError",
    "HDF5Data",
    "HDF5ImageCache",
    "ImageCorrCache",
    "concatenated_hdf5_data",
    "get_measurement_identifier",
]


def concatenated_hdf5_data(*args: Any, **kwargs: Any) -> Any:
    """Call `dcread.hdf5_concat.concatenated_hdf5_data`; deprecated at this place."""
    warnings.warn(
        "Please use `dcread.hdf5_concat.concatenated_hdf5_data`. Accessing this "
        "function via `dcread.hdf5_data` is deprecated.",
        DeprecationWarning,
        stacklevel=2,
    )
    return _concatenated(*args, **kwargs)
