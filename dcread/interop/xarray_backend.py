"""Measurements as xarray datasets: ``xarray.open_dataset(path, engine="dcread")``."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray import Dataset, Variable
from xarray.backends import BackendArray, BackendEntrypoint, CachingFileManager
from xarray.backends.file_manager import DummyFileManager, FileManager
from xarray.core import indexing

from ..errors import DCReadError, FeatureNotFoundError
from ..measurement.data import HDF5Data
from ..measurement.frames import info_of

EVENT = "event"
_BYTES_AT_ONCE = 16 << 20


class DCReadBackend(BackendEntrypoint):
    """Opens deformability cytometry measurements for xarray.

    Examples
    --------
    >>> import xarray
    >>> path = "demo-output/demo.rtdc"
    >>> with xarray.open_dataset(path, engine="dcread") as ds:
    ...     ds["image"].dims, ds["area_um"].attrs["units"]
    (('event', 'y', 'x'), 'µm²')
    """

    description = "Deformability cytometry measurements (.rtdc)"
    open_dataset_parameters = (
        "filename_or_obj",
        "drop_variables",
        "features",
        "index_mapping",
        "options",
    )

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell whether it is a path or URL that ends in ``.rtdc``."""
        if not isinstance(filename_or_obj, (str, os.PathLike)):
            return False
        return os.fspath(filename_or_obj).partition("?")[0].endswith(".rtdc")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        features: Iterable[str] | None = None,
        index_mapping: Any = None,
        options: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """Return a measurement as a lazy dataset with the dimension ``event``.

        Parameters
        ----------
        filename_or_obj : path, URL or binary file object
            What `dcread.HDF5Data` opens.
        drop_variables : str or iterable of str, optional
            Features to leave out.
        features : iterable of str, optional
            Features to take; by default all that can be read, but for contours
            (which differ in length). Of those left out, one warning tells why.
        index_mapping : int, slice or sequence of int, optional
            Which events to take, see `dcread.HDF5Data`.
        options : mapping, optional
            Further arguments of `dcread.HDF5Data`, such as ``policy``.

        Returns
        -------
        xarray.Dataset
            Scalar features ``(event)``, images ``(event, y, x)``, masks of the same
            shape as bool, and each trace as ``trace_<name>`` ``(event, sample)``.
            Units and labels are attributes of the variables, the metadata those of
            the dataset.

        Raises
        ------
        DCReadError
            If the file, or one of the `features` asked for, cannot be read.
        """
        given = dict(options or {})
        data = HDF5Data(filename_or_obj, index_mapping=index_mapping, **given)
        try:
            manager = _manager(data)
            dropped = _as_names(drop_variables)
            variables = _variables(data, manager, features, dropped)
            made = Dataset(variables, attrs=_attributes(data.meta))
        except BaseException:
            data.close()
            raise
        if not isinstance(manager, DummyFileManager):
            data.close()
        made.set_close(manager.close)
        return made


