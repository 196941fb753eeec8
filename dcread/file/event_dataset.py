"""One member of ``/events``: what it is, and whether it can be used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s

from ..errors import FormatError, PolicyError
from ..problems import UNREADABLE
from .links import member

if TYPE_CHECKING:
    import h5py

    from .policy import Policy

GROUP_FEATURES = ("contour", "trace")


@dataclass(slots=True)
class OwnFeature:
    """One member of ``/events``.

    Attributes
    ----------
    shape : tuple of int or None
        Shape of a dataset; None for a group.
    dtype : numpy.dtype or None
        Type of a dataset; None for a group.
    chunks : tuple of int or None
        Shape of the chunks of a dataset; None if it has none.
    refusal : Exception or None
        Why it cannot be used; raised when it is asked for.
    absent : bool
        Whether there is only its name, a link that leads nowhere.
    plain : bool
        Whether it lies in the group itself and so do its data.
    opened : h5py.h5d.DatasetID or None
        The open dataset of a plain feature: who looks at it mostly reads it next, and
        opening takes as long as looking.
    """

    shape: tuple[int, ...] | None
    dtype: np.dtype[Any] | None
    chunks: tuple[int, ...] | None = None
    refusal: Exception | None = None
    absent: bool = False
    plain: bool = False
    opened: h5d.DatasetID | None = None

    def let_go_of_scalars(self) -> None:
        """Close the dataset of a scalar feature: there may be hundreds of those."""
        if self.shape and len(self.shape) == 1:
            self.opened = None

    def check(self) -> None:
        """Raise an error like `refusal`, if there is one."""
        if self.refusal is not None:
            raise type(self.refusal)(*self.refusal.args)


def look_at(group: h5py.Group, name: str, policy: Policy, room: int) -> OwnFeature:
    """Look at one member; `room` is how many bytes the file may claim to hold."""
    is_link = False
    try:
        found, plist = open_plain(group.id, name)
        if found is None:
            is_link = True
            found = member(group, name, policy).id
        if isinstance(found, h5g.GroupID):
            if name in GROUP_FEATURES:
                return OwnFeature(None, None)
            raise FormatError(
                "expected a dataset, found a group (that can be "
                f"{' or '.join(GROUP_FEATURES)} only)"
            )
        if not isinstance(found, h5d.DatasetID):
            raise FormatError("expected a dataset, found a named type")
        shape, dtype = found.shape, found.dtype
    except PolicyError as exc:
        return OwnFeature(None, None, refusal=exc)
    except UNREADABLE as exc:
        text = exc.args[0] if isinstance(exc, KeyError) and exc.args else exc
        refusal = (
            exc
            if isinstance(exc, FormatError)
            else FormatError(f"it cannot be opened: {text}")
        )
        absent = is_link and isinstance(exc, KeyError)
        return OwnFeature(None, None, refusal=refusal, absent=absent)
    plain = plist is not None
    plist = plist or found.get_create_plist()
    layout = plist.get_layout()
    chunks = plist.get_chunk() if layout == h5d.CHUNKED else None
    reason = ""
    if not shape:
        empty = found.get_space().get_simple_extent_type() == h5s.NULL
        shape = None if empty else shape
        what = "no data" if empty else "a single value"
        reason = f"expected one value for each event, found {what}"
    elif dtype.hasobject:
        reason = (
            f"expected numbers, found values of variable size ({dtype}); read it with "
            "h5py if it is wanted"
        )
    elif math.prod(shape) * dtype.itemsize > room and layout != h5d.VIRTUAL:
        reason = (
            f"it claims {math.prod(shape) * dtype.itemsize} bytes (shape {shape}, "
            f"{dtype}), far more than the file can hold"
        )
    feature = OwnFeature(shape, dtype, chunks, plain=plain)
    if reason:
        feature.refusal = FormatError(reason)
    elif plain:
        feature.opened = found
    return feature


def open_plain(group: h5g.GroupID, name: str) -> tuple[Any, Any]:
    """Return what lies in the group itself, and how a dataset was created.

    None if a link or its data lead away. With the low-level functions, since this is
    done for all features of a file.
    """
    key = name.encode("utf-8", "surrogateescape")
    if group.links.get_info(key).type != h5l.TYPE_HARD:
        return None, None
    found = h5o.open(group, key)
    if not isinstance(found, h5d.DatasetID):
        return found, None
    plist = found.get_create_plist()
    if plist.get_layout() == h5d.VIRTUAL or plist.get_external_count():
        return None, None
    return found, plist
