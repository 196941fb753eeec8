"""Pipeline identifiers: how published results name the data they came from.

They are bit-exact with those of dcnum, whose files carry them; nothing here may
ever change what an identifier looks like.
"""

from __future__ import annotations

import hashlib
import numbers
import re
from typing import Any

import numpy as np

CODE = "hdf"
_SLICE = re.compile(r"(n|-?\d+)-(n|-?\d+)-(n|-?\d+)")


def index_mapping_part(index_mapping: Any) -> str:
    """Return the part that names an index mapping.

    Lists and arrays are hashed as uint32, the way NumPy casts them: a negative
    or wide item of an array wraps there, and so does it in the identifier.
    """
    if index_mapping is None:
        return "0"
    if isinstance(index_mapping, numbers.Integral):
        return f"{index_mapping}"
    if isinstance(index_mapping, slice):
        ends = (index_mapping.start, index_mapping.stop, index_mapping.step)
        return "-".join("n" if end is None else f"{end}" for end in ends)
    if isinstance(index_mapping, (list, np.ndarray)):
        packed = np.asarray(index_mapping, dtype=np.uint32).tobytes()
        return f"h-{hashlib.md5(packed, usedforsecurity=False).hexdigest()[:8]}"
    return "unknown"


def from_keywords(code: str, pixel_size: float, mapping_part: str) -> str:
    """Return the identifier of data with a pixel size and an index mapping."""
    size = f"{pixel_size:.8f}".rstrip("0")
    return f"{code}:p={size}^i={mapping_part}"


def to_keywords(identifier: str, code: str = CODE) -> dict[str, Any]:
    """Return the keyword arguments that an identifier names.

    Raises
    ------
    ValueError
        If it is not an identifier of HDF5 data, has an unknown parameter, or
        names a hashed index mapping (that cannot be inverted).
    """
    found, colon, parameters = identifier.partition(":")
    if not colon or not all("=" in item for item in parameters.split("^")):
        raise ValueError(
            f"expected an identifier such as '{code}:p=0.34^i=0', got '{identifier}'"
        )
    if found != code:
        raise ValueError(f"Could not find data method '{found}'!")
    keywords: dict[str, Any] = {}
    for item in parameters.split("^"):
        name, _, value = item.partition("=")
        if name == "p":
            keywords["pixel_size"] = float(value)
        elif name == "i":
            keywords["index_mapping"] = _mapping_of(value)
        else:
            raise ValueError(f"Invalid parameter '{name}'!")
    return keywords


def _mapping_of(part: str) -> int | slice | None:
    if part.startswith("h-") or part == "unknown":
        raise ValueError(f"Cannot invert index mapping {part}")
    if part == "0":
        return None
    ends = _SLICE.fullmatch(part)
    if ends is None:
        return int(part)
    return slice(*(None if end == "n" else int(end) for end in ends.groups()))
