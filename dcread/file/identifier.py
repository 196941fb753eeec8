"""Which measurement is this? The identifier that basins are checked against."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..engine import open_file
from ..errors import ClosedError
from ..sync.locks import h5_lock
from .attributes import decode_value, read_attributes

if TYPE_CHECKING:
    import h5py

    from ..engine import FileHandle


IDENTIFYING = (
    "experiment:run identifier",
    "experiment:time",
    "experiment:date",
    "setup:identifier",
)
"""The metadata that tell the identifier: the first one, or the others together."""


class HasFile(Protocol):
    """A measurement with its open file, such as `dcread.HDF5Data`."""

    @property
    def h5(self) -> h5py.File:
        """The open h5py file."""


def get_measurement_identifier(h5: h5py.Group | HasFile) -> str | None:
    """Return the identifier of a measurement.

    It is the attribute "experiment:run identifier". If that is missing or empty,
    it is computed from "experiment:time", "experiment:date" and
    "setup:identifier".

    Parameters
    ----------
    h5 : h5py.Group, h5py.File or HDF5Data
        An open measurement. Text stored as bytes counts as the same text.

    Returns
    -------
    str or None
        None if the identifier can be neither found nor computed.

    Raises
    ------
    ClosedError
        If the measurement is closed.

    Examples
    --------
    >>> with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
    ...     dcread.get_measurement_identifier(hd)
    'dcread-demo-0001-1_events'
    """
    handle = getattr(h5, "handle", None)
    if handle is not None:
        return identifier_of(handle)
    group: h5py.Group = getattr(h5, "h5", h5)
    with h5_lock:
        if not group.id.valid:
            raise ClosedError("the measurement to identify is closed; open it again")
        handle = open_file(group.file)
    try:
        return identifier_of(handle, None if group.name == "/" else group)
    finally:
        handle.close()


def identifier_of(handle: FileHandle, group: h5py.Group | None = None) -> str | None:
    """Return the identifier of the measurement in an open file, or a group of it."""
    return identifier_from(read_attributes(handle, IDENTIFYING, group))


def identifier_from(values: Mapping[str, Any]) -> str | None:
    """Return the identifier that metadata tell (see `get_measurement_identifier`).

    Parameters
    ----------
    values : mapping of str to object
        The metadata, as h5py gives them, or decoded.
    """
    texts = []
    for name in IDENTIFYING:
        value = values.get(name, "")
        if not (isinstance(value, str) and value.isascii()):
            value, _ = decode_value(value)
        if isinstance(value, np.ndarray):
            value = value.item() if value.size == 1 else None
        texts.append(str(value) if value else "")
    identifier, *parts = texts
    if identifier:
        return identifier
    if not all(parts):
        return None
    digest = hashlib.md5("_".join(parts).encode(), usedforsecurity=False)
    return str(uuid.UUID(hex=digest.hexdigest()))
