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
from .attributes import read_attributes

if TYPE_CHECKING:
    import h5py

    from ..engine import FileHandle


RUN_IDENTIFIER = "experiment:run identifier"
PARTS = ("experiment:time", "experiment:date", "setup:identifier")


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
    if handle is not None and handle.resource is not None:
        return identifier_of(handle)
    group: h5py.Group = getattr(h5, "h5", h5)
    if not group.id.valid:
        raise ClosedError("the measurement to identify is closed; open it again")
    with h5_lock:
        handle = open_file(group.file)
    try:
        return identifier_of(handle, None if group.name == "/" else group)
    finally:
        handle.close()


def identifier_of(handle: FileHandle, group: h5py.Group | None = None) -> str | None:
    """Return the identifier of the measurement in an open file, or a group of it."""
    return identifier_from(read_attributes(handle, (RUN_IDENTIFIER, *PARTS), group))


def identifier_from(values: Mapping[str, Any]) -> str | None:
    """Return the identifier that metadata tell (see `get_measurement_identifier`)."""
    identifier = _text(values.get(RUN_IDENTIFIER))
    if identifier:
        return identifier
    parts = [_text(values.get(name)) for name in PARTS]
    if not all(parts):
        return None
    digest = hashlib.md5("_".join(map(str, parts)).encode(), usedforsecurity=False)
    return str(uuid.UUID(hex=digest.hexdigest()))


def _text(value: Any) -> str | None:
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else None
    return str(value) if value else None
