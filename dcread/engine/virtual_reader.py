"""Virtual datasets: rows that lie in other datasets, read by the same engine.

HDF5 fills rows of a missing source with zeros and reads one source after another;
here a missing source is an error, and the chunks of all sources are decoded in
parallel. Mappings other than whole rows after rows are left to h5py.
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
from .layout import LeftToH5py, fill_value
from .read_plan import Rows
from .vetting import name_of, source_reader

if TYPE_CHECKING:
    from .dataset_reader import DatasetReader
    from .decode_job import Work


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
        reader = self._readers.get(key)
        if reader is not None and not reader.handle.closed:
            return reader
        owner = self.owner
        reader = source_reader(owner, *key)
        where, label = name_of(owner), reader.handle.label
        length = segment.first + segment.stop - segment.start
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
        if found < (len(rows) if not isinstance(rows, slice) else _length(rows)):
            out[dest] = fill_value(self.owner.h5ds)
        if isinstance(rows, slice) and high - low > 1:
            following = self.segments[high : 2 * high - low]
            work.ahead.append(functools.partial(self._open_ahead, following))
        for segment, local, where in parts:
            self._collect_from(segment, work, local, where)

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
                else:  # HDF5 converts between types; so does NumPy
                    work.out[where] = reader.read(local, window=work.window)
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


def resolve(owner: DatasetReader) -> Virtual:
    """Describe a virtual dataset; the caller holds the h5py lock.

    Raises
    ------
    LeftToH5py
        If the mapping is not whole rows after whole rows.
    """
    shape = owner.shape
    segments = []
    for source in owner.h5ds.virtual_sources():
        start, size = _box(source.vspace)
        if size is None or start is None:
            raise LeftToH5py("a virtual dataset that grows")
        first = 0
        origin, extent = _box(source.src_space)
        if extent is not None and origin is not None:
            first = origin[0]
            if extent != size or any(origin[1:]):
                raise LeftToH5py("a virtual dataset of other shapes than its sources")
        if not shape or any(start[1:]) or size[1:] != shape[1:]:
            raise LeftToH5py("a virtual dataset of parts of rows")
        names = _literal(source.file_name), _literal(source.dset_name)
        segments.append(Segment(start[0], start[0] + size[0], *names, first))
    segments.sort(key=lambda segment: segment.start)
    for before, after in pairwise(segments):
        if after.start < before.stop:
            raise LeftToH5py("a virtual dataset whose sources overlap")
    return Virtual(owner, segments)


def _literal(name: str) -> str:
    """Return the name of a source, where a doubled percent sign stands for one."""
    if "%" in name.replace("%%", ""):
        raise LeftToH5py("a virtual dataset whose sources follow a pattern")
    return name.replace("%%", "%")


def _box(space: Any) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """Return origin and size of a selection; both None if it selects everything."""
    import h5py

    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        return None, None
    if kind != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        raise LeftToH5py("a virtual dataset of irregular selections")
    start, stride, count, block = space.get_regular_hyperslab()
    unlimited = h5py.h5s.UNLIMITED
    if unlimited in (*count, *block) or any(n >= 2**63 for n in (*count, *block)):
        raise LeftToH5py("a virtual dataset that grows")
    if any(n > 1 and s != b for n, s, b in zip(count, stride, block, strict=True)):
        raise LeftToH5py("a virtual dataset with gaps")
    size = tuple(int(n * b) for n, b in zip(count, block, strict=True))
    return tuple(int(s) for s in start), size
