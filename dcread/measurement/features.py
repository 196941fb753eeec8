"""Which dataset serves this feature? Own ones first, then the basins in order."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arrays.dataset_view import FeatureView
from ..arrays.mapped_dataset import (
    MappedHDF5Dataset,
    get_mapped_object,
    mapped_rows,
)
from ..arrays.scalar_array import ScalarArray
from ..arrays.trace_contour import Contours, Traces
from ..basins.refusals import refusal_of
from ..basins.reports import features_of, reasons_of
from ..const import IMAGE_FEATURES
from ..engine import RowReader, Rows, most_bytes, reader_for
from ..engine.row_reader import SMALL
from ..errors import (
    BasinError,
    ClosedError,
    DCReadError,
    FeatureNotFoundError,
    FormatError,
    ShapeMismatchError,
)
from ..images.corrected_cache import ImageCorrCache
from ..images.image_cache import HDF5ImageCache
from ..problems import (
    UNREADABLE,
    as_format_error,
    as_name,
    near_and_first,
    raise_format_error,
    warn_caller,
)
from ..sync.loading_cache import LoadingCache
from ..sync.locks import h5_lock
from .explanation import Explanation, explain, is_about_all
from .feature_info import feature_info

if TYPE_CHECKING:
    from ..file.event_dataset import EventDataset
    from ..file.measurement_file import MeasurementFile
    from .basins import MeasurementBasins

T = TypeVar("T")


class FeatureStore:
    """The features of one measurement, each found, opened and cached once.

    Parameters
    ----------
    referrer : MeasurementFile
        The open file.
    basins : MeasurementBasins
        Asked when the file itself does not have a feature.
    image_chunk_size, image_cache_size : int
        Images in a chunk of an image cache, and chunks in the cache; may be set.
    """

    def __init__(
        self,
        referrer: MeasurementFile,
        basins: MeasurementBasins,
        image_chunk_size: int,
        image_cache_size: int,
    ) -> None:
        self._referrer = referrer
        self._basins = basins
        self.image_chunk_size = image_chunk_size
        self.image_cache_size = image_cache_size
        self._once = LoadingCache()
        self._image_caches: dict[str, HDF5ImageCache] = {}
        self._scalar_bytes: dict[str, int] = {}  # that are held, by file
        self._names: tuple[int, list[str]] | None = None

    def names(self) -> list[str]:
        """Return the sorted names of the features.

        Those of the file that cannot be used are among them: asking for one tells
        why, where leaving it out would hide it.
        """
        # No lock: while one thread waits for a basin that hangs, others go on.
        basins = self._basins.current
        version = basins.version
        known = self._names
        if known is None or known[0] != version:
            found = {*self._referrer.events.names, *features_of(basins)}
            known = self._names = (version, sorted(found))
        return known[1]

    def scalar_names(self) -> list[str]:
        """Return the sorted names of the features with one number per event."""
        return self._once.get(
            "scalar names", lambda: [n for n in self.names() if self._is_scalar(n)]
        )

    def _is_scalar(self, name: str) -> bool:
        """Tell it by the shape in the file, by the name, or by the shape in a basin."""
        feature = self._referrer.events.get(name)
        if feature is not None and feature.shape is not None:
            return len(feature.shape) == 1
        try:
            return feature_info(name).kind == "scalar"
        except FeatureNotFoundError:
            found = self._basins.current.find(name)
            return found is not None and len(getattr(found[0], "shape", ())) == 1

    def get(self, name: str) -> Any:
        """Return a feature: see ``HDF5Data.__getitem__``."""
        if name in IMAGE_FEATURES:
            cache = self.image_cache(name)
            if cache is None:
                raise self._not_found(name)
            return cache
        make = functools.partial(self._made, name, self._open)
        return self._once.get(("feature", name), make)

    def image_cache(self, name: str) -> HDF5ImageCache | None:
        """Return the image cache of a feature; None if there is no such feature."""
        caches = self._image_caches  # (`clear` puts another one in its place)
        found = caches.get(name)
        if found is None:  # (one that is there says itself that its file is closed)
            self._referrer.handle.raise_if_closed()
            found = self._made(name, self._open_image)
            if found is not None:  # (else a basin may have it later)
                # Opening reads no image: threads do it at once, and agree on one.
                found = caches.setdefault(name, found)
        return found

    def _made(self, name: str, make: Callable[[str], T]) -> T:
        try:
            return make(name)
        except UNREADABLE as exc:
            handle = self._referrer.handle
            raise_format_error(exc, f"{handle.label}: feature '{name}'", handle)
            raise

    def image_corr(self) -> ImageCorrCache | None:
        """Return the background-corrected images; None if there are none."""
        found = self._once.get("image_corr", self._open_image_corr)
        if found is None:
            self._once.drop("image_corr")
        return found

    def _open_image_corr(self) -> ImageCorrCache | None:
        image, background = self.image_cache("image"), self.image_cache("image_bg")
        if image is None or background is None:
            return None
        return ImageCorrCache(image, background)

    def _open_image(self, name: str) -> HDF5ImageCache | None:
        found = self._referrer.own(name) or self._basins.current.find(name)
        if found is None:
            return None
        return HDF5ImageCache(
            self._images(name, *found),
            chunk_size=self.image_chunk_size,
            cache_size=self.image_cache_size,
            boolean=name == "mask",
        )

    def _images(self, name: str, obj: Any, mapping: Any) -> Any:
        view = self._view(name, obj, mapping)
        if len(view.shape) < 3:
            raise ShapeMismatchError(
                f"{self._referrer.handle.label}: feature '{name}' has shape "
                f"{view.shape}, expected images (events, height, width)"
            )
        return view

    def explain(self, name: str) -> Explanation:
        """Return where a feature comes from: see ``HDF5Data.explain``."""

        def look(name: str) -> tuple[Any, Any]:
            obj, mapping = self._found(name)
            if _is_group(obj) and name not in IMAGE_FEATURES:
                return self._open_group(name, obj, mapping), obj
            view = self._images if name in IMAGE_FEATURES else self._view
            return view(name, obj, mapping), obj

        return explain(name, self._referrer, self._basins.current, look)

    def view(self, name: str) -> Any:
        """Return a feature that is read when it is indexed: see ``HDF5Data.view``."""
        if name in IMAGE_FEATURES:
            return self.get(name)
        return self._made(name, self._open_view)

    def _open_view(self, name: str) -> Any:
        obj, mapping = self._found(name)
        if _is_group(obj):
            return self._open_group(name, obj, mapping)
        return self._view(name, obj, mapping)

    def _open(self, name: str) -> Any:
        obj, mapping = self._found(name)
        if _is_group(obj):
            return self._open_group(name, obj, mapping)
        reader = reader_for(obj)
        if len(reader.shape) == 1:
            return self._read_scalar(reader, mapping)
        view = self._view(
            name, obj if isinstance(obj, FeatureView) else reader, mapping
        )
        if self._referrer.events.get(name) is not None:
            warn_caller(f"Feature {name} not cached (possibly slow)")
        return view

    def _read_scalar(self, reader: RowReader, mapping: Any) -> ScalarArray:
        """Return all values; those of all names together must be in the file, too."""
        if mapping is None:
            rows = Rows(range(reader.shape[0]))
        else:
            rows = Rows.of(mapped_rows(reader, mapping))
        file, nbytes = reader.filename, len(rows.index) * reader.dtype.itemsize
        total = self._scalar_bytes.get(file, 0) + nbytes
        if total > SMALL:
            try:
                reader.check_room(total)
            except FormatError as exc:
                raise FormatError(
                    f"{file}: '{reader.name}' and the scalar features that were read "
                    f"before claim {total} bytes, far more than the file can hold; "
                    "take rows of `HDF5Data.view`"
                ) from exc
        array = ScalarArray.share(reader.read(rows))
        self._scalar_bytes[file] = self._scalar_bytes.get(file, 0) + nbytes
        return array

    def _found(self, name: str) -> tuple[Any, Any]:
        """Return a dataset-like object or group, and the rows to take of it."""
        found = self._referrer.own(name) or self._basins.current.find(name)
        if found is None:
            raise self._not_found(name)
        return found

    def _view(self, name: str, obj: Any, mapping: Any) -> Any:
        view = obj
        if not isinstance(obj, FeatureView):
            if not isinstance(obj, RowReader) and _is_group(obj):
                raise FormatError(
                    f"{self._referrer.handle.label}: feature '{name}' is a group, "
                    "expected one dataset"
                )
            view = FeatureView(obj)
        return view if mapping is None else get_mapped_object(view, mapping)

    def _open_group(self, name: str, group: Any, mapping: Any) -> Traces | Contours:
        label = f"{self._referrer.handle.label}: '{name}'"
        if name == "trace":
            names, length = _names(group, label), self._referrer.raw_length
            open_one = functools.partial(_trace, group, mapping, length, label)
            return Traces(names, open_one, label)
        if name == "contour":
            rows = None if mapping is None else np.asarray(mapping)
            length = self._referrer.raw_length if rows is None else len(rows)
            length = len(group) if length is None else length
            stored = getattr(getattr(group, "handle", None), "size", None)
            return Contours(
                length,
                lambda row: _contour(group, row, label),
                rows,
                label,
                math.inf if stored is None else most_bytes(stored),
            )
        raise FormatError(f"{label} is a group, expected one dataset")

    def _not_found(self, name: str) -> DCReadError:
        label = self._referrer.handle.label
        if self._referrer.handle.closed:
            return ClosedError(f"{label} is closed; open it again to read '{name}'")
        basins = self._basins.current
        refusal = refusal_of(basins, name)
        if refusal is not None:
            return BasinError(f"{label}: feature '{name}': {refusal}")
        feature = self._referrer.events.get(name)
        reasons = [] if feature is None else [str(feature.refusal)]
        reasons += map(str, filter(is_about_all, self._referrer.problems))
        reasons += reasons_of(basins, name)
        why = "; ".join(reasons)
        if not why:
            names = self.names()
            why = f"{near_and_first(name, names)}; keys() lists all {len(names)}"
        return FeatureNotFoundError(
            f"Feature '{name}' not found in {label}: it is not stored here; {why}"
        )

    def clear(self) -> None:
        """Close the image caches and forget everything."""
        self._names = None
        self._scalar_bytes = {}
        caches, self._image_caches = self._image_caches, {}
        for value in (*self._once.clear(), *caches.values()):
            close = getattr(value, "close", None)
            if close is not None:
                close()


def aligned_chunk_size(image: EventDataset | None, wanted: int) -> int:
    """Return the number of images in a cache chunk.

    Parameters
    ----------
    image : EventDataset or None
        The file's own images, mapped or not; images in a basin, and contiguous ones,
        have no say.
    wanted : int
        How many there should be at the most.

    Returns
    -------
    int
        A multiple of the images in an HDF5 chunk, not above `wanted`; one such
        chunk if that is larger.
    """
    if image is None or not image.chunks:
        return wanted
    return max(wanted // image.chunks[0], 1) * image.chunks[0]


def _is_group(obj: Any) -> bool:
    return isinstance(obj, Mapping) or not hasattr(obj, "shape")


def _names(group: Any, label: str) -> list[str]:
    with _open_group_lock(group, label):
        return sorted(map(as_name, group))


def _member(group: Any, name: str, label: str) -> Any:
    with _open_group_lock(group, label):
        return group[name]


@contextlib.contextmanager
def _open_group_lock(group: Any, label: str) -> Iterator[None]:
    """Take the h5py lock for a group that a basin gave, if it is h5py's."""
    identifier = getattr(group, "id", None)
    if identifier is None:
        yield
        return
    with h5_lock:
        if not identifier.valid:
            raise ClosedError(f"{label} is closed; open the measurement again")
        yield


