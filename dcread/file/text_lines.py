"""Lines of text that describe other files: read from this file only, and not too many.

With the low-level functions of h5py, since there may be thousands of datasets.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from h5py import check_string_dtype, h5d, h5s

from ..engine.name_resolver import Place
from ..errors import BasinError, PolicyError
from ..sync.locks import h5_lock
from .links import STRICT, member
from .variable_length import VariableLengths

_ROWS_AT_ONCE = 256


def read_lines(
    group: Place,
    name: str,
    limit: int,
    what: str,
    lengths: VariableLengths | None = None,
) -> list[str]:
    """Return the items of a dataset of text.

    Parameters
    ----------
    group : Place
        The group that holds it.
    name : str
        Name of a direct member.
    limit : int
        How many bytes there may be.
    what : str
        What messages call the text, such as ``"the definition"``.
    lengths : VariableLengths, optional
        Reads text of variable length, in place of HDF5.

    Raises
    ------
    KeyError
        If there is no such member.
    PolicyError
        If the text is kept in another dataset or file.
    BasinError
        If it is no text, or too long.
    """
    with h5_lock:
        found, plist = _text_dataset(group, name, what)
        rows = _rows_of(found, plist, limit, what, lengths)
    try:
        return [row.decode("utf-8") if isinstance(row, bytes) else row for row in rows]
    except UnicodeDecodeError as exc:
        raise BasinError(f"{what} should be UTF-8 text: {exc}") from exc


def _text_dataset(group: Place, name: str, what: str) -> tuple[Any, Any]:
    """Return an open dataset, and how it was created."""
    key = name.encode("utf-8", "surrogateescape")
    found = group.handle.open_hard(group.id, key)
    if found is None:
        found = member(group.handle, name, group.id, STRICT).id
    if not isinstance(found, h5d.DatasetID):
        raise BasinError(f"{what} should be a dataset of text lines")
    plist = found.get_create_plist()
    if plist.get_layout() == h5d.VIRTUAL or plist.get_external_count():
        # HDF5 would open whatever file it names.
        raise PolicyError(
            f"{what} is kept in another dataset or file, which is not followed; "
            "store it in the file itself"
        )
    return found, plist


def _rows_of(
    found: Any, plist: Any, limit: int, what: str, lengths: VariableLengths | None
) -> list[Any]:
    too_long = f"{what} should have at most {limit} bytes"
    space = found.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        raise BasinError(f"{what} should be a dataset of text lines")
    shape, dtype = space.shape, found.dtype
    if len(shape) > 1 or dtype.kind not in "SO":
        raise BasinError(
            f"{what} should be lines of text, found shape {shape}, dtype {dtype}"
        )
    if dtype.kind == "O" and check_string_dtype(dtype) is None:
        raise BasinError(f"{what} should be text, found other objects")
    # A chunk can be larger than what the dataset shows of it.
    chunks = plist.get_chunk() if plist.get_layout() == h5d.CHUNKED else ()
    room = max(math.prod(shape), math.prod(chunks)) * dtype.itemsize
    if room > 16 * limit:
        raise BasinError(f"{too_long}, it has room for {room}")
    if lengths is not None and dtype.kind == "O":
        texts = lengths.of_dataset(Place(lengths.handle, found), limit)
        if texts is not None:
            return [text.split(b"\0", 1)[0] for text in texts]
    count = math.prod(shape)
    rows: list[Any] = []
    used = 0
    for start in range(0, count, _ROWS_AT_ONCE):
        part = np.empty(min(_ROWS_AT_ONCE, count - start), dtype)
        if len(part) == count:
            found.read(h5s.ALL, h5s.ALL, part)
        else:
            space.select_hyperslab((start,), (len(part),))
            found.read(h5s.create_simple((len(part),)), space, part)
        rows += part.tolist()
        used += sum(map(len, rows[start:]))
        if used > limit:
            raise BasinError(too_long)
    return rows
