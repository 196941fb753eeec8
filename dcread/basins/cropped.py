"""Images that are stored cropped to their events (format ``h5datasetchop``).

dclab writes it: for each feature a group with the numbered datasets ``"0"``, ``"1"``,
... of small images, and ``index``: for each event the dataset, the row in it, the
offset (y, x) in the frame, and another event of the same frame, all of which make a
ring. The frame of an event is its own image, then those of the ring, each over the
other where it is not zero, and at last the background.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcread_ext.paste import paste

from ..engine import ReadCost, Rows, reader_for
from ..errors import BasinError, FormatError
from ..sync.locks import h5_lock
from .base import Array, Basin, Opened
from .context import BasinContext
from .hookspecs import hookimpl
from .internal import InternalBasin

FEATURES = ("image", "image_bg", "mask", "qpi_amp", "qpi_pha")
"""The features that can be stored this way."""

MAX_EVENTS_IN_FRAME = 1000
MAX_FRAME_BYTES = 1 << 28
_BLOCK_BYTES = 1 << 23
"""How many bytes of frames are put together at once: many share stored chunks."""

_DATASET, _ROW, _TOP, _LEFT, _OTHER = range(5)


class CroppedImagesBasin(InternalBasin):
    """The cropped images in ``/basin_events`` of the referrer itself."""

    format = "h5datasetchop"

    def open(self) -> Opened:
        """Return the features that are there."""
        listed = self.definition.features
        if listed is None:
            raise BasinError("'features' must be defined: which images are cropped?")
        if self.definition.mapping is not None:
            raise BasinError(
                f"cropped images belong to events one by one, found the mapping "
                f"'{self.definition.mapping}'"
            )
        wrong = sorted(set(listed).difference(FEATURES))
        if wrong:
            raise BasinError(
                f"'{wrong[0]}' cannot be stored cropped, only {', '.join(FEATURES)}"
            )
        group = self.context.group(self.location)
        with h5_lock:
            names = list(filter(functools.partial(group.get, getlink=True), listed))
        return Opened(CroppedFeatures(self.context, self.location, names))


class CroppedFeatures(Mapping[str, Array]):
    """The features of one group, looked at when they are asked for."""

    def __init__(self, context: BasinContext, location: str, names: list[str]) -> None:
        self._context = context
        self._location = location
        self._names = names

    def __getitem__(self, name: str) -> CroppedImages:
        if name not in self._names:
            raise KeyError(name)
        return CroppedImages(self._context, self._location, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class CroppedImages:
    """The frames of all events, put together when they are read.

    Parameters
    ----------
    context : BasinContext
        The referrer.
    location : str
        The group with the features.
    name : str
        Name of the feature.

    Attributes
    ----------
    shape : tuple of int
        Events, height, width.
    dtype : numpy.dtype
        Type of the pixels.
    chunks : tuple of int
        Frames that had better be asked for together.
    """

    def __init__(self, context: BasinContext, location: str, name: str) -> None:
        self._context = context
        self._name = name
        group = context.group(f"{location}/{name}")

        def dataset(member: str) -> Any:
            try:
                return context.array(group, member)
            except KeyError as exc:
                raise FormatError(f"the cropped '{name}' has no '{member}'") from exc

        index = dataset("index")
        if index.ndim != 2 or index.shape[1] != 5 or index.dtype.kind not in "iu":
            raise FormatError(
                f"the index of the cropped '{name}' should hold 5 integers per event, "
                f"found shape {index.shape}, {index.dtype}"
            )
        self._index: NDArray[np.int64] = index[:].astype(np.int64)
        with h5_lock:
            self._is_bool = bool(group.attrs.get("is_boolean", False))
            background = group.attrs.get("inverse_background_feature")
        if isinstance(background, bytes):
            background = background.decode("utf-8", "replace")
        self._background: str | None = None if background is None else str(background)
        if self._background == name:
            raise FormatError(f"the cropped '{name}' names itself as its background")
        self._datasets = {
            int(number): dataset(str(number))
            for number in np.unique(self._index[:, _DATASET])
        }
        self._pixel = self._pixel_type()
        self.dtype = np.dtype(bool) if self._is_bool else self._pixel
        sizes = [self._frame_size(axis) for axis in "yx"]
        self.shape = (len(self._index), *sizes)
        if math.prod(sizes) * self._pixel.itemsize > MAX_FRAME_BYTES:
            raise FormatError(f"frames of {sizes[0]} x {sizes[1]} pixels are too large")
        frame_bytes = math.prod(sizes) * self._pixel.itemsize
        self.chunks = (max(1, _BLOCK_BYTES // frame_bytes), *sizes)

    def _pixel_type(self) -> np.dtype[Any]:
        types = {found.dtype for found in self._datasets.values()}
        if not types:
            return np.dtype("u1")
        if len(types) > 1 or {found.ndim for found in self._datasets.values()} != {3}:
            raise FormatError(
                f"the cropped '{self._name}' should be stored as images of one type, "
                f"found {', '.join(sorted(map(str, types)))}"
            )
        pixel: np.dtype[Any] = types.pop().newbyteorder("=")
        if pixel.kind not in "iuf" or (pixel.kind == "f" and pixel.itemsize < 4):
            raise FormatError(
                f"the cropped '{self._name}' should hold numbers, found {pixel}"
            )
        return pixel

    def _frame_size(self, axis: str) -> int:
        key = f"imaging:roi size {axis}"
        try:
            size = int(self._context.meta(key))
        except (TypeError, ValueError, OverflowError):
            size = 0
        if not 0 < size <= 1 << 20:
            raise FormatError(
                f"the size of the frames of the cropped '{self._name}' should stand in "
                f"the attribute '{key}', found {self._context.meta(key)!r:.40}"
            )
        return size

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Return the frames of events that follow one another."""
        return self.read_rows(np.arange(*rows.indices(len(self._index))))

    def read_rows(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the frames of some events."""
        frames = np.empty((len(rows), *self.shape[1:]), self._pixel)
        pieces, table = self._pieces(rows)
        kernel = f"u{self._pixel.itemsize}" if self._pixel.kind == "i" else self._pixel
        paste(pieces.view(kernel), table, frames.view(kernel))
        if self._is_bool:
            found: NDArray[Any] = frames != 0
            return found
        if self._background is not None and len(rows):
            np.add(frames, self._behind(rows), out=frames, casting="same_kind")
        return frames

    def read_cost(self, rows: NDArray[np.int64]) -> tuple[int | None, int | None]:
        """Return how many reads of the file, and bytes of it, some frames take."""
        needed = np.unique(self._rings(rows)[1])
        index = self._index[needed]
        self._check(needed, index)
        total = ReadCost(0, 0)
        for number, images in self._datasets.items():
            picked = np.unique(index[index[:, _DATASET] == number, _ROW])
            if len(picked):
                total += images.reader.read_cost(Rows.of(picked))
        if self._background is not None:
            behind = reader_for(self._backgrounds)
            total += behind.read_cost(Rows.of(rows))
        return total.requests, total.nbytes

    def _behind(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the background of some events."""
        assert self._background is not None
        images = self._backgrounds
        if images.shape != self.shape:
            raise FormatError(
                f"'{self._background}' should have shape {self.shape} to be the "
                f"background of the cropped '{self._name}', found {images.shape}"
            )
        first, last = int(rows[0]), int(rows[-1])
        side_by_side = last - first == len(rows) - 1
        behind: NDArray[Any] = images[slice(first, last + 1) if side_by_side else rows]
        return behind

    @functools.cached_property
    def _backgrounds(self) -> Any:
        return self._context.feature(str(self._background))

    def _pieces(
        self, rows: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the small images that are needed, and where they go (see `paste`)."""
        frames, events = self._rings(rows)
        needed, places = np.unique(events, return_inverse=True)
        index = self._index[needed]
        self._check(needed, index)
        start = np.zeros(len(needed), np.int64)
        size = np.zeros((len(needed), 2), np.int64)
        parts, used = [], 0
        for number, images in self._datasets.items():
            mine = np.flatnonzero(index[:, _DATASET] == number)
            if not len(mine):
                continue
            height, width = images.shape[1:]
            picked, which = np.unique(index[mine, _ROW], return_inverse=True)
            parts.append(images[picked].astype(self._pixel, copy=False).reshape(-1))
            start[mine] = used + which * (height * width)
            size[mine] = height, width
            used += len(picked) * height * width
        pieces = np.concatenate(parts) if parts else np.empty(0, self._pixel)
        table = np.empty((len(events), 7), np.int64)
        table[:, 0] = start[places]
        table[:, 1:3] = size[places]
        table[:, 3:5] = index[places, _TOP : _LEFT + 1]
        table[:, 5] = frames
        table[:, 6] = np.arange(len(events)) < len(rows)
        return pieces, table

    def _rings(
        self, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which events lie in which frame: the asked ones, then their rings."""
        frame = np.arange(len(rows))
        frames, events = [frame], [rows]
        count, event = len(self._index), rows
        for _ in range(MAX_EVENTS_IN_FRAME):
            event = self._index[event, _OTHER]
            outside = (event < 0) | (event >= count)
            if outside.any():
                at = int(outside.argmax())
                raise FormatError(
                    f"the frame of event {rows[frame[at]]} of the cropped "
                    f"'{self._name}' leads to event {event[at]} of {count}"
                )
            on = event != rows[frame]
            frame, event = frame[on], event[on]
            if not len(frame):
                return np.concatenate(frames), np.concatenate(events)
            frames.append(frame)
            events.append(event)
        raise FormatError(
            f"the frame of event {rows[frame[0]]} of the cropped '{self._name}' leads "
            f"through more than {MAX_EVENTS_IN_FRAME} events and not back"
        )

    def _check(self, events: NDArray[np.int64], index: NDArray[np.int64]) -> None:
        """Raise FormatError if the image of an event cannot be where it should."""
        counts = {number: found.shape[0] for number, found in self._datasets.items()}
        count = np.array([counts[number] for number in index[:, _DATASET].tolist()])
        limits: dict[int, Any] = {
            _ROW: count - 1,
            _TOP: self.shape[1],
            _LEFT: self.shape[2],
        }
        for column, last in limits.items():
            wrong = (index[:, column] < 0) | (index[:, column] > last)
            if wrong.any():
                at = int(wrong.argmax())
                what = {_ROW: "row", _TOP: "offset y", _LEFT: "offset x"}[column]
                raise FormatError(
                    f"the cropped '{self._name}' of event {events[at]} should lie in "
                    f"its dataset and frame, found {what} {index[at, column]}"
                )


@hookimpl
def dcread_register_basins() -> type[Basin]:
    """Offer the format ``h5datasetchop``."""
    return CroppedImagesBasin
