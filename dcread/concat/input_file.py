"""One input of a concatenation: which datasets it gives, and what they look like."""

from __future__ import annotations

import pathlib
import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from h5py import Dataset
from h5py.h5d import DatasetID
from numpy.typing import NDArray

from ..arrays.dataset_view import FeatureView
from ..arrays.mapped_dataset import get_mapped_object
from ..engine import DatasetReader, Opened, open_file, reader_for
from ..engine.h5py_errors import raise_cause
from ..errors import (
    DCReadError,
    FeatureNotFoundError,
    FormatError,
    ShapeMismatchError,
)
from ..file.attributes import read_attributes
from ..file.event_dataset import reader_of
from ..file.identifier import IDENTIFYING, identifier_from
from ..file.links import has_member
from ..file.measurement_file import MeasurementFile
from ..file.other_files import virtual_files
from ..file.policy import Policy
from ..file.source_check import check_sources, describe_file
from ..file.source_records import describe
from ..measurement.origin import apply_policy
from ..problems import (
    Problem,
    as_format_error,
    is_utf8,
    text_of,
)
from ..sync.locks import h5_lock
from .basin_features import BasinFeatures
from .records import Input, Piece

SERIES = ("frame", "time")
"""Features that are computed, since they must go on from file to file."""

FRAME_RATE = "imaging:frame rate"
BASINMAP = re.compile(r"basinmap\d+")