# Functions, since what a trace or contour holds must not lead back to its holder.
def _trace(
    group: Any, mapping: Any, length: int | None, label: str, name: str
) -> FeatureView | MappedHDF5Dataset:
    with as_format_error(f"{label}: trace '{name}'"):
        reader = reader_for(_member(group, name, label))
    rows, expected = reader.shape[0], length
    if mapping is not None:
        needed = int(np.max(mapping)) + 1 if len(mapping) else 0
        expected = max(rows, needed)
    if expected not in (None, rows):
        raise ShapeMismatchError(
            f"{label}: trace '{name}' has {rows} events, expected {expected}"
        )
    view: FeatureView | MappedHDF5Dataset
    try:
        view = get_mapped_object(FeatureView(reader), mapping)
    except IndexError as exc:
        raise ShapeMismatchError(
            f"{label}: trace '{name}' has {reader.shape[0]} events, which are too few: "
            f"{exc}"
        ) from exc
    return view


def _contour(group: Any, row: int, label: str) -> NDArray[Any]:
    with as_format_error(f"{label}: the contour for event {row} of the file"):
        try:
            found = _member(group, str(row), label)
        except KeyError as exc:
            raise FormatError(
                f"{label} has no contour for event {row} of the file; the rest can be "
                "read"
            ) from exc
        reader = reader_for(found)
        if len(reader.shape) != 2 or reader.shape[1] != 2:
            raise FormatError(
                f"{label}: the contour for event {row} of the file has shape "
                f"{reader.shape}, expected (points, 2); the rest can be read"
            )
        return reader.read(slice(0, reader.shape[0], 1))
