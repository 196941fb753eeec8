"""One input of a concatenation: which datasets it gives, and what they look like."""

from __future__ import annotations

import contextlib
import os
import pathlib
import warnings
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..arrays.dataset_view import FeatureView
from ..arrays.mapped_dataset import get_mapped_object
from ..basins import BasinSet, load_definitions
from ..engine import DatasetReader, Opened, open_file, reader_for
from ..errors import FeatureNotFoundError, FormatError, ShapeMismatchError
from ..file.attributes import read_attribute
from ..file.measurement_file import Referrer
from ..file.policy import Policy
from ..file.source_check import check_sources, describe_file
from ..file.source_records import describe
from ..measurement.origin import apply_policy
from ..problems import Problem, as_format_error, recorded_as_problem
from ..sync.locks import h5_lock
from .records import Input, Piece
from .virtual import virtual_files

FRAME_RATE = "imaging:frame rate"


class InputFile:
    """An input while it is looked at; a context manager.

    Parameters
    ----------
    path : pathlib.Path
    notes : list of Problem
        Where to record what is left out.
    from_basins : collection of str
        Features that may be taken from basins.
    """

    def __init__(
        self,
        path: pathlib.Path,
        notes: list[Problem],
        from_basins: Collection[str] = (),
    ) -> None:
        self.path = path
        self._notes = notes
        self._others: set[pathlib.Path] = set()
        self._from_basins = from_basins
        self._policy = Policy.default()
        self._basins: BasinSet | None = None
        self._handle = open_file(path)
        self._handed_on = False
        self._readers: dict[str, DatasetReader] = {}
        try:
            apply_policy(self._handle, self._policy)
            check_sources(self._handle, self._policy)
            self._referrer = Referrer(self._handle, None, self._policy, [])
            self._own = self._referrer.events.look_at_all()
            self._require_events()
        except BaseException:
            self._handle.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._basins is not None:
            self._basins.close()
        if not self._handed_on:
            self._handle.close()

    def hand_on(self) -> Opened:
        """Return the open file: who takes it closes it."""
        self._handed_on = True
        return Opened(self._handle, self._readers)

    def _require_events(self) -> None:
        for problem in self._referrer.problems:
            if (problem.kind, problem.name) == ("feature", "/events"):
                raise FormatError(f"{self.path}: {problem}")

    def attributes(self) -> dict[str, Any]:
        """Return the metadata as h5py gives them; notes tell what is unreadable."""
        found: dict[str, Any] = {}
        label = f"{self.path}: the attributes"
        with self._handle.using(), h5_lock, as_format_error(label, self._handle):
            names = list(self._handle.h5.attrs)
        for name in names:
            with recorded_as_problem(self._notes, "attribute", f"{self.path}: {name}"):
                found[name] = read_attribute(self._handle, name)
        return found

    def default_features(self) -> list[str]:
        """Return the features that can be joined; warn of the others."""
        fine = []
        for name, feature in self._own.items():
            if feature.refusal is None and feature.shape is not None:
                fine.append(name)
            elif isinstance(feature.refusal, ShapeMismatchError):
                feature.check()
            else:
                self._ignore(name, feature.refusal)
        return fine

    def _ignore(self, name: str, why: Exception | None) -> None:
        reason = "not implemented yet!" if why is None else str(why)
        note = Problem("feature", name, f"{self.path}: left out: {reason}")
        if not any((old.kind, old.name) == ("feature", name) for old in self._notes):
            warnings.warn(f"Ignoring {name}; {reason}", stacklevel=6)
            self._notes.append(note)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return which of the features are nowhere to be found."""
        return [n for n in sorted(names) if not self._has(n) and self._find(n) is None]

    def _has(self, name: str) -> bool:
        return name in self._own and not self._own[name].absent

    def _find(self, name: str) -> tuple[Any, Any] | None:
        """Return where basins have a feature, and the rows to take of it."""
        if name not in self._from_basins:
            return None
        if self._basins is None:
            with self._handle.using(), h5_lock:
                stored = load_definitions(self._handle.h5, self._notes, self._policy)
            self._basins = BasinSet(
                self._referrer, stored.usable, self._policy, dropped=stored.dropped
            )
        return self._basins.find(name)

    def take(self, columns: Iterable[str], series: Iterable[str]) -> Input:
        """Return what this file gives for these features.

        Raises
        ------
        DCReadError
            If a feature cannot be used.
        """
        pieces: dict[str, Piece] = {}
        for name in columns:
            pieces.update(self._pieces(name))
        values = {}
        for name in series:
            found = self._values(name)
            if found is not None:
                values[name] = found
        shapes = {name: piece.shape for name, piece in pieces.items()}
        shapes |= {name: array.shape for name, array in values.items()}
        length = self._length(shapes)
        rate = None
        with contextlib.suppress(KeyError, ValueError, OSError):
            rate = read_attribute(self._handle, FRAME_RATE)
        others = [describe_file(path, self._policy) for path in sorted(self._others)]
        return Input(
            path=self.path,
            sources=[describe(self._handle, length), *others],
            length=length,
            pieces=pieces,
            series=values,
            frame_rate=rate,
            has_texts=self._has_texts(),
        )

    def _has_texts(self) -> bool:
        with self._handle.using(), h5_lock:
            return any(group in self._handle.h5 for group in ("logs", "tables"))

    def _pieces(self, name: str) -> dict[str, Piece]:
        if not self._has(name):
            return self._basin_pieces(name)
        feature = self._own[name]
        if feature.shape is None and name != "trace" and self._is_group(name):
            self._ignore(name, None)
            return {}
        feature.check()
        if feature.shape is not None and feature.dtype is not None:
            path = f"events/{name}"
            if not feature.plain:
                self._note_virtual(name)
            elif feature.place is not None:
                reader = self._referrer.own_feature(name)
                if isinstance(reader, DatasetReader):
                    self._readers[path] = reader
            return {name: Piece(self.path, path, feature.shape, feature.dtype)}
        group = self._referrer.own_group(name)
        return {
            f"{name}/{one}": self._trace(f"{name}/{one}", group[one]) for one in group
        }

    def _is_group(self, name: str) -> bool:
        with self._handle.using(), h5_lock:
            return "Group" in str(self._handle.h5["events"].get(name, getclass=True))

    def _trace(self, name: str, reader: Any) -> Piece:
        self._note_virtual(name)
        return Piece(self.path, f"events/{name}", reader.shape, reader.dtype)

    def _note_virtual(self, name: str) -> None:
        """Note the files that an own virtual dataset depends on."""
        from h5py import h5d

        path = f"events/{name}"
        with self._handle.using(), h5_lock:
            # The low-level way, since this is done for all features of all files.
            found = h5d.open(self._handle.h5.id, path.encode())
            if found.get_create_plist().get_layout() == h5d.VIRTUAL:
                self._others |= virtual_files(self._handle.h5[path], self._policy)

    def _basin_pieces(self, name: str) -> dict[str, Piece]:
        found = self._find(name)
        if found is None:
            raise FeatureNotFoundError(f"{self.path}: feature '{name}' is gone")
        obj, rows = found
        if hasattr(obj, "shape"):
            return {name: self._basin_piece(obj, rows)}
        if name != "trace":
            self._ignore(name, None)
            return {}
        with h5_lock:
            members = {f"{name}/{one}": obj[one] for one in sorted(obj)}
        return {key: self._basin_piece(one, rows) for key, one in members.items()}

    def _basin_piece(self, obj: Any, rows: Any) -> Piece:
        reader = reader_for(obj)
        dataset = getattr(reader, "h5ds", None)
        path = getattr(getattr(reader, "handle", None), "path", None)
        if rows is None and dataset is not None and path is not None:
            # Not mapped: the basin's dataset itself is the source.
            with self._handle.using(), h5_lock:
                self._others |= virtual_files(dataset, self._policy)
            if not os.path.samefile(path, self.path):
                self._others.add(path)
            return Piece(path, dataset.name, reader.shape, reader.dtype)
        count = reader.shape[0] if rows is None else len(rows)
        return Piece(self.path, None, (count, *reader.shape[1:]), reader.dtype)

    def _values(self, name: str) -> NDArray[Any] | None:
        """Return the values of a feature that is computed; None if there are none."""
        if self._has(name):
            self._own[name].check()
            found: tuple[Any, Any] | None = (self._referrer.own_feature(name), None)
        else:
            found = self._find(name)
        if found is None:
            return None
        view = _view(*found)
        if len(view.shape) != 1:
            raise FormatError(
                f"{self.path}: feature '{name}' has shape {view.shape}, expected one "
                "number for each event"
            )
        return np.asarray(view[:])

    def view(self, name: str) -> Any:
        """Return the rows of a feature from a basin, by its path in ``/events``."""
        feature, _, member = name.partition("/")
        found = self._find(feature)
        if found is None:
            raise FeatureNotFoundError(f"{self.path}: feature '{feature}' is gone")
        obj, rows = found
        with h5_lock:
            return _view(obj[member] if member else obj, rows)

    def _length(self, shapes: dict[str, tuple[int, ...]]) -> int:
        if not shapes:
            return self._referrer.raw_length or 0
        first = next(iter(shapes))
        for name, shape in shapes.items():
            if shape[0] != shapes[first][0]:
                raise ShapeMismatchError(
                    f"{self.path}: feature '{name}' has {shape[0]} events, but "
                    f"'{first}' has {shapes[first][0]}; leave one of them out of "
                    "`features`"
                )
        return shapes[first][0]


def _view(obj: Any, rows: Any) -> Any:
    return get_mapped_object(FeatureView(obj), rows)
