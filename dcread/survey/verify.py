"""Verification: read everything and tell what cannot be read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ClosedError, DCReadError, FileChangedError
from ..problems import Problem
from .every_chunk import Findings, list_datasets, read_dataset
from .facts import stored_features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..engine import Backing
    from ..measurement.data import HDF5Data
    from .every_chunk import Tick

    Progress = Callable[[int, int], None]

_GROUPS = {"feature": "events", "log": "logs", "table": "tables", "basin": "basins"}


def verify(hd: HDF5Data, *, progress: Progress | None = None) -> dict[str, Any]:
    """Read every chunk of a measurement and of its basins.

    Parameters
    ----------
    hd : HDF5Data
        The measurement.
    progress : callable, optional
        Called with the number of bytes that were read, and of all bytes.

    Returns
    -------
    facts : dict
        ``ok``, ``events``, ``features``, ``datasets``, ``bytes``,
        ``without_checksum``, ``metadata``, ``logs``, ``tables`` and ``problems``,
        which holds each problem once.
    """
    features = list(hd.keys())
    found = Findings()
    datasets = list_datasets(hd, found)
    if progress is not None:
        total = sum(dataset.nbytes for _, dataset in datasets)
        total += sum(_size_in_basin(hd, name, found) for name in features)
        found.tick = _counter(progress, total)
    for path, dataset in datasets:
        read_dataset(hd, path, dataset, found)
    for feature in features:
        _read_feature(hd, feature, found)
    contents = {"metadata": hd.meta, "logs": hd.logs, "tables": hd.tables}
    found.problems += [
        problem
        for problem in hd.problems
        if not _is_told(problem, found) and not _is_told_by_basins(problem, hd)
    ]
    return {
        "ok": not found.problems,
        "events": len(hd),
        "features": features,
        "datasets": found.datasets,
        "bytes": found.size,
        "without_checksum": found.without_checksum,
        **{name: len(items) for name, items in contents.items()},
        "problems": found.problems,
    }


def _is_told(problem: Problem, found: Findings) -> bool:
    """Tell whether a problem is about what was found to be wrong already."""
    told = {(one.kind, one.name) for one in found.problems}
    path = f"/{_GROUPS.get(problem.kind)}/{problem.name}"
    return path in found.damaged or (problem.kind, problem.name) in told


def _is_told_by_basins(problem: Problem, hd: HDF5Data) -> bool:
    """Tell whether it is just that a file with basins only has no number of events."""
    return problem.kind == "length" and not stored_features(hd) and len(hd) > 0


def _counter(progress: Progress, total: int) -> Tick:
    done = 0

    def tick(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    return tick


def _size_in_basin(hd: HDF5Data, feature: str, found: Findings) -> int:
    """Return the bytes of images in a basin; the rest is small."""
    if f"/events/{feature}" in found.seen:
        return 0
    try:
        values = hd[feature]
    except DCReadError:
        return 0
    if not hasattr(values, "iter_chunks"):
        return 0
    size: int = math.prod(values.shape) * values.dtype.itemsize
    return size


def _read_feature(hd: HDF5Data, feature: str, found: Findings) -> None:
    """Open a feature as users get it; read it unless its chunks were read."""
    own = f"/events/{feature}"
    if own in found.damaged:
        return
    try:
        values = hd[feature]
        if own not in found.seen:
            found.size += read_all(values, found.tick, found.backing)
        elif isinstance(values, Mapping):
            for part in values:
                values[part]  # its length is checked
    except (ClosedError, FileChangedError):
        raise
    except DCReadError as error:
        found.problems.append(Problem("feature", feature, str(error)))


def read_all(values: Any, tick: Tick, backing: Backing) -> int:
    """Read a feature, whatever its kind, piece by piece; return its bytes."""
    if isinstance(values, Mapping):
        return sum(read_all(part, tick, backing) for part in values.values())
    if hasattr(values, "reader"):
        backing.require(values.reader)
    if hasattr(values, "iter_chunks"):
        pieces: Iterator[Any] = map(values.get_chunk, values.iter_chunks())
    elif isinstance(values, Sequence):
        pieces = iter(values)
    else:
        step = 1000
        starts = range(0, len(values), step)
        pieces = (values[start : start + step] for start in starts)
    size = 0
    for piece in pieces:
        tick(piece.nbytes)
        size += piece.nbytes
    return size
