"""HDF5 attributes become metadata: plain Python values by ``section:name``."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from h5py import h5a, h5g, h5s, h5t

from ..engine.convert import require_room_for_columns
from ..engine.h5py_errors import calling_back
from ..errors import FormatError
from ..problems import (
    OF_ALL_PARTS,
    UNREADABLE,
    Problem,
    left_out,
    pass_on,
    recorded_as_problem,
)
from ..sync.locks import h5_lock
from .variable_length import VariableLengths

if TYPE_CHECKING:
    from ..engine import FileHandle

_PLAIN = (h5t.TypeIntegerID, h5t.TypeFloatID)

MAX_ATTRIBUTE_BYTES = 1 << 20
MAX_METADATA_BYTES = 16 << 20
MAX_ATTRIBUTES = 2_000
"""What is more than this is no metadata (real attributes have some bytes)."""


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

    Bytes become `str`, NumPy scalars become `bool`, `int`, `float` or `str`; dates
    and compound values stay what they are, and so do arrays, with text decoded; an
    empty attribute becomes an empty text or array.
    """
    if isinstance(value, (str, bytes)):
        is_plain = isinstance(value, str) and value.isascii()  # as mostly
        return (value, True) if is_plain else clean_text(value)
    if isinstance(value, np.generic):
        # (NumPy makes mere numbers of dates, and bytes of what it does not know)
        kind = value.dtype.kind
        plain = value if kind in "mMV" else value.item()
        return decode_value(plain) if kind in "SU" else (plain, True)
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
    names: list[bytes] = []
    room = MAX_METADATA_BYTES
    with handle.using(), VariableLengths(handle) as lengths:
        with recorded_as_problem(problems, "attribute", "(all)"), h5_lock:
            names = _names(handle, problems)
        for name in names:
            key, intact_name = clean_text(name)
            with recorded_as_problem(problems, "attribute", key):
                with h5_lock:  # (`_names` has checked the attributes)
                    found, nbytes = _read(handle.root, name, lengths, room)
                room -= nbytes
                value, intact = decode_value(found)
                meta[key] = value
                if not (intact and intact_name):
                    reason = (
                        "expected text in UTF-8, found other bytes; they were replaced "
                        "by '\N{REPLACEMENT CHARACTER}'"
                    )
                    problems.append(Problem("attribute", key, reason))
    return meta


def _names(handle: FileHandle, problems: list[Problem]) -> list[bytes]:
    found: list[bytes] = []
    handle.attributes_of(handle.root)  # HDF5 survives to look them up
    total = h5a.get_num_attrs(handle.root)
    if total > MAX_ATTRIBUTES:
        reason = (
            f"expected at most {MAX_ATTRIBUTES} attributes, found {total}; the rest is "
            "left out"
        )
        problems.append(Problem("attribute", "(all)", reason))

    def note(name: bytes) -> bool | None:
        found.append(name)
        return True if len(found) == MAX_ATTRIBUTES else None

    calling_back(functools.partial(h5a.iterate, handle.root), note)
    return found


def read_attribute(
    handle: FileHandle, name: str, group: h5py.Group | None = None
) -> Any:
    """Return one attribute of a file, or of a group in it, as h5py gives it.

    Raises
    ------
    KeyError
        If there is no such attribute.
    FormatError
        If it is too large for metadata, or refers to other parts of the file: that is
        no value.
    """
    with handle.using(), VariableLengths(handle) as lengths, h5_lock:
        owner = handle.root if group is None else group.id
        handle.attributes_of(owner)
        key = name.encode("utf-8", "surrogateescape")
        return _read(owner, key, lengths, MAX_METADATA_BYTES)[0]


def read_attributes(
    handle: FileHandle,
    names: Iterable[str],
    group: h5py.Group | None = None,
    problems: list[Problem] | None = None,
) -> dict[str, Any]:
    """Return some attributes of a file, or of a group in it, as h5py gives them.

    The file is kept open meanwhile, and read for the texts of all of them once.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    names : iterable of str
        What to read; those that are not there are left out.
    group : h5py.Group, optional
        What has them, if it is not the file itself.
    problems : list of Problem, optional
        Where to record what cannot be read; it is passed over if there is no list.
    """
    values: dict[str, Any] = {}
    with handle.using(), VariableLengths(handle) as lengths:
        owner = handle.root if group is None else group.id
        checked = False
        for name in names:
            key = name.encode("utf-8", "surrogateescape")
            try:
                with h5_lock:  # others can use HDF5 between two of them
                    if not checked:
                        handle.attributes_of(owner)
                        checked = True
                    if h5a.exists(owner, key):
                        values[name], _ = _read(owner, key, lengths, MAX_METADATA_BYTES)
            except OF_ALL_PARTS:
                raise
            except UNREADABLE as exc:
                pass_on(exc)
                if problems is not None:
                    label = f"{handle.label}: {name}"
                    problems.append(left_out("attribute", label, exc))
    return values


