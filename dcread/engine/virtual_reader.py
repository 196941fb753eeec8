"""Virtual datasets: rows that lie in other datasets, read by the same engine.

HDF5 fills rows of a missing source with zeros and reads one source after another;
here a missing source is an error, and the chunks of all sources are decoded in
parallel. Mappings other than whole rows after whole rows are `Boxes`.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ClosedError, ShapeMismatchError
from .columns import Table
from .convert import converted
from .decode import execute
from .decode_job import Work
from .h5py_fallback import fill_value
from .read_plan import Rows, count_rows
from .vetting import literal, name_of, source_reader
from .virtual_boxes import Boxes

if TYPE_CHECKING:
    from .dataset_reader import DatasetReader

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
    """

    start: int
    stop: int
    file: str
    dataset: str
    first: int


class Virtual:
    """A virtual dataset as a list of segments."""

    def __init__(self, owner: DatasetReader, segments: list[Segment]) -> None:
        self.owner = owner
        self.segments = segments
        self._starts = [segment.start for segment in segments]
        self._stops = [segment.stop for segment in segments]
        self._readers: dict[tuple[str, str], DatasetReader] = {}

    @property
    def block_rows(self) -> int:
        """How many rows are decoded together in the first source."""
        return self.reader(self.segments[0]).block_rows if self.segments else 1

    @property
    def stops_early(self) -> bool:
        """Whether the first rows of a chunk of the first source cost less than all."""
        with contextlib.suppress(ClosedError):  # by who opened many sources meanwhile
            return bool(self.segments) and self.reader(self.segments[0]).stops_early
        return False

    def reader(self, segment: Segment) -> DatasetReader:
        """Return the reader of a segment's source, opening it if need be.

        Raises
        ------
        FormatError, FileMissingError, ShapeMismatchError
            If the source is not there, or is not what was concatenated.
        """
        key = segment.file, segment.dataset
        owner = self.owner
        length = segment.first + segment.stop - segment.start
        reader = self._readers.get(key)
        if (
            reader is not None
            and not reader.handle.closed
            and reader.shape[0] >= length
        ):
            return reader
        reader = source_reader(owner, *key)
        where, label = name_of(owner), reader.handle.label
        if reader.shape[1:] != owner.shape[1:] or len(reader.shape) < 1:
            raise ShapeMismatchError(
                f"{where}: expected rows of shape {owner.shape[1:]} in {label}, "
                f"found {reader.shape[1:]}; restore the source file"
            )
        if reader.shape[0] < length:
            raise ShapeMismatchError(
                f"{where}: expected at least {length} rows in {label}, found "
                f"{reader.shape[0]}; restore the source file"
            )
        self._readers[key] = reader
        return reader

    def stored_bytes(self, enough: float) -> int:
        """Return how many bytes the source files have, or at least `enough`."""
        total = 0
        for segment in self.segments:
            total += self.reader(segment).stored_bytes(enough)
            if total >= enough:
                break
        return total

    def collect(self, work: Work, rows: Rows, dest: slice | Table) -> None:
        """Collect the jobs of all segments (see `DatasetReader.collect`)."""
        out = work.out
        if isinstance(rows, slice):
            first, last = rows.start, rows.stop - 1
        else:
            first, last = int(rows.min()), int(rows.max())
        low = bisect.bisect_right(self._stops, first)
        high = bisect.bisect_right(self._starts, last)
        found = 0
        parts = []
        for segment in self.segments[low:high]:
            local, where = _select(segment, rows, dest)
            count = len(where) if not isinstance(where, slice) else _length(where)
            if count:
                parts.append((segment, local, where))
                found += count
        if found < count_rows(rows):
            out[dest] = self._fill_value(rows, parts)
        if len(parts) > AT_ONCE:
            self._read_by_groups(work, parts)
            return
        if isinstance(rows, slice) and high - low > 1:
            following = self.segments[high : 2 * high - low]
            work.ahead.append(functools.partial(self._open_ahead, following))
        for segment, local, where in parts:
            self._collect_from(segment, work, local, where)

    def _read_by_groups(
        self, work: Work, parts: list[tuple[Segment, Rows, slice | Table]]
    ) -> None:
        """Read from many sources, of which only some are open at once."""
        for start in range(0, len(parts), AT_ONCE):
            stop = start + AT_ONCE
            with contextlib.ExitStack() as stack:
                following = [segment for segment, *_ in parts[stop : stop + AT_ONCE]]
                ahead = functools.partial(self._open_ahead, following)
                group = Work(work.out, work.window, [], stack, [ahead])
                for segment, local, where in parts[start:stop]:
                    self._collect_from(segment, group, local, where)
                execute(group)

    def _fill_value(
        self, rows: Rows, parts: list[tuple[Segment, Rows, slice | Table]]
    ) -> Any:
        """Return the value of the rows that lie in no segment."""
        wanted = rows
        if isinstance(wanted, slice):
            # The first row that is in none: the segments are in order.
            gap = wanted.start
            for segment, _, _ in parts:
                if segment.start > gap:
                    break
                gap = segment.stop
        else:
            inside = np.zeros(len(wanted), bool)
            for segment, _, _ in parts:
                inside |= (wanted >= segment.start) & (wanted < segment.stop)
            gap = int(wanted[inside.argmin()])
        place = (gap, *(0 for _ in self.owner.shape[1:]))
        return fill_value(self.owner.h5ds, name_of(self.owner), place)

    def _collect_from(
        self, segment: Segment, work: Work, local: Rows, where: slice | Table
    ) -> None:
        """Collect the jobs of one segment, whose source stays open for the work."""
        while True:
            try:
                reader = self.reader(segment)
                work.stack.enter_context(reader.handle.using())
                if reader.dtype == work.out.dtype:
                    reader.collect(work, local, where)
                else:
                    found = reader.read(local, window=work.window)
                    label = f"{name_of(self.owner)} from {reader.filename}"
                    work.out[where] = converted(found, work.out.dtype, label)
            except ClosedError:
                # Others opened many sources meanwhile, so that this one was closed.
                if self.owner.handle.closed:
                    raise
            else:
                return

    def _open_ahead(self, segments: list[Segment]) -> None:
        """Open the sources that come next: that takes HDF5 as long as decoding some."""
        # Who reads from such a source tries again, and gets the error then.
        with contextlib.suppress(Exception):
            for segment in segments:
                self.reader(segment).layout  # noqa: B018


