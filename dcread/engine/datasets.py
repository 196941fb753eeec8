"""What can be read by rows, and how to get it of whatever a caller has."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import ClosedError
from .array_reader import ArrayReader
from .dataset_reader import DatasetReader
from .open_file import open_file
from .read_plan import Rows, Window


@runtime_checkable
class Reader(Protocol):
    """What views need of a source of rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def filename(self) -> str: ...  # noqa: D102
    @property
    def block_rows(self) -> int: ...  # noqa: D102

    def read(  # noqa: D102
        self, rows: Rows, out: NDArray[Any] | None = None, window: Window = None
    ) -> NDArray[Any]: ...

    def map_blocks(  # noqa: D102
        self,
        rows: slice,
        func: Callable[[int, NDArray[Any]], None],
        window: Window = None,
    ) -> None: ...


def reader_for(obj: Any) -> Reader:
    """Return a reader of rows for a dataset-like object.

    Parameters
    ----------
    obj : Reader, h5py.Dataset, ndarray, or array-like
        An array-like has ``shape``, ``dtype`` and slices along its first axis.
        Objects with a ``reader`` attribute (views of dcread) give that.
    """
    import h5py

    if isinstance(obj, h5py.Dataset):
        if not obj.id.valid:
            raise ClosedError("the h5py.Dataset that was given is closed")
        return DatasetReader(open_file(obj.file), obj)
    inner = getattr(obj, "reader", None)
    for one in (inner, obj):
        # (telling a Reader by its methods has it look for its chunks)
        if isinstance(one, (DatasetReader, Reader)):
            return one
    if isinstance(obj, np.ndarray):
        return ArrayReader(obj)
    if hasattr(obj, "shape") and hasattr(obj, "dtype") and hasattr(obj, "__getitem__"):
        name = str(getattr(obj, "name", type(obj).__name__))
        source = getattr(getattr(obj, "file", None), "filename", "memory")
        if isinstance(source, pathlib.Path):
            source = os.fspath(source)
        return ArrayReader(obj, name=name, filename=str(source))
    raise ValueError(
        f"No recipe to convert object of type {type(obj)} ({obj}) to rows: expected "
        "a dataset, an array, or an object with shape, dtype and slicing"
    )
