"""Index mappings in few bytes, for pickles that go to other processes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

_SMALL = 64


@dataclass(frozen=True)
class Packed:
    """A list or array of integers or bool, packed.

    Neighbours are alike in most mappings (every n-th event, a range, a sorted
    choice), so that their differences take next to nothing.

    Attributes
    ----------
    data : bytes
        The differences (modulo 2**64), byte by byte, or the bits; compressed.
    count : int
        Number of items.
    dtype : str
        Type of an array, ``""`` for a list of int.
    """

    data: bytes
    count: int
    dtype: str

    def unpack(self) -> Any:
        """Return the list or array."""
        raw = np.frombuffer(zlib.decompress(self.data), np.uint8)
        if self.dtype == "|b1":
            return np.unpackbits(raw, count=self.count).astype(bool)
        steps = np.ascontiguousarray(raw.reshape(8, self.count).T).view("<u8")
        values = np.cumsum(steps, dtype=np.uint64).view(np.int64)
        return values.astype(self.dtype) if self.dtype else values.tolist()


def pack(mapping: Any) -> Any:
    """Return an index mapping packed, or as it is where that gains nothing."""
    if isinstance(mapping, list):
        if len(mapping) < _SMALL or {type(item) for item in mapping} != {int}:
            return mapping
        if max(mapping) >= 2**63 or min(mapping) < -(2**63):
            return mapping
        array, dtype = np.array(mapping, np.int64), ""
    elif type(mapping) is np.ndarray and mapping.ndim == 1 and len(mapping) >= _SMALL:
        array, dtype = mapping, mapping.dtype.str
    else:
        return mapping
    if array.dtype.kind == "b":
        return Packed(zlib.compress(np.packbits(array).tobytes()), len(array), dtype)
    if array.dtype.kind not in "iu":
        return mapping
    values = array.astype(np.uint64)
    steps = np.diff(values, prepend=np.uint64(0)).astype("<u8")
    planes = np.ascontiguousarray(steps.view(np.uint8).reshape(-1, 8).T)
    return Packed(zlib.compress(planes.tobytes()), len(array), dtype)


def unpack(mapping: Any) -> Any:
    """Return what `pack` packed; anything else as it is."""
    return mapping.unpack() if isinstance(mapping, Packed) else mapping
