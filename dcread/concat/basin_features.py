"""Features that an input of a concatenation has from its basins."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Collection
from typing import Any

from ..basins import BasinSet, load_definitions
from ..basins.reports import features_of, reasons_of
from ..engine import reader_for
from ..errors import FeatureNotFoundError, FormatError
from ..file.measurement_file import MeasurementFile
from ..file.other_files import virtual_files
from ..problems import Problem, is_utf8
from ..sync.locks import h5_lock
from .records import Piece


class BasinFeatures:
    """Features of the basins of one input, opened when first asked for.

    Parameters
    ----------
    path : pathlib.Path
        The input.
    referrer : MeasurementFile
        The same, open.
    notes : list of Problem
        Where to record what cannot be used.
    copied : collection of str
        Features that the caller named: rows of theirs may be copied, and remote
        basins may be asked. Others are referred to where they lie.

    Attributes
    ----------
    files : set of pathlib.Path
        The files that hold what was asked for.
    """

    def __init__(
        self,
        path: pathlib.Path,
        referrer: MeasurementFile,
        notes: list[Problem],
        copied: Collection[str],
    ) -> None:
        self.files: set[pathlib.Path] = set()
        self._path = path
        self._referrer = referrer
        self._notes = notes
        self._copied = copied
        self._basins: BasinSet | None = None

    def _set(self) -> BasinSet:
        if self._basins is None:
            referrer = self._referrer
            with referrer.handle.using(), h5_lock:
                stored = load_definitions(referrer.handle, self._notes, referrer.policy)
            self._basins = BasinSet(
                referrer, stored.definitions, referrer.policy, dropped=stored.dropped
            )
        return self._basins

    def names(self) -> set[str]:
        """Return the features that the basins seem to have."""
        return features_of(self._set())

    def find(self, name: str) -> tuple[Any, Any] | None:
        """Return where a feature lies, and which of its rows to take; None if nowhere.

        A feature that the caller did not name is not looked for in remote basins.
        """
        return self._set().find(name, remote=name in self._copied)

    def pieces(self, name: str) -> dict[str, Piece]:
        """Return the parts of a feature, by their paths below ``/events``.

        There are none of what is neither a dataset nor a group of traces.

        Raises
        ------
        FeatureNotFoundError
            If no basin has it.
        FormatError
            If it would have to be copied unasked.
        """
        found = self.find(name)
        if found is None:
            reasons = "; ".join(reasons_of(self._set(), name))
            raise FeatureNotFoundError(
                f"{self._path}: no local basin has '{name}': "
                f"{reasons or 'name it in `features` to copy it from a remote one'}"
            )
        obj, rows = found
        if hasattr(obj, "shape"):
            return {name: self._piece(name, obj, rows)}
        if name != "trace":
            return {}
        with h5_lock:
            members = {f"{name}/{one}": obj[one] for one in sorted(obj)}
        return {key: self._piece(key, one, rows) for key, one in members.items()}

    def _piece(self, name: str, obj: Any, rows: Any) -> Piece:
        reader = reader_for(obj)
        count = reader.shape[0] if rows is None else len(rows)
        shape = (count, *reader.shape[1:])
        dataset = getattr(reader, "h5ds", None)
        handle = getattr(reader, "handle", None)
        path = None if handle is None else handle.path
        if path is not None and not (is_utf8(str(path)) and is_utf8(reader.name)):
            path = None  # HDF5 cannot refer to it
        asked = name.partition("/")[0] in self._copied
        refer = rows is None or not (asked or "/" in name)
        if refer and dataset is not None and handle is not None and path is not None:
            with handle.using(), h5_lock:
                self.files |= virtual_files(handle, dataset)
            if not os.path.samefile(path, self._path):
                self.files.add(path)
            stored = reader.shape[0]
            return Piece(path, dataset.name, shape, reader.dtype, stored, rows)
        if asked:
            return Piece(self._path, None, shape, reader.dtype, count)
        raise FormatError(
            f"{self._path}: '{name}' would have to be copied from a basin: name it in "
            "`features` for that"
        )

    def close(self) -> None:
        """Close all that the basins opened."""
        if self._basins is not None:
            self._basins.close()
