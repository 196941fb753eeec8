"""HDF5 attributes become metadata: plain Python values by ``section:name``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from h5py import h5a, h5s, h5t

from ..errors import FormatError
from ..problems import Problem, recorded_as_problem
from ..sync.locks import h5_lock

if TYPE_CHECKING:
    from ..engine import FileHandle

_PLAIN = (h5t.TypeIntegerID, h5t.TypeFloatID)

MAX_ATTRIBUTE_BYTES = 1 << 20
"""An attribute larger than this is no metadata (real ones have some bytes)."""


def clean_text(value: str | bytes) -> tuple[str, bool]:
    """Return text and whether all of its bytes were valid UTF-8.

    h5py hands out invalid bytes of variable-length strings as lone surrogates;
    they become replacement characters, as those of fixed-length strings do, so
    that the text can always be printed and written.
    """
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace"), False


def decode_value(value: Any) -> tuple[Any, bool]:
    """Return an attribute's value as Python has it, and whether it is intact.

    Bytes become `str`, NumPy scalars become `bool`, `int`, `float` or `str`;
    arrays stay arrays, with text decoded; an empty attribute becomes an empty
    text or array.
    """
    if isinstance(value, (str, bytes)):
        return clean_text(value)
    if isinstance(value, np.generic):
        return (
            decode_value(value.item())
            if value.dtype.kind in "SU"
            else (
                value.item() if value.dtype.names is None else value,
                True,
            )
        )
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "SO":
            return value, True
        items = [decode_value(item) for item in value.ravel().tolist()]
        texts = np.empty(len(items), dtype=object)
        for place, (item, _) in enumerate(items):
            texts[place] = item  # which may be an array itself
        return texts.reshape(value.shape), all(intact for _, intact in items)
    if type(value).__name__ == "Empty":
        text = value.dtype is None or np.dtype(value.dtype).kind in "SUO"
        return ("" if text else np.empty(0, value.dtype)), True
    return value, True


def read_metadata(handle: FileHandle, problems: list[Problem]) -> dict[str, Any]:
    """Return the attributes of a file; unreadable ones go to `problems`."""
    meta: dict[str, Any] = {}
    names: list[str] = []
    with recorded_as_problem(problems, "attribute", "(all)"), handle.using(), h5_lock:
        names = list(handle.h5.attrs)
    for name in names:
        key, intact_name = clean_text(name)
        with recorded_as_problem(problems, "attribute", key):
            value, intact = decode_value(read_attribute(handle, name))
            meta[key] = value
            if not (intact and intact_name):
                reason = (
                    "expected text in UTF-8, found other bytes; they were replaced "
                    "by '\N{REPLACEMENT CHARACTER}'"
                )
                problems.append(Problem("attribute", key, reason))
    return meta


def read_attribute(handle: FileHandle, name: str) -> Any:
    """Return one attribute of a file as h5py gives it.

    Raises
    ------
    KeyError
        If there is no such attribute.
    ValueError
        If it is too large for metadata.
    FormatError
        If it refers to other parts of the file: that is no value.
    """
    with handle.using(), h5_lock:
        h5 = handle.h5
        found = h5a.open(
            h5.id, name if isinstance(name, bytes) else name.encode("utf-8")
        )
        space, kind = found.get_space(), found.get_type()
        nbytes = space.get_simple_extent_npoints() * kind.get_size()
        if nbytes > MAX_ATTRIBUTE_BYTES:
            raise ValueError(
                f"{handle.label}: attribute '{name}' has {nbytes} bytes, expected "
                f"at most {MAX_ATTRIBUTE_BYTES}"
            )
        single = space.get_simple_extent_type() == h5s.SCALAR
        if single and type(kind) in _PLAIN:
            value = np.empty((), kind.dtype)
            found.read(value)  # converted, where its bits lie otherwise
            return value[()]
        if _has_references(kind.dtype):
            raise FormatError(
                "expected text or numbers, found references to other parts of the "
                "file; read it with h5py if it is wanted"
            )
        return h5.attrs[name]


def _has_references(dtype: np.dtype[Any]) -> bool:
    if dtype.names is not None:
        return any(_has_references(dtype[name]) for name in dtype.names)
    inner = h5t.check_vlen_dtype(dtype) or dtype.base
    if inner != dtype:
        return _has_references(np.dtype(inner))
    return h5t.check_ref_dtype(dtype) is not None