class InputFile:
    """An input while it is looked at; a context manager.

    Parameters
    ----------
    path : pathlib.Path
    notes : list of Problem
        Where to record what is left out.
    named : collection of str
        Features that the caller named: rows of theirs may be copied from basins.
    """

    def __init__(
        self,
        path: pathlib.Path,
        notes: list[Problem],
        named: Collection[str] = (),
    ) -> None:
        self.path = path
        self._notes = notes
        self._others: set[pathlib.Path] = set()
        self._policy = Policy.default()
        self._handle = open_file(path)
        self._handed_on = False
        self._plain: dict[str, DatasetID] = {}
        self._attributes: dict[str, Any] | None = None
        try:
            apply_policy(self._handle, self._policy)
            check_sources(self._handle, self._policy)
            self._referrer = MeasurementFile(self._handle, None, self._policy, [])
            self._own = self._referrer.events.look_at_all(SERIES)
            self._require_events()
            self._stored = {
                name for name, feature in self._own.items() if not feature.absent
            }
            self._basins = BasinFeatures(path, self._referrer, notes, named)
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
        self._basins.close()
        if not self._handed_on:
            self._handle.close()

    def hand_on(self) -> Opened:
        """Return the open file, and readers of images: who takes it closes it."""
        readers = {}
        with self._handle.using(), h5_lock:
            for path, found in self._plain.items():
                readers[path] = DatasetReader(self._handle, Dataset(found))
        self._handed_on = True
        return Opened(self._handle, readers)

    def _require_events(self) -> None:
        for problem in self._referrer.problems:
            if (problem.kind, problem.name) == ("feature", "/events"):
                raise FormatError(f"{self.path}: {problem}")

    def attributes(self) -> dict[str, Any]:
        """Return the metadata as h5py gives them; notes tell what is unreadable."""
        label = f"{self.path}: the attributes"
        with self._handle.using(), h5_lock, as_format_error(label, self._handle):
            try:
                names = list(self._handle.h5.attrs)
            except SystemError as exc:
                raise_cause(exc)
        found = read_attributes(self._handle, names, problems=self._notes)
        self._attributes = found
        return found

    def default_features(self) -> tuple[list[str], list[str]]:
        """Return the features to join; warn of those that cannot be.

        Returns
        -------
        required, optional : list of str
            Stored features, which all inputs must have; and traces and features of
            basins, which are joined if all have them.
        """
        required, optional = [], []
        for name, feature in self._own.items():
            if BASINMAP.fullmatch(name):
                continue  # it means nothing without its basin
            if name == "trace" and feature.refusal is None:
                optional.append(name)
            elif not is_utf8(name):
                optional.append(name)  # (and left out, which is told)
            elif feature.refusal is None and feature.shape is not None:
                if feature.odd_length is not None:
                    feature.check()
                required.append(name)
            else:
                self._ignore(name, feature.refusal)
        of_basins = sorted(self._basins.names())
        optional += [
            name
            for name in of_basins
            if name not in self._stored and not BASINMAP.fullmatch(name)
        ]
        return required, optional

    def _ignore(self, name: str, why: Exception | None = None) -> None:
        reason = "not implemented yet!" if why is None else str(why)
        note = Problem("feature", name, f"{self.path}: left out: {reason}")
        if not any((old.kind, old.name) == ("feature", name) for old in self._notes):
            warnings.warn(f"Ignoring {name}; {reason}", stacklevel=6)
            self._notes.append(note)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return which of the features are nowhere to be found."""
        return [
            name
            for name in sorted(names)
            if name not in self._stored and self._basins.find(name) is None
        ]

    def take(
        self,
        columns: Iterable[str],
        series: Mapping[str, bool],
        optional: Iterable[str],
    ) -> Input:
        """Return what this file gives for these features.

        Parameters
        ----------
        columns : iterable of str
            Features whose rows are joined.
        series : dict of str to bool
            Features that are computed from their values; whether basins are asked.
        optional : iterable of str
            Features that are joined if all inputs have them.

        Raises
        ------
        DCReadError
            If a feature that is not optional cannot be used.
        """
        pieces: dict[str, Piece] = {}
        for name in columns:
            pieces.update(self._pieces(name))
        values = {}
        for name, from_basins in series.items():
            found = self._values(name, from_basins=from_basins)
            if found is not None:
                values[name] = found
        shapes = {name: piece.shape for name, piece in pieces.items()}
        shapes |= {name: array.shape for name, array in values.items()}
        length = self._length(shapes)
        lacks: dict[str, str] = {}
        for name in optional:
            try:
                more = self._pieces(name)
                if length is None and more:
                    length = next(iter(more.values())).shape[0]
                for key, piece in more.items():
                    self._require_length(key, piece.shape[0], length)
            except DCReadError as exc:
                lacks[name] = text_of(exc)
            else:
                pieces.update(more)
        length = length or 0
        attributes = self._attributes
        if attributes is None:
            attributes = read_attributes(self._handle, (FRAME_RATE, *IDENTIFYING))
        others = sorted(self._others | self._basins.files)
        with self._handle.using(), h5_lock:
            own = describe(self._handle, length, identifier_from(attributes))
            root = self._handle.h5.id
            has_texts = has_member(root, "logs") or has_member(root, "tables")
        return Input(
            path=self.path,
            sources=[
                own,
                *(describe_file(path, self._policy) for path in others),
            ],
            length=length,
            pieces=pieces,
            series=values,
            lacks=lacks,
            frame_rate=attributes.get(FRAME_RATE),
            has_texts=has_texts,
        )

    def _pieces(self, name: str) -> dict[str, Piece]:
        if not is_utf8(name):
            raise self._not_utf8(name)
        if name not in self._stored:
            pieces = self._basins.pieces(name)
            if not pieces:
                self._ignore(name)
            return pieces
        feature = self._own[name]
        feature.check()
        if feature.shape is None or feature.dtype is None:
            if name == "trace":
                return self._traces()
            self._ignore(name)
            return {}
        path = f"events/{name}"
        if not feature.plain:
            self._note_virtual(name)
        elif feature.place is not None:
            self._plain[path] = feature.place.id
        shape = feature.shape
        return {name: Piece(self.path, path, shape, feature.dtype, shape[0])}

    def _traces(self) -> dict[str, Piece]:
        found = self._referrer.own("trace")
        group: Any = {} if found is None else found[0]
        pieces = {}
        for one in group:
            name = f"trace/{one}"
            try:
                if not is_utf8(name):
                    raise self._not_utf8(name)
                reader = group[one]
                self._note_virtual(name)
            except FormatError as exc:
                self._ignore(name, exc)
            else:
                path, shape = f"events/{name}", reader.shape
                pieces[name] = Piece(self.path, path, shape, reader.dtype, shape[0])
        return pieces

    def _note_virtual(self, name: str) -> None:
        """Note the files that an own virtual dataset depends on."""
        with self._handle.using(), h5_lock:
            place = self._handle.names.find(self._handle, f"events/{name}")
            self._others |= virtual_files(place.handle, Dataset(place.id))

    def _values(self, name: str, *, from_basins: bool) -> NDArray[Any] | None:
        """Return the values of a feature that is computed; None if there are none."""
        rows: Any = None
        obj: Any
        if name in self._stored:
            feature = self._own[name]
            feature.check()
            if feature.place is None:
                obj = self._referrer.own_feature(name)
            else:
                obj = reader_of(feature.place)
                feature.place = None
        else:
            found = self._basins.find(name) if from_basins else None
            if found is None:
                return None
            obj, rows = found
        reader = reader_for(obj if rows is None else _view(obj, rows))
        if len(reader.shape) != 1:
            raise FormatError(
                f"{self.path}: feature '{name}' has shape {reader.shape}, expected one "
                "number for each event"
            )
        return reader.read(slice(0, reader.shape[0], 1))

    def view(self, name: str) -> Any:
        """Return the rows of a feature from a basin, by its path in ``/events``."""
        feature, _, member = name.partition("/")
        found = self._basins.find(feature)
        if found is None:
            raise FeatureNotFoundError(f"{self.path}: feature '{feature}' is gone")
        obj, rows = found
        with h5_lock:
            return _view(obj[member] if member else obj, rows)

    def _not_utf8(self, name: str) -> FormatError:
        return FormatError(
            f"{self.path}: '{name}': expected a name in UTF-8, found other bytes, to "
            "which virtual datasets cannot refer; leave it out of `features`"
        )

    def _require_length(self, name: str, found: int, length: int | None) -> None:
        if found != length:
            raise ShapeMismatchError(
                f"{self.path}: '{name}' has {found} rows for {length} events"
            )

    def _length(self, shapes: dict[str, tuple[int, ...]]) -> int | None:
        if not shapes:
            return self._referrer.raw_length
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
