"""Reading every chunk of every dataset in a file, whether a feature or not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..engine import Backing, DatasetReader, open_dataset
from ..engine.convert import require_room_for_columns
from ..engine.name_resolver import Place
from ..errors import ClosedError, FileChangedError
from ..file.links import is_hard_link, member, names_in
from ..problems import UNREADABLE, Problem, pass_on, text_of
from ..sync.locks import h5_lock

if TYPE_CHECKING:
    import h5py

    from ..measurement.data import HDF5Data

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
    backing : Backing
        What all of them claim.
    """

    problems: list[Problem] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    without_checksum: list[str] = field(default_factory=list)
    datasets: int = 0
    size: int = 0
    tick: Tick = field(default=lambda size: None, repr=False)
    backing: Backing = field(default_factory=Backing)

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
    to_do = [("", Place(hd.handle, hd.h5.id))]
    while to_do:
        path, group = to_do.pop()
        try:
            with hd.handle.using(), h5_lock:
                names = names_in(group)
        except UNREADABLE as error:
            pass_on(error)
            found.note(path or "/", error)
            continue
        subgroups = []
        for name in names:
            inner = f"{path}/{name}"
            try:
                with hd.handle.using(), h5_lock:
                    if not is_hard_link(group, name):
                        continue
                    item = member(hd.handle, name, group.id)
                    address = h5py.h5g.get_objinfo(item.id).objno
            except (ClosedError, FileChangedError):
                raise
            except UNREADABLE as error:
                pass_on(error)
                found.seen.add(inner)
                found.note(inner, error)
                continue
            found.seen.add(inner)
            if address in known:
                continue
            known.add(address)
            if isinstance(item.id, h5py.h5g.GroupID):
                subgroups.append((inner, item))
            elif isinstance(item.id, h5py.h5d.DatasetID):
                yield inner, h5py.Dataset(item.id)
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
                require_room_for_columns(dataset.dtype)
                found.size += getattr(dataset[()], "nbytes", 0)
                return
        if not checked and math.prod(shape):
            found.without_checksum.append(path)
        reader = open_dataset(hd.handle, dataset)
        _read_rows(reader, path, found)
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as error:
        pass_on(error)
        found.note(path, error)


def _read_rows(reader: DatasetReader, path: str, found: Findings) -> None:
    """Read what is stored; where that fails, find out which chunks are to blame."""
    row_bytes = max(1, math.prod(reader.shape[1:]) * reader.dtype.itemsize)
    height = reader.block_rows
    step = height * max(1, AT_ONCE // (height * row_bytes))
    wrong = 0
    spans = reader.stored_rows()
    if spans is None:
        found.backing.require(reader)
        spans = [slice(0, reader.shape[0], 1)]
    for rows in itertools.chain.from_iterable(
        _steps(span.start, span.stop, step) for span in spans
    ):
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