def _length(part: slice) -> int:
    return int(part.stop) - int(part.start)


def _select(
    segment: Segment, rows: Rows, dest: slice | Table
) -> tuple[Rows, slice | Table]:
    """Return the rows within a segment's source, and their rows of the output."""
    shift = segment.first - segment.start
    if isinstance(rows, slice):
        start, stop = max(rows.start, segment.start), min(rows.stop, segment.stop)
        local = slice(start + shift, stop + shift, 1)
        part = slice(start - rows.start, max(start, stop) - rows.start)
        if isinstance(dest, slice):
            return local, slice(part.start + dest.start, part.stop + dest.start)
        return np.arange(local.start, local.stop), dest[part]
    wanted = np.asarray(rows, np.int64)
    inside = np.flatnonzero((wanted >= segment.start) & (wanted < segment.stop))
    where = inside + dest.start if isinstance(dest, slice) else dest[inside]
    return wanted[inside] + shift, where


def resolve(owner: DatasetReader) -> Virtual | Boxes:
    """Describe a virtual dataset; the caller holds the h5py lock.

    Raises
    ------
    PolicyError
        If the names of sources follow a pattern.
    """
    shape, where = owner.shape, name_of(owner)
    segments = []
    for source in owner.h5ds.virtual_sources():
        names = literal(source.file_name, where), literal(source.dset_name, where)
        rows = _rows_of(source.vspace, shape)
        origin = _rows_of(source.src_space, None)
        if rows is None or origin is None:
            return Boxes(owner)
        (start, stop, sizes), (first, last, inner) = rows, origin
        if inner is not None and (inner != sizes or last - first != stop - start):
            return Boxes(owner)
        segments.append(Segment(start, stop, *names, first))
    segments.sort(key=lambda segment: segment.start)
    if any(after.start < before.stop for before, after in pairwise(segments)):
        return Boxes(owner)
    return Virtual(owner, segments)


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
