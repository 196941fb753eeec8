"""Which measurement is this? The identifier that basins are checked against."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ClosedError
from ..problems import UNREADABLE
from ..sync.locks import h5_lock
from .attributes import decode_value

if TYPE_CHECKING:
    import h5py


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
    """
    group: h5py.Group = getattr(h5, "h5", h5)
    if not group.id.valid:
        raise ClosedError("the measurement to identify is closed; open it again")
    identifier = _text(group, "experiment:run identifier")
    if identifier:
        return identifier
    parts = [
        _text(group, name)
        for name in ("experiment:time", "experiment:date", "setup:identifier")
    ]
    if not all(parts):
        return None
    digest = hashlib.md5("_".join(map(str, parts)).encode(), usedforsecurity=False)
    return str(uuid.UUID(hex=digest.hexdigest()))


def _text(group: h5py.Group, name: str) -> str | None:
    value: Any
    try:
        with h5_lock:
            value = group.attrs.get(name)
    except UNREADABLE:
        return None
    value, _ = decode_value(value)
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else None
    return str(value) if value else None
