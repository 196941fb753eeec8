"""Datasets in groups of the open file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..engine import reader_for
from ..errors import FormatError
from ..problems import as_name
from ..sync.locks import h5_lock
from .links import member, subgroup

if TYPE_CHECKING:
    import h5py

    from ..engine import FileHandle, Reader
    from .policy import Policy


class OwnGroup(Mapping[str, "Reader"]):
    """Readers of the datasets in one group of the open file, by name."""

    def __init__(
        self, handle: FileHandle, names: tuple[str, ...], policy: Policy
    ) -> None:
        self._handle = handle
        self._names = names
        self._policy = policy

    def _group(self) -> h5py.Group:
        group = self._handle.h5
        for name in self._names:
            group = subgroup(group, name, self._policy)
        return group

    def reader(self, name: str) -> Reader:
        """Return the reader of a dataset, in another file if links are followed."""
        with self._handle.using(), h5_lock:
            found = member(self._group(), name, self._policy)
            if getattr(found, "shape", None) in (None, ()):
                raise FormatError(
                    f"{self._handle.label}: '{'/'.join(self._names)}/{name}' is not "
                    "an array"
                )
        return reader_of(self._handle, found)

    def __getitem__(self, name: str) -> Reader:
        return self.reader(name)

    def __iter__(self) -> Iterator[str]:
        with self._handle.using(), h5_lock:
            names = sorted(map(as_name, self._group()))
        return iter(names)

    def __len__(self) -> int:
        with self._handle.using(), h5_lock:
            return len(self._group())


def reader_of(handle: FileHandle, h5ds: h5py.Dataset) -> Reader:
    """Return the reader of a dataset that a file led to.

    The bytes of a dataset behind an external link lie in another file.
    """
    with handle.using(), h5_lock:
        is_here = _file_number(h5ds) == _file_number(handle.h5)
    return handle.dataset(h5ds) if is_here else reader_for(h5ds)


def _file_number(found: h5py.HLObject) -> int:
    from h5py import h5o

    number: int = h5o.get_info(found.id).fileno
    return number
