"""Reading every chunk of every dataset in a file, whether a feature or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..engine import DatasetReader
from ..errors import ClosedError, FileChangedError
from ..problems import UNREADABLE, Problem, pass_on, text_of
from ..sync.locks import h5_lock

if TYPE_CHECKING:
    import h5py

    from ..hdf5_data import HDF5Data

Tick = Callable[[int], None]
"""Takes the number of bytes that were read since it was called last."""
AT_ONCE = 2**25
"""Bytes that are decoded together."""
MOST = 10
"""Damaged pieces of one dataset that are told one by one."""


@dataclass
class Findings:
    """What reading a file found.

    Attributes
    ----------
    problems : list of Problem
        What cannot be read.
    seen : set of str
        Paths of all groups and datasets.
    damaged : set of str
        Paths of what cannot be read as a whole.
    without_checksum : list of str
        Paths of datasets whose filters check nothing.
    datasets, size : int
        How many datasets were read, and their bytes.
    tick : callable
        Is told of bytes that were read.
    """

    problems: list[Problem] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    without_checksum: list[str] = field(default_factory=list)
    datasets: int = 0
    size: int = 0
    tick: Tick = field(default=lambda size: None, repr=False)

    def note(self, path: str, error: BaseException) -> None:
        """Remember that something at a path cannot be read."""
        self.problems.append(Problem("dataset", path, text_of(error)))
        self.damaged.add(path)


def list_datasets(hd: HDF5Data, found: Findings) -> list[tuple[str, h5py.Dataset]]:
    """Return all datasets of the file itself, links to other places left out."""
    return [] if hd.handle.resource is not None else list(_walk(hd, found))


def _walk(hd: HDF5Data, found: Findings) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield path and dataset of all that hard links lead to, each once."""
    import h5py

    known = set()
    to_do = [""]
    while to_do:
        group = to_do.pop()
        try:
            with hd.handle.using(), h5_lock:
                names = sorted(hd.h5[group or "/"], reverse=True)
        except UNREADABLE as error:
            pass_on(error)
            found.note(group or "/", error)
            continue
        subgroups = []
        for name in reversed(names):
            path = f"{group}/{name}"
            try:
                with hd.handle.using(), h5_lock:
                    link = hd.h5.get(path, getlink=True)
                    if not isinstance(link, h5py.HardLink):
                        continue
                    item = hd.h5[path]
                    address = h5py.h5g.get_objinfo(item.id).objno
            except (ClosedError, FileChangedError):
                raise
            except UNREADABLE as error:
                pass_on(error)
                found.note(path, error)
                continue
            found.seen.add(path)
            if address in known:
                continue
            known.add(address)
            if isinstance(item, h5py.Group):
                subgroups.append(path)
            elif isinstance(item, h5py.Dataset):
                yield path, item
        to_do += reversed(subgroups)


def read_dataset(
    hd: HDF5Data, path: str, dataset: h5py.Dataset, found: Findings
) -> None:
    """Read one dataset, chunk by chunk where it is damaged."""
    found.datasets += 1
    try:
        with hd.handle.using(), h5_lock:
            shape = dataset.shape
            # (gzip has a checksum of its own; virtual ones are what their sources are)
            checked = dataset.fletcher32 or dataset.compression == "gzip"
            checked = checked or dataset.is_virtual
            if not shape:  # one value, or an empty dataspace
                found.size += getattr(dataset[()], "nbytes", 0)
                return
        if not checked and math.prod(shape):
            found.without_checksum.append(path)
        reader = DatasetReader(hd.handle, dataset)
        _read_rows(reader, path, found)
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as error:
        pass_on(error)
        found.note(path, error)


def _read_rows(reader: DatasetReader, path: str, found: Findings) -> None:
    """Read all rows; where that fails, find out which chunks are to blame."""
    row_bytes = max(1, math.prod(reader.shape[1:]) * reader.dtype.itemsize)
    height = reader.block_rows
    step = height * max(1, AT_ONCE // (height * row_bytes))
    wrong = 0
    for rows in _steps(0, reader.shape[0], step):
        error = _read(reader, rows, found)
        if error is None:
            continue
        parts = list(_steps(rows.start, rows.stop, height)) if reader.chunks else []
        errors = [_read(reader, part, found) for part in parts] or [error]
        for each in filter(None, errors):
            wrong += 1
            if wrong <= MOST:
                found.note(path, each)
    if wrong > MOST:
        found.note(path, ValueError(f"and {wrong - MOST:,} further chunks"))


def _steps(start: int, stop: int, step: int) -> Iterator[slice]:
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop), 1)


def _read(reader: DatasetReader, rows: slice, found: Findings) -> Exception | None:
    try:
        size = reader.read(rows).nbytes
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as error:
        pass_on(error)
        return error
    found.size += size
    found.tick(size)
    return None
