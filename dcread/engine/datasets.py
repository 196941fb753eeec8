"""Which reader reads what: by the layout of a dataset, and by what a caller has."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import h5py
import numpy as np

from ..errors import ClosedError, FormatError
from ..sync.locks import h5_lock
from .dataset_reader import DatasetReader
from .file_handle import FileHandle
from .open_file import open_file
from .row_reader import ArrayReader, RowReader, SlicingReader
from .virtual_reader import VirtualReader


def open_dataset(handle: FileHandle, name: Any) -> DatasetReader:
    """Return the reader of a dataset in an open file.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    name : str or h5py.Dataset
        Its path in the file, which links may lead out of as far as they are followed;
        or the dataset as h5py sees it.

    Raises
    ------
    KeyError
        If there is no such object.
    FormatError
        If it is not a dataset.
    """
    owner, h5ds = handle, name
    if isinstance(name, str):
        with handle.using(), h5_lock:
            place = handle.fetching(handle.names.find, handle, name)
            if not isinstance(place.id, h5py.h5d.DatasetID):
                raise FormatError(f"{handle.label}: expected '{name}' to be a dataset")
            owner, h5ds = place.handle or handle, h5py.Dataset(place.id)
    return owner.fetching(_reader_of, owner, h5ds)


def _reader_of(handle: FileHandle, h5ds: Any) -> DatasetReader:
    """Return the reader for the layout of a dataset."""
    with handle.using(), h5_lock:
        return reader_of_open(handle, h5ds)


def reader_of_open(handle: FileHandle, h5ds: Any) -> DatasetReader:
    """Return the reader for the layout of a dataset.

    The caller keeps the file open, holds the h5py lock, and is called by `fetching`.
    """
    reader = DatasetReader(handle, h5ds)
    if reader.kind == h5py.h5d.VIRTUAL:
        return VirtualReader(handle, h5ds, open_dataset)
    return reader


def reader_for(obj: Any) -> RowReader:
    """Return a reader of rows for a dataset-like object.

    Parameters
    ----------
    obj : RowReader, h5py.Dataset, ndarray, or array-like
        An array-like has ``shape``, ``dtype`` and slices along its first axis.
        Objects with a ``reader`` attribute (views of dcread) give that.
    """
    if isinstance(obj, RowReader):
        return obj
    if isinstance(obj, h5py.Dataset):
        if not obj.id.valid:
            raise ClosedError("the h5py.Dataset that was given is closed")
        return open_dataset(open_file(obj.file), obj)
    inner = getattr(obj, "reader", None)
    if isinstance(inner, RowReader):
        return inner
    if isinstance(obj, np.ndarray):
        return ArrayReader(obj)
    if hasattr(obj, "shape") and hasattr(obj, "dtype") and hasattr(obj, "__getitem__"):
        name = str(getattr(obj, "name", type(obj).__name__))
        source = getattr(getattr(obj, "file", None), "filename", "memory")
        if isinstance(source, pathlib.Path):
            source = os.fspath(source)
        return SlicingReader(obj, name, str(source))
    raise ValueError(
        f"No recipe to convert object of type {type(obj)} ({obj}) to rows: expected "
        "a dataset, an array, or an object with shape, dtype and slicing"
    )
