"""Fast, checked reading of deformability cytometry data.

The public names load on first use, so that importing the package costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arrays.mapped_dataset import (
        MappedHDF5Dataset,
        get_mapped_object,
        get_mapping_indices,
    )
    from .basins import Basin, BasinDefinition, Opened, hookimpl
    from .concat.concatenate import concatenated_hdf5_data
    from .const import PROTECTED_FEATURES
    from .engine import set_num_threads
    from .engine.disk_cache_setting import set_disk_cache
    from .engine.network_limits import NetworkLimits
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
        FileObjectError,
        FormatError,
        NotAFileError,
        PolicyError,
        RemoteError,
        ShapeMismatchError,
    )
    from .file.credentials import Credentials, set_credentials
    from .file.identifier import get_measurement_identifier
    from .file.md5 import md5sum
    from .file.policy import Policy
    from .flicker.report import FlickerReport, detect_flickering, flicker_report
    from .images.base_cache import BaseImageChunkCache
    from .images.corrected_cache import ImageCorrCache
    from .images.image_cache import EmptyDatasetWarning, HDF5ImageCache
    from .interop.dcnum_swap import install_as_dcnum_read, is_installed_as_dcnum_read
    from .measurement.data import HDF5Data
    from .measurement.feature_info import FeatureInfo, feature_info
    from .problems import Problem

_HOME = {
    "Basin": "basins",
    "BasinDefinition": "basins",
    "Credentials": "file.credentials",
    "NetworkLimits": "engine.network_limits",
    "Opened": "basins",
    "Policy": "file.policy",
    "FeatureInfo": "measurement.feature_info",
    "feature_info": "measurement.feature_info",
    "set_credentials": "file.credentials",
    "set_disk_cache": "engine.disk_cache_setting",
    "hookimpl": "basins",
    "BaseImageChunkCache": "images.base_cache",
    "EmptyDatasetWarning": "images.image_cache",
    "HDF5ImageCache": "images.image_cache",
    "ImageCorrCache": "images.corrected_cache",
    "md5sum": "file.md5",
    "PROTECTED_FEATURES": "const",
    "FlickerReport": "flicker.report",
    "detect_flickering": "flicker.report",
    "flicker_report": "flicker.report",
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
    "FileObjectError": "errors",
    "FormatError": "errors",
    "NotAFileError": "errors",
    "PolicyError": "errors",
    "RemoteError": "errors",
    "ShapeMismatchError": "errors",
    "concatenated_hdf5_data": "concat.concatenate",
    "HDF5Data": "measurement.data",
    "get_measurement_identifier": "file.identifier",
    "MappedHDF5Dataset": "arrays.mapped_dataset",
    "get_mapped_object": "arrays.mapped_dataset",
    "get_mapping_indices": "arrays.index_mapping",
    "Problem": "problems",
    "install_as_dcnum_read": "interop.dcnum_swap",
    "is_installed_as_dcnum_read": "interop.dcnum_swap",
}
_PUBLIC_ROOMS = frozenset(
    {"basins", "cache", "const", "detect_flicker", "errors", "hdf5_concat", "hdf5_data"}
    | {"interop", "mapped", "testing"}
)
_ROOMS = _PUBLIC_ROOMS | {"cli", "engine", "problems"}

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
    "Credentials",
    "DCReadError",
    "EmptyDatasetWarning",
    "FeatureInfo",
    "FeatureNotFoundError",
    "FileChangedError",
    "FileMissingError",
    "FileObjectError",
    "FlickerReport",
    "FormatError",
    "HDF5Data",
    "HDF5ImageCache",
    "ImageCorrCache",
    "MappedHDF5Dataset",
    "NetworkLimits",
    "NotAFileError",
    "Opened",
    "Policy",
    "PolicyError",
    "Problem",
    "RemoteError",
    "ShapeMismatchError",
    "concatenated_hdf5_data",
    "detect_flickering",
    "feature_info",
    "flicker_report",
    "get_mapped_object",
    "get_mapping_indices",
    "get_measurement_identifier",
    "hookimpl",
    "install_as_dcnum_read",
    "is_installed_as_dcnum_read",
    "md5sum",
    "set_credentials",
    "set_disk_cache",
    "set_num_threads",
]


def __getattr__(name: str) -> Any:
    if name in _HOME or name in _ROOMS:
        from .sync.whole_import import import_whole

        module = import_whole(f"dcread.{_HOME.get(name, name)}")
        if name in _ROOMS:
            return module
        value = getattr(module, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dcread' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *_PUBLIC_ROOMS})
