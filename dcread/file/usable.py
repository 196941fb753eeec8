"""Members of HDF5 groups that can be features: looked at before they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..engine import FileHandle
from ..errors import BasinError
from ..sync.locks import h5_lock
from .links import is_member_name, member

if TYPE_CHECKING:
    import h5py

    from .policy import Policy


def usable_member(
    handle: FileHandle, group: h5py.Group, name: str, policy: Policy
) -> Any:
    """Return a member of a group that can be (a part of) a feature.

    The rules are those for the features that a measurement stores itself.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    group : h5py.Group
        The group that holds features.
    name : str
        Name of a direct member.
    policy : Policy
        Whether links are followed.

    Raises
    ------
    KeyError
        If there is no such member (a dangling link counts as none).
    FormatError
        If it holds no numbers, no events, or claims more than a file can hold.
    PolicyError
        If the policy does not allow to follow it.
    """
    from .event_dataset import look_at
    from .events import MAX_EXPANSION, SMALL_BYTES

    with handle.using(), h5_lock:
        if not is_member_name(name) or group.get(name, getlink=True) is None:
            raise KeyError(f"there is no '{name}'")
        size = group.file.id.get_filesize()
        seen = look_at(group, name, policy, max(SMALL_BYTES, MAX_EXPANSION * size))
        if seen.absent:
            raise KeyError(f"there is no '{name}'")
        seen.check()
        return member(group, name, policy)


def check_kind(name: str, obj: Any) -> None:
    """Raise BasinError if a feature is not of the kind that its name tells.

    Parameters
    ----------
    name : str
        Name of the feature.
    obj : Reader or mapping
        What a basin gives for it.
    """
    from ..const import IMAGE_FEATURES

    shape = getattr(obj, "shape", None)
    if name in IMAGE_FEATURES and shape is not None and len(shape) < 3:
        raise BasinError(
            f"'{name}' should be images (events, height, width), found shape {shape}"
        )
    dtype = getattr(obj, "dtype", None)
    if dtype is not None and dtype.hasobject:
        raise BasinError(f"'{name}' should hold numbers, found values of type {dtype}")
