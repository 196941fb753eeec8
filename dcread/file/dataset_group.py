"""The datasets in one group of a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from ..engine import DatasetReader
from ..engine.name_resolver import Place
from ..errors import FormatError, PolicyError
from ..sync.locks import h5_lock
from .event_dataset import reader_of, usable_reader
from .links import names_in


class DatasetGroup(Mapping[str, DatasetReader]):
    """Readers of the datasets in one group of a file (``trace``, ``contour``), by name.

    Unlike a group of h5py it leads nowhere that the policy does not allow, takes
    nothing that is no feature, and tells when the file is closed.

    Parameters
    ----------
    group : Place
        The open group.
    """

    def __init__(self, group: Place) -> None:
        assert group.handle is not None
        self.handle = group.handle
        self._group = group
        self._names_checked = False

    def __getitem__(self, name: str) -> DatasetReader:
        """Return the reader of a dataset.

        Raises
        ------
        KeyError
            If there is none of that name.
        FormatError, PolicyError
            If it cannot be used.
        """
        group = self._group
        try:
            found = self.handle.fetching(self._find, name)
            return found if isinstance(found, DatasetReader) else reader_of(found)
        except FormatError as exc:
            if self.handle.label in str(exc):
                raise
            raise type(exc)(f"{group.label(name)}: {exc}") from exc

    def _find(self, name: str) -> DatasetReader | Place:
        if not self._names_checked:
            with self.handle.using(), h5_lock:
                self.handle.check_names(self._group.id)
            self._names_checked = True
        return usable_reader(self._group, name)

    def usable(self) -> dict[str, DatasetReader]:
        """Return the readers of all datasets that can be used, by name."""
        found = {}
        for name in self:
            with contextlib.suppress(KeyError, FormatError, PolicyError):
                found[name] = self[name]
        return found

    def __iter__(self) -> Iterator[str]:
        with self.handle.using(), h5_lock:
            names = self.handle.fetching(names_in, self._group)
        return iter(names)

    def __len__(self) -> int:
        def count() -> int:
            self.handle.check_listing(self._group.id)  # HDF5 goes through the members
            return int(self._group.id.get_num_objs())

        with self.handle.using(), h5_lock:
            found: int = self.handle.fetching(count)
        return found
