"""The basins of `HDF5Data`: thin doors to the basin room."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..basins import BasinSet, BasinStatus
from ..basins import extract_basin_dicts as _extract_basin_dicts
from ..basins.open_basin import Ask
from ..errors import DCReadError

if TYPE_CHECKING:
    import h5py


class BasinAccess:
    """Where else features come from."""

    if TYPE_CHECKING:

        def _basin_set(self) -> BasinSet: ...
        def _new_basins(self, definitions: Sequence[Mapping[str, Any]]) -> BasinSet: ...

    def _basin_length(self) -> int:
        """Return the number of events that the basins have; 0 if they do not tell."""
        basins = self._basin_set()
        with contextlib.suppress(DCReadError):
            for name in sorted(basins.features()):
                found = basins.search(Ask(name))
                if found is not None:
                    return found.rows
        return 0

    @staticmethod
    def extract_basin_dicts(h5: h5py.Group, check: bool = True) -> list[dict[str, Any]]:
        """Return the basin definitions of an open file, unsorted.

        Parameters
        ----------
        h5 : h5py.Group
            The open file.
        check : bool
            Leave out definitions that cannot be used.
        """
        return _extract_basin_dicts(h5, check=check)

    def get_basin_data(self, index: int) -> tuple[Any, list[str], Any]:
        """Return what one basin has itself (not the basins of the basin).

        Parameters
        ----------
        index : int
            Position in `basins`.

        Returns
        -------
        group : h5py.Group, mapping or None
            Datasets by name; None for a basin that is not available.
        features : list of str
            The names that it makes available.
        index_mapping : int, slice, list, ndarray or None
            Which of its rows belong to the events, the index mapping of this
            measurement included.

        Raises
        ------
        BasinIdentifierMismatchError
            If it belongs to another measurement.
        BasinError
            If its index map cannot be used, or no feature has rows for all events.
        IndexError
            If there is no basin of that number.
        ValueError
            If its type is unknown, or an internal basin lists no features.
        """
        return self._basin_set().get_data(index)

    def basin_status(self) -> list[BasinStatus]:
        """Return a record for each basin: availability, location, reason, features.

        Local basins are opened for it, remote ones are not contacted.
        """
        return self._basin_set().status()

    def _get_basin_data_file(self, bn_dict: Mapping[str, Any]) -> tuple[Any, list[str]]:
        """Return group and features of a file basin, ``(None, [])`` if it is away."""
        return self._group_and_features({"type": "file", **bn_dict})

    def _get_basin_data_internal(
        self, bn_dict: Mapping[str, Any]
    ) -> tuple[Any, list[str]]:
        """Return group and features of an internal basin."""
        return self._group_and_features({"type": "internal", **bn_dict})

    def _group_and_features(self, bn_dict: Mapping[str, Any]) -> tuple[Any, list[str]]:
        return self._new_basins([{**bn_dict, "mapping": None}]).get_group(0)
