"""Fast, checked reading of deformability cytometry data.

The public names load on first use, so that importing the package costs little.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .basins import Basin, BasinDefinition, Policy, hookimpl
    from .cache import (
        BaseImageChunkCache,
        EmptyDatasetWarning,
        HDF5ImageCache,
        ImageCorrCache,
        md5sum,
    )
    from .const import PROTECTED_FEATURES
    from .detect_flicker import FlickerReport, detect_flickering, flicker_report
    from .engine import set_num_threads
    from .errors import (
        BasinError,
        BasinIdentifierMismatchError,
        BasinNotAvailableError,
        ChecksumError,
        ClosedError,
        DCReadError,
        FeatureNotFoundError,
        FileChangedError,
        FileMissingError,
        FormatError,
        NotAFileError,
        PolicyError,
        ShapeMismatchError,
    )
    from .hdf5_concat import concatenated_hdf5_data
    from .hdf5_data import HDF5Data, get_measurement_identifier
    from .mapped import MappedHDF5Dataset, get_mapped_object, get_mapping_indices
    from .problems import Problem

_HOME = {
    "Basin": "basins",
    "BasinDefinition": "basins",
    "Policy": "basins",
    "hookimpl": "basins",
    "BaseImageChunkCache": "cache",
    "EmptyDatasetWarning": "cache",
    "HDF5ImageCache": "cache",
    "ImageCorrCache": "cache",
    "md5sum": "cache",
    "PROTECTED_FEATURES": "const",
    "FlickerReport": "detect_flicker",
    "detect_flickering": "detect_flicker",
    "flicker_report": "detect_flicker",
    "set_num_threads": "engine",
    "BasinError": "errors",
    "BasinIdentifierMismatchError": "errors",
    "BasinNotAvailableError": "errors",
    "ChecksumError": "errors",
    "ClosedError": "errors",
    "DCReadError": "errors",
    "FeatureNotFoundError": "errors",
    "FileChangedError": "errors",
    "FileMissingError": "errors",
    "FormatError": "errors",
    "NotAFileError": "errors",
    "PolicyError": "errors",
    "ShapeMismatchError": "errors",
    "concatenated_hdf5_data": "hdf5_concat",
    "HDF5Data": "hdf5_data",
    "get_measurement_identifier": "hdf5_data",
    "MappedHDF5Dataset": "mapped",
    "get_mapped_object": "mapped",
    "get_mapping_indices": "mapped",
    "Problem": "problems",
}
_ROOMS = frozenset(_HOME.values()) | {"cli", "indexing"}

__version__ = "0.1.0"

__all__ = [
    "PROTECTED_FEATURES",
    "BaseImageChunkCache",
    "Basin",
    "BasinDefinition",
    "BasinError",
    "BasinIdentifierMismatchError",
    "BasinNotAvailableError",
    "ChecksumError",
    "ClosedError",
    "DCReadError",
    "EmptyDatasetWarning",
    "FeatureNotFoundError",
    "FileChangedError",
    "FileMissingError",
    "FlickerReport",
    "FormatError",
    "HDF5Data",
    "HDF5ImageCache",
    "ImageCorrCache",
    "MappedHDF5Dataset",
    "NotAFileError",
    "Policy",
    "PolicyError",
    "Problem",
    "ShapeMismatchError",
    "concatenated_hdf5_data",
    "detect_flickering",
    "flicker_report",
    "get_mapped_object",
    "get_mapping_indices",
    "get_measurement_identifier",
    "hookimpl",
    "md5sum",
    "set_num_threads",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"dcread.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return importlib.import_module(f"dcread.{name}")
    raise AttributeError(f"module 'dcread' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