class FeatureArray(BackendArray):
    """A feature that is read when it is indexed; pickles without its values.

    Parameters
    ----------
    manager : FileManager
        Opens the measurement, and keeps it open.
    name : str
        The feature.
    member : str or None
        One of its traces.
    shape, dtype
        Of the whole feature.
    """

    def __init__(
        self,
        manager: FileManager[HDF5Data],
        name: str,
        member: str | None,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self._manager = manager
        self.name = name
        self.member = member
        self.shape = shape
        self.dtype = dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Return the values at an index of xarray."""
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        view = self._manager.acquire().view(self.name)
        if self.member is not None:
            view = view[self.member]
        if not any(isinstance(item, np.ndarray) for item in key):
            return np.asarray(view[key])
        # NumPy moves axes where an array meets an integer; xarray never does.
        single = tuple(isinstance(item, (int, np.integer)) for item in key)
        whole = tuple(
            slice(item, item + 1) if one else item
            for item, one in zip(key, single, strict=True)
        )
        return np.asarray(view[whole])[
            tuple(0 if one else slice(None) for one in single)
        ]


def _manager(data: HDF5Data) -> FileManager[HDF5Data]:
    """Return what opens the measurement again, here or in another process."""
    try:
        blob = pickle.dumps(data)
    except TypeError:  # a file object: it cannot be opened again
        return DummyFileManager(data)
    return CachingFileManager(_open, blob, mode="r", lock=False)


def _open(blob: bytes, mode: str) -> HDF5Data:
    found: HDF5Data = pickle.loads(blob)
    return found


def _as_names(names: str | Iterable[str] | None) -> set[str]:
    return {names} if isinstance(names, str) else set(names or ())


def _variables(
    data: HDF5Data,
    manager: FileManager[HDF5Data],
    features: Iterable[str] | None,
    dropped: set[str],
) -> dict[str, Variable]:
    if isinstance(features, str):
        raise TypeError(f"`features` must be several names; write ['{features}']")
    wanted = data.keys() if features is None else list(features)
    found: dict[str, Variable] = {}
    left_out = []
    for name in wanted:
        if name in dropped or (features is None and name == "contour"):
            continue
        try:
            found.update(_of_feature(data, manager, name, dropped))
        except DCReadError as exc:
            if features is not None:
                raise
            left_out.append(f"'{name}' ({exc})")
    if left_out:
        warnings.warn(f"left out: {'; '.join(left_out)}", stacklevel=5)
    return found


def _of_feature(
    data: HDF5Data, manager: FileManager[HDF5Data], name: str, dropped: set[str]
) -> dict[str, Variable]:
    view = data.view(name)
    if isinstance(view, Mapping):
        lengths = {view[member].shape[1] for member in view}
        found = {}
        for member in view:
            if f"{name}_{member}" in dropped:
                continue
            one = view[member]
            sample = "sample" if len(lengths) == 1 else f"sample_{member}"
            array = FeatureArray(manager, name, member, tuple(one.shape), one.dtype)
            variable = _variable(array, (EVENT, sample), data.image_chunk_size)
            found[f"{name}_{member}"] = variable
        return found
    if not hasattr(view, "shape"):
        raise FeatureNotFoundError(
            f"{data.path}: feature '{name}' differs in length from event to event and "
            "is not an array; take it from dcread.HDF5Data"
        )
    dims = (EVENT, "y", "x")[: len(view.shape)]
    dims += tuple(f"{name}_{axis}" for axis in range(3, len(view.shape)))
    if len(view.shape) == 2:
        dims = (EVENT, f"{name}_1")
    array = FeatureArray(manager, name, None, tuple(view.shape), np.dtype(view.dtype))
    return {name: _variable(array, dims, data.image_chunk_size)}


def _variable(array: FeatureArray, dims: tuple[str, ...], step: int) -> Variable:
    """Return a lazy variable; `step` is a number of events that are stored together."""
    info = info_of(array.name)
    label = info.label if array.member is None else f"{info.label}: {array.member}"
    attributes = {"long_name": label}
    if info.unit:
        attributes["units"] = info.unit
    encoding = {"preferred_chunks": _chunks(array, dims, step)}
    return Variable(dims, indexing.LazilyIndexedArray(array), attributes, encoding)


def _chunks(array: FeatureArray, dims: tuple[str, ...], step: int) -> dict[str, int]:
    """Return events in a dask chunk: whole stored chunks, and not too many bytes."""
    shape = array.shape
    rows = max(1, shape[0])
    if len(shape) > 1:
        row_bytes = max(1, int(np.prod(shape[1:])) * array.dtype.itemsize)
        rows = min(rows, step * max(1, _BYTES_AT_ONCE // (step * row_bytes)))
    return {dims[0]: rows, **dict(zip(dims[1:], shape[1:], strict=True))}


def _attributes(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as attributes that netCDF and Zarr can store."""
    plain = (str, int, float, np.ndarray)
    return {
        name: int(value)
        if isinstance(value, bool)
        else value
        if isinstance(value, plain)
        else str(value)
        for name, value in meta.items()
    }
