"""Virtual datasets: rows that lie in other datasets, read by the same engine.

HDF5 fills rows of a missing source with zeros and reads one source after another;
here a missing source is an error, and the chunks of all sources are decoded in
parallel. Mappings other than whole rows after whole rows are `Boxes`.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ClosedError, DCReadError, FormatError, ShapeMismatchError
from ..sync.locks import h5_lock
from .convert import converted
from .dataset_reader import DatasetReader, Dest
from .decode import execute
from .decode_job import Work
from .file_handle import FileHandle
from .h5py_errors import telling_of
from .h5py_fallback import fill_value
from .rows import Rows
from .storage import ReadCost, Storage
from .virtual_boxes import Boxes, Source, literal, sources_of

MAX_DEPTH = 8
"""Virtual datasets of virtual datasets that are followed."""

AT_ONCE = 32
"""Sources that one read keeps open at once, besides those that the file keeps."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows ``start:stop`` of a virtual dataset, and where they are.

    Attributes
    ----------
    start, stop : int
        Rows of the virtual dataset.
    file, dataset : str
        As stored; ``"."`` is the same file.
    first : int
        Row of the source that is row `start` here.
    corner : bool
        Whether rows of the source may be larger: the first elements along each axis are
        those of the rows here.
    """

    start: int
    stop: int
    file: str
    dataset: str
    first: int
    corner: bool


class VirtualReader(DatasetReader):
    """Rows of a virtual dataset.

    Parameters
    ----------
    handle : FileHandle
        The open file.
    h5ds : h5py.Dataset
        The dataset as h5py sees it.
    open_dataset : callable
        Returns the reader of a dataset in an open file, by its name.
    """

    def __init__(
        self,
        handle: FileHandle,
        h5ds: Any,
        open_dataset: Callable[[FileHandle, str], DatasetReader],
    ) -> None:
        super().__init__(handle, h5ds)
        self.where = f"{self.filename}: virtual dataset '{self.name}'"
        self._open_dataset = open_dataset
        self._readers: dict[tuple[str, str], DatasetReader] = {}
        self._mapping: list[Segment] | Boxes | None = None

    @property
    def mapping(self) -> list[Segment] | Boxes:
        """Where the rows lie: segments in order, or else boxes."""
        if self._mapping is None:
            with self.handle.using(), h5_lock:
                if self._mapping is None:
                    self._mapping = self.handle.fetching(self._describe_mapping)
        return self._mapping

    def _describe_mapping(self) -> list[Segment] | Boxes:
        with telling_of(self.where, self.h5ds):
            segments = _segments(sources_of(self._plist), self.shape, self.where)
            if segments is not None:
                return segments
            return Boxes(self, sources_of(self._plist))

    @property
    def block_rows(self) -> int:  # type: ignore[override]
        """How many rows are decoded together in the first source."""
        with contextlib.suppress(DCReadError):
            if isinstance(self.mapping, list) and self.mapping:
                return self.reader(self.mapping[0]).block_rows
        return 1

    @property
    def stops_early(self) -> bool:  # type: ignore[override]
        """Whether the first rows of a chunk of the first source cost less than all."""
        with contextlib.suppress(ClosedError):  # by who opened many sources meanwhile
            if isinstance(self.mapping, list) and self.mapping:
                return self.reader(self.mapping[0]).stops_early
        return False

    def prepare(self) -> None:
        """Find out where the rows lie."""
        self.mapping  # noqa: B018

    def source_of(self, file: str, dataset: str) -> DatasetReader:
        """Return the reader of a source.

        Raises
        ------
        PolicyError, FileMissingError, NotAFileError, FormatError
            If it is not allowed, not there, or nested too deep.
        """
        reader = self._readers.get((file, dataset))
        if reader is not None and not reader.closed:
            return reader
        linked = self.handle.linked_files
        found: DatasetReader | None = linked.adopted(file, dataset)
        if found is None:
            handle = linked.get(file, self.where)
            try:
                found = self._open_dataset(handle, dataset)
            except KeyError as exc:
                raise FormatError(
                    f"{self.where}: expected a dataset '{dataset}' in {handle.label}, "
                    "found none; restore the source file"
                ) from exc
        found.depth = self.depth + 1
        if found.depth > MAX_DEPTH:
            raise FormatError(
                f"{self.where}: virtual datasets nested more than {MAX_DEPTH} times"
            )
        self._readers[file, dataset] = found
        return found

    def reader(self, segment: Segment) -> DatasetReader:
        """Return the reader of a segment's source.

        Raises
        ------
        FormatError, FileMissingError, ShapeMismatchError
            If the source is not there, or is not what was concatenated.
        """
        reader = self.source_of(segment.file, segment.dataset)
        length = segment.first + segment.stop - segment.start
        found, expected = reader.shape[1:], self.shape[1:]
        fits = found == expected or (
            segment.corner
            and len(found) == len(expected)
            and all(map(operator.ge, found, expected))
        )
        if not fits or not reader.shape:
            raise ShapeMismatchError(
                f"{self.where}: expected rows of shape {expected} in "
                f"{reader.filename}, found {found}; restore the source file"
            )
        if reader.shape[0] < length:
            raise ShapeMismatchError(
                f"{self.where}: expected at least {length} rows in {reader.filename}, "
                f"found {reader.shape[0]}; restore the source file"
            )
        return reader

    def stored_bytes(self, enough: float) -> int:
        """Return how many bytes the source files have, or at least `enough`."""
        total, mapping = 0, self.mapping
        if isinstance(mapping, Boxes):
            names = mapping.names
        else:
            names = [(one.file, one.dataset) for one in mapping]
        for name in names:
            total += self.source_of(*name).stored_bytes(enough)
            if total >= enough:
                break
        return total

    def read_cost(self, rows: Rows) -> ReadCost:
        """Return what reading whole rows takes: see `RowReader.read_cost`."""
        if isinstance(self.mapping, Boxes):
            return ReadCost(None, None)
        total = ReadCost(0, 0)
        for segment in self.mapping:
            local, _ = _select(segment, rows, slice(0, len(rows)))
            if len(local):
                total += self._cost_of(segment, local)
        return total

    def _cost_of(self, segment: Segment, local: Rows) -> ReadCost:
        while True:
            try:
                return self.reader(segment).read_cost(local)
            except ClosedError:  # (see `_collect_from`)
                if self.handle.closed:
                    raise

    def storage(self) -> Storage:
        """Return how the rows are stored; chunks and filters of the first source."""
        mapping = self.mapping
        first = None
        if isinstance(mapping, list) and mapping:
            first = self.reader(mapping[0]).storage()
        chunks, filters = (None, ()) if first is None else (first.chunks, first.filters)
        return Storage("virtual", self.shape, self.dtype, chunks, filters)

    def collect(self, work: Work, rows: Rows, dest: Dest) -> None:
        """Collect the jobs of all segments (see `DatasetReader.collect`)."""
        if isinstance(self.mapping, Boxes):
            self.mapping.read(work, rows, dest, self.source_of)
            return
        segments = self.mapping
        first, last = rows.bounds
        low = bisect.bisect_right(segments, first, key=lambda one: one.stop)
        high = bisect.bisect_right(segments, last, key=lambda one: one.start)
        found = [(one, *_select(one, rows, dest)) for one in segments[low:high]]
        parts = [part for part in found if len(part[1])]
        if sum(len(local) for _, local, _ in parts) < len(rows):
            work.out[dest] = self._fill_value(rows, [one for one, _, _ in parts])
        if len(parts) > AT_ONCE:
            self._read_by_groups(work, parts)
            return
        if rows.straight and high - low > 1:
            following = segments[high : 2 * high - low]
            work.ahead.append(functools.partial(self._open_ahead, following))
        for part in parts:
            self._collect_from(*part, work)

    def _read_by_groups(
        self, work: Work, parts: list[tuple[Segment, Rows, Dest]]
    ) -> None:
        """Read from many sources, of which only some are open at once."""
        for start in range(0, len(parts), AT_ONCE):
            stop = start + AT_ONCE
            with contextlib.ExitStack() as stack:
                following = [segment for segment, *_ in parts[stop : stop + AT_ONCE]]
                ahead = functools.partial(self._open_ahead, following)
                group = Work(work.out, work.window, [], stack, [ahead])
                for part in parts[start:stop]:
                    self._collect_from(*part, group)
                execute(group)

    def _fill_value(self, rows: Rows, segments: list[Segment]) -> Any:
        """Return the value of the rows that lie in no segment."""
        numbers = rows.numbers
        outside = np.ones(len(numbers), bool)
        for segment in segments:
            outside &= (numbers < segment.start) | (numbers >= segment.stop)
        row = int(numbers[outside.argmax()])
        place = (row, *(0 for _ in self.shape[1:]))
        return self.handle.fetching(fill_value, self.h5ds, self.where, place)

    def _collect_from(
        self, segment: Segment, local: Rows, where: Dest, work: Work
    ) -> None:
        """Collect the jobs of one segment, whose source stays open for the work."""
        while True:
            try:
                reader = self.reader(segment)
                work.stack.enter_context(reader.handle.using())
                window = work.window
                if window is None and reader.shape[1:] != self.shape[1:]:
                    window = tuple(slice(0, length) for length in self.shape[1:])
                if reader.dtype == work.out.dtype and window == work.window:
                    reader.collect(work, local, where)
                else:
                    found = reader.read(local, window=window)
                    label = f"{self.where} from {reader.filename}"
                    work.out[where] = converted(found, work.out.dtype, label)
            except ClosedError:
                # Others opened many sources meanwhile, so that this one was closed.
                if self.handle.closed:
                    raise
            else:
                return

    def _open_ahead(self, segments: list[Segment]) -> None:
        """Open the sources that come next: that takes HDF5 as long as decoding some."""
        # Who reads from such a source tries again, and gets the error then.
        with contextlib.suppress(Exception):
            for segment in segments:
                self.reader(segment).prepare()


def _select(segment: Segment, rows: Rows, dest: Dest) -> tuple[Rows, Dest]:
    """Return the rows within a segment's source, and their rows of the output."""
    shift = segment.first - segment.start
    if rows.straight:
        first, last = rows.bounds
        start, stop = max(first, segment.start), min(last + 1, segment.stop)
        local = Rows(range(start + shift, max(start, stop) + shift))
        part = slice(start - first, max(start, stop) - first)
        if isinstance(dest, slice):
            return local, slice(part.start + dest.start, part.stop + dest.start)
        return Rows(local.numbers), dest[part]
    wanted = rows.numbers
    inside = np.flatnonzero((wanted >= segment.start) & (wanted < segment.stop))
    where = inside + dest.start if isinstance(dest, slice) else dest[inside]
    return Rows(wanted[inside] + shift), where