def _read(
    owner: h5g.GroupID, name: bytes, lengths: VariableLengths, room: int
) -> tuple[Any, int]:
    """Return the value of an attribute, and about how many bytes it has.

    HDF5 is asked for the type first, and for the value only if that is harmless. The
    caller holds the h5py lock, and has checked the attributes of `owner`.
    """
    found = h5a.open(owner, name)
    space, kind = found.get_space(), found.get_type()
    single = space.get_simple_extent_type() == h5s.SCALAR
    if single and type(kind) in _PLAIN:
        value = np.empty((), kind.dtype)
        found.read(value)  # converted, where its bits lie otherwise
        return value[()], value.nbytes
    count = space.get_simple_extent_npoints()
    nbytes = count * kind.get_size()
    if nbytes > min(MAX_ATTRIBUTE_BYTES, room):
        raise _too_large(nbytes)
    if space.get_simple_extent_type() == h5s.NULL:
        return h5py.Empty(kind.dtype), 0
    is_text = isinstance(kind, h5t.TypeStringID)
    if is_text:
        varies, item = kind.is_variable_str(), 1
    else:
        dtype = kind.dtype
        if _has_references(dtype):
            raise FormatError(
                "expected text or numbers, found references to other parts of the "
                "file; read it with h5py if it is wanted"
            )
        require_room_for_columns(dtype)
        varies, item = dtype.hasobject, _item_bytes(dtype)
    if not varies:
        return _value_of(found, kind.dtype), nbytes
    if not item:
        raise FormatError(
            f"expected text or numbers, found values of type {dtype}; read it with "
            "h5py if it is wanted"
        )
    limit = min(MAX_ATTRIBUTE_BYTES, room)
    values = lengths.of_attribute(owner, name, count, item, limit)
    if values is None:
        return _value_of(found, kind.dtype), nbytes
    nbytes += sum(map(len, values))
    if single and is_text:  # ends at a zero byte
        text = values[0].split(b"\0", 1)[0]
        return text.decode("utf-8", "surrogateescape"), nbytes
    return _as_h5py_has(values, found.shape, kind.dtype), nbytes


def _as_h5py_has(
    values: list[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    items: list[Any]
    if h5t.check_string_dtype(dtype) is not None:  # ends at a zero byte
        items = []
        for value in values:
            text = value.split(b"\0", 1)[0]
            items.append(text.decode("utf-8", "surrogateescape"))
    else:
        inner = h5t.check_vlen_dtype(dtype)
        items = [np.frombuffer(value, inner).copy() for value in values]
    if not shape:
        return items[0]
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def _value_of(found: h5a.AttrID, dtype: np.dtype[Any]) -> Any:
    """Return the value of an attribute, as h5py's dictionary of them does."""
    kind = h5t.py_create(dtype)
    shape = found.shape
    if dtype.subdtype is not None:  # an array of arrays is one with more axes
        dtype, inner = dtype.subdtype
        shape += inner
    values = np.zeros(shape, dtype)
    found.read(values, mtype=kind)
    if h5t.check_string_dtype(dtype) is not None and dtype.hasobject:
        for place, text in enumerate(values.flat):
            values.flat[place] = text.decode("utf-8", "surrogateescape")
    return values if values.ndim else values[()]


def _too_large(nbytes: int) -> FormatError:
    if nbytes > MAX_ATTRIBUTE_BYTES:
        return FormatError(
            f"it has {nbytes} bytes, expected at most {MAX_ATTRIBUTE_BYTES}; read it "
            "with h5py if it is wanted"
        )
    return FormatError(
        f"all attributes together may have {MAX_METADATA_BYTES} bytes; read it with "
        "h5py if it is wanted"
    )


def _has_references(dtype: np.dtype[Any]) -> bool:
    if h5t.check_string_dtype(dtype) is not None:
        return False
    if dtype.names is not None:
        return any(_has_references(dtype[name]) for name in dtype.names)
    inner = h5t.check_vlen_dtype(dtype) or dtype.base
    if inner != dtype:
        return _has_references(np.dtype(inner))
    return h5t.check_ref_dtype(dtype) is not None


def _item_bytes(dtype: np.dtype[Any]) -> int:
    """Return the bytes of what a value has a variable number of; 0 if unknown."""
    inner = h5t.check_vlen_dtype(dtype)
    plain = inner is not None and np.dtype(inner).kind in "iuf"
    return np.dtype(inner).itemsize if plain else 0
