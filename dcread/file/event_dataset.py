"""One member of a group of features: what it is, and whether it can be used."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from h5py import Dataset, h5d, h5g, h5s
from numpy.typing import NDArray

from ..engine import DatasetReader, FileHandle, most_bytes, open_dataset
from ..engine.convert import require_room_for_columns
from ..engine.datasets import reader_of_open
from ..engine.name_resolver import NameResolver, Place
from ..engine.row_reader import SMALL
from ..errors import FormatError, PolicyError
from ..problems import OF_ALL_PARTS, UNREADABLE, pass_on, text_of
from ..sync.locks import h5_lock
from .links import has_member, member

TRACE = "trace"
GROUP_FEATURES = ("contour", TRACE)


@dataclass(slots=True)
class EventDataset:
    """One member of a group of features, such as ``/events``.

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
    odd_length : Exception or None
        That it has not as many events as the others: those that it has can be used.
    absent : bool
        Whether there is only its name, a link that leads nowhere.
    plain : bool
        Whether it lies in the group itself and so do its data.
    place : Place or None
        The open object: who looks at a feature mostly reads it next, and opening it
        takes as long as looking. None where it cannot be used, or was closed again.
    """

    shape: tuple[int, ...] | None = None
    dtype: np.dtype[Any] | None = None
    chunks: tuple[int, ...] | None = None
    refusal: Exception | None = None
    odd_length: Exception | None = None
    absent: bool = False
    plain: bool = False
    place: Place | None = field(default=None, repr=False)

    def let_go_of_scalars(self) -> None:
        """Close the dataset of a scalar feature: there may be hundreds of those."""
        if self.shape and len(self.shape) == 1:
            self.place = None

    def check(self, rows: NDArray[np.integer[Any]] | None = None) -> None:
        """Raise an error like `refusal`, or like `odd_length`, if there is one.

        Parameters
        ----------
        rows : ndarray of int, optional
            The events that are wanted, all by default: an odd length does no harm if
            it has them.
        """
        reason = self.refusal
        if reason is None and self.odd_length is not None:
            has_all = rows is not None and (
                not len(rows) or int(rows.max()) < (self.shape or (0,))[0]
            )
            reason = None if has_all else self.odd_length
        if reason is not None:
            raise type(reason)(*reason.args)


def look_at(group: Place, name: str, names: NameResolver | None = None) -> EventDataset:
    """Look at one member; the caller holds the h5py lock and keeps the file open.

    Parameters
    ----------
    group : Place
        The group that holds features.
    name : str
        Name of a direct member.
    names : NameResolver, optional
        What links lead to; that of the file by default.
    """
    is_link = False
    try:
        place, plist = open_plain(group, name)
        if place is None:
            is_link = True
            place = member(group.handle, name, group.id, names)
        found = place.id
        if isinstance(found, h5g.GroupID):
            if name in GROUP_FEATURES:
                return EventDataset(place=place)
            raise FormatError(
                "expected a dataset, found a group (that can be "
                f"{' or '.join(GROUP_FEATURES)} only)"
            )
        if not isinstance(found, h5d.DatasetID):
            raise FormatError("expected a dataset, found a named type")
        if name == TRACE:
            raise FormatError("expected a group with traces, found a dataset")
        plain = plist is not None
        plist = plist or found.get_create_plist()
        shape, dtype = found.shape, found.dtype
        if dtype.kind == "V":
            require_room_for_columns(dtype)
        layout = plist.get_layout()
        chunks = plist.get_chunk() if layout == h5d.CHUNKED else None
        reason = _why_unusable(place, shape, dtype, layout)
    except OF_ALL_PARTS:
        raise
    except PolicyError as exc:
        return EventDataset(refusal=exc)
    except UNREADABLE as exc:
        pass_on(exc)
        refusal = (
            exc
            if isinstance(exc, FormatError)
            else FormatError(f"it cannot be opened: {text_of(exc)}")
        )
        return EventDataset(
            refusal=refusal, absent=is_link and isinstance(exc, KeyError)
        )
    if reason:
        return EventDataset(
            shape, dtype, chunks, refusal=FormatError(reason), plain=plain
        )
    return EventDataset(shape, dtype, chunks, plain=plain, place=place)


def _why_unusable(
    place: Place, shape: tuple[int, ...] | None, dtype: np.dtype[Any], layout: int
) -> str:
    if not shape:
        empty = place.id.get_space().get_simple_extent_type() == h5s.NULL
        what = "no data" if empty else "a single value"
        return f"expected one value for each event, found {what}"
    if dtype.hasobject:
        return (
            f"expected numbers, found values of variable size ({dtype}); read it with "
            "h5py if it is wanted"
        )
    # Is more read at once than the file can hold? A feature of one number for each
    # event is read as a whole, others row by row: what they claim in all does not
    # matter, nor what other files hold.
    least = math.prod(shape[1:] or shape) * dtype.itemsize
    handle = place.handle
    if (
        least <= SMALL
        or layout == h5d.VIRTUAL
        or handle is None
        or least <= most_bytes(handle.size)
    ):
        return ""
    return (
        f"it claims {least} bytes at once (shape {shape}, {dtype}), far more than the "
        "file can hold"
    )


def open_plain(group: Place, name: str) -> tuple[Place | None, Any]:
    """Return what lies in the group itself, and how a dataset was created.

    None if a link or its data lead away. With the low-level functions, since this is
    done for all features of a file.
    """
    key = name.encode("utf-8", "surrogateescape")
    found = group.handle.open_hard(group.id, key)
    if found is None:
        return None, None
    if not isinstance(found, h5d.DatasetID):
        return Place(group.handle, found), None
    plist = found.get_create_plist()
    if plist.get_layout() == h5d.VIRTUAL or plist.get_external_count():
        return None, None  # (looked at more closely by `member`)
    return Place(group.handle, found), plist


def usable_member(group: Place, name: str, names: NameResolver | None = None) -> Place:
    """Return a member of a group that can be (a part of) a feature.

    The rules are those for the features that a measurement stores itself.

    Raises
    ------
    KeyError
        If there is no such member (a link to nothing counts as none).
    FormatError
        If it holds no numbers, no events, or claims more than a file can hold.
    PolicyError
        If the policy does not allow to follow it.
    """
    assert group.handle is not None
    with group.handle.using(), h5_lock:
        return _usable(group, name, names)


def usable_reader(group: Place, name: str) -> DatasetReader | Place:
    """Return the reader of such a member; itself if it is a group, or in another file.

    Called by `FileHandle.fetching`.
    """
    assert group.handle is not None
    with group.handle.using(), h5_lock:
        place = _usable(group, name)
        if isinstance(place.id, h5g.GroupID) or place.handle is not group.handle:
            return place
        return reader_of_open(group.handle, Dataset(place.id))


def _usable(group: Place, name: str, names: NameResolver | None = None) -> Place:
    if not has_member(group.id, name):
        raise KeyError(f"there is no '{name}'")
    seen = look_at(group, name, names)
    if seen.absent:
        raise KeyError(f"there is no '{name}'")
    seen.check()
    assert seen.place is not None
    return seen.place


def reader_of(place: Place) -> DatasetReader:
    """Return the reader of an open dataset."""
    handle: FileHandle = place.handle
    return open_dataset(handle, Dataset(place.id))
