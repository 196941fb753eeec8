"""What a basin gives for one feature, and how many events that has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..engine import FileHandle, Reader
from ..errors import BasinError
from ..file.usable import check_kind, usable_member
from ..sync.locks import h5_lock

if TYPE_CHECKING:
    import h5py

    from ..file.policy import Policy


class GroupView(Mapping[str, Reader]):
    """The datasets of an h5py.Group (``trace``, ``contour``) as readers by name.

    Unlike the group itself it leads to no other file and tells when it is closed.
    """

    def __init__(self, handle: FileHandle, group: h5py.Group, policy: Policy) -> None:
        self._handle = handle
        self._group = group
        self._policy = policy

    def __getitem__(self, name: str) -> Reader:
        with self._handle.using(), h5_lock:
            found = usable_member(self._handle, self._group, name, self._policy)
            return self._handle.dataset(found)

    def __iter__(self) -> Iterator[str]:
        with self._handle.using(), h5_lock:
            names = sorted(self._group)
        return iter(names)

    def __len__(self) -> int:
        with self._handle.using(), h5_lock:
            return len(self._group)


def rows_of(name: str, obj: Any) -> int:
    """Return how many events a feature has.

    Raises
    ------
    BasinError
        If it is not what a feature of this name has to be.
    """
    if not isinstance(obj, Mapping):
        if name == "trace":
            raise BasinError(f"'{name}' should be arrays by name, found one array")
        return _array_rows(name, obj)
    if name not in ("contour", "trace"):
        raise BasinError(f"'{name}' should be a dataset, found a group")
    if name == "contour":
        # One member for each event, such as the contours.
        return len(obj)
    lengths = {_array_rows(f"{name}/{key}", obj[key]) for key in obj}
    if len(lengths) != 1:
        raise BasinError(
            f"'{name}' should hold arrays of one length, found lengths "
            f"{sorted(lengths)}"
        )
    return lengths.pop()


def _array_rows(name: str, obj: Any) -> int:
    if not isinstance(obj, Reader):
        raise BasinError(f"'{name}' should be a dataset, found {type(obj).__name__}")
    if not obj.shape:
        raise BasinError(f"'{name}' should have a first axis of events, found none")
    check_kind(name, obj)
    return obj.shape[0]