def _segments(
    sources: Iterable[Source], shape: tuple[int, ...], where: str
) -> list[Segment] | None:
    """Return the sources as segments in order; None if they are something else.

    Raises
    ------
    PolicyError
        If the names of sources follow a pattern.
    """
    segments = []
    for source in sources:
        names = literal(source.file, where), literal(source.dataset, where)
        rows = _rows_of(source.space, shape)
        origin = _rows_of(source.origin, None)
        if rows is None or origin is None:
            return None
        (start, stop, sizes), (first, last, inner) = rows, origin
        if inner is not None and (inner != sizes or last - first != stop - start):
            return None
        segments.append(Segment(start, stop, *names, first, inner is not None))
    segments.sort(key=lambda segment: segment.start)
    if any(after.start < before.stop for before, after in pairwise(segments)):
        return None
    return segments


def _rows_of(
    space: Any, shape: tuple[int, ...] | None
) -> tuple[int, int, tuple[int, ...] | None] | None:
    """Return first row, last one and shape of a selection of whole rows, if it is one.

    Parameters
    ----------
    space : h5py.h5s.SpaceID
        The selection.
    shape : tuple of int or None
        Of the dataset; None: unknown, so that the rows are whole if they begin at 0
        (a selection of everything then has no shape).
    """
    from h5py import h5s

    kind = space.get_select_type()
    if kind == h5s.SEL_ALL:
        return (0, 0, None) if shape is None else (0, shape[0], shape[1:])
    if kind != h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return None
    parts = list(zip(*space.get_regular_hyperslab(), strict=True))
    if any(n >= 2**63 for _, _, *counts in parts for n in counts):  # without end
        return None
    if any(count > 1 and stride != block for _, stride, count, block in parts):
        return None
    sizes = tuple(int(count * block) for _, _, count, block in parts)
    starts = [int(start) for start, *_ in parts]
    if any(starts[1:]) or (shape is not None and sizes[1:] != shape[1:]):
        return None
    return starts[0], starts[0] + sizes[0], sizes[1:]
