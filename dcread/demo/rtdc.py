"""Writing `.rtdc` files the way that the instruments' software writes them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

IMAGES = ("image", "image_bg", "mask")
CHUNK_BYTES = 2**20


def create(
    group: h5py.Group, name: str, shape: tuple[int, ...], dtype: Any
) -> h5py.Dataset:
    """Create a dataset with zstd level 5 and fletcher32, chunks of about 1 MiB."""
    import hdf5plugin

    row = int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize
    rows = min(max(CHUNK_BYTES // max(row, 1), 1), max(shape[0], 1))
    dataset = group.create_dataset(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(rows, *shape[1:]),
        fletcher32=True,
        track_times=False,
        **hdf5plugin.Zstd(clevel=5),
    )
    if name in IMAGES:
        dataset.attrs["CLASS"] = np.bytes_(b"IMAGE")
        dataset.attrs["IMAGE_VERSION"] = np.bytes_(b"1.2")
        dataset.attrs["IMAGE_SUBCLASS"] = np.bytes_(b"IMAGE_GRAYSCALE")
    return dataset


def store(group: h5py.Group, name: str, values: NDArray[Any]) -> h5py.Dataset:
    """Create a dataset and fill it; scalar features get their statistics."""
    dataset = create(group, name, values.shape, values.dtype)
    dataset[:] = values
    numeric = values.dtype.kind in "iuf"
    if values.ndim == 1 and values.size and numeric and "basinmap" not in name:
        dataset.attrs["min"] = values.min()
        dataset.attrs["max"] = values.max()
        dataset.attrs["mean"] = values.mean(dtype=np.float64)
    return dataset


def store_text(group: h5py.Group, name: str, lines: list[str]) -> None:
    """Store lines of text (logs, basin definitions) of any length."""
    encoded = [line.encode() for line in lines]
    width = max(100, *map(len, encoded))
    store(group, name, np.array(encoded, dtype=f"S{width}"))


def store_basin(h5: h5py.File, definition: dict[str, Any]) -> str:
    """Store the definition of a basin and return the key that it got."""
    lines = json.dumps(definition, indent=2, sort_keys=True).split("\n")
    key = hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()
    store_text(h5.require_group("basins"), key, lines)
    return key
