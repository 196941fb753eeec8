"""Writing what could be saved of a measurement."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ..basins import BasinDefinition
from ..basins.definition import TextBudget
from ..basins.internal import group_of
from ..engine import h5_lock
from ..engine.h5py_errors import raise_cause
from ..errors import BasinError, ClosedError, FileChangedError
from ..file.identifier import get_measurement_identifier
from ..measurement.data import HDF5Data
from ..problems import UNREADABLE, as_key, pass_on, text_of
from ..sync.worker import raise_if_given_up
from .readable import AT_ONCE, Rows, find_rows, member_names, row_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .finds import Finds, Salvage

CHUNK_BYTES = 2**20
STATISTICS = ("min", "max", "mean")
"""Attributes of scalar features that hold for all events only."""
GROUPS = ("events", "logs", "tables", "basins", "basin_events")
"""What is written; other groups are left out."""
IDENTIFIER = "experiment:run identifier"
COUNT = "experiment:event count"


def write(h5: h5py.File, hd: HDF5Data, finds: Finds, found: Salvage) -> None:
    """Write features, metadata, logs, tables and basins."""
    kept = np.flatnonzero(finds.good)
    _write_attributes(h5, hd, found)
    events = h5.create_group("events")
    for name, rows in finds.rows.items():
        if f"events/{name}" not in found.lost:
            _write_rows(events, name, rows, kept)
    for place, event in enumerate(kept.tolist()):
        if finds.contours:
            contour = find_rows(hd, f"events/contour/{event}")
            everything = np.arange(len(contour.readable))
            _write_rows(events, f"contour/{place}", contour, everything)
    for path, rows in finds.internal.items():
        _write_readable(h5, path, rows)
    for group in ("logs", "tables"):
        for name in member_names(hd, group):
            _copy(h5, hd, f"{group}/{name}", found)
    _write_basins(h5, hd, finds, found, kept)
    for name in member_names(hd, "/"):
        if name not in GROUPS:
            found.lost[name] = "it is not part of a measurement"


def write_log(h5: h5py.File, name: str, lines: list[str]) -> None:
    """Write a log; one of this name that was salvaged gets a number."""
    logs = h5.require_group("logs")
    if name in logs:
        number = next(i for i in range(1, len(logs) + 2) if f"{name}-{i}" not in logs)
        logs.move(name, f"{name}-{number}")
    _write_lines(logs, name, lines)


def definitions(hd: HDF5Data) -> list[BasinDefinition]:
    """Return the definitions of basins as stored; `hd.problems` has what are none."""
    try:
        with hd.handle.using(), h5_lock:
            raws = HDF5Data.extract_basin_dicts(hd.h5, check=False)
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE:
        return []
    found, budget = [], TextBudget()
    for raw in raws:
        with contextlib.suppress(BasinError):
            found.append(BasinDefinition.parse(raw, budget=budget))
    return found


def _write_attributes(h5: h5py.File, hd: HDF5Data, found: Salvage) -> None:
    _copy_attributes(h5, hd.h5, hd, found)
    h5.attrs[COUNT] = found.kept
    identifier = get_measurement_identifier(hd)
    if found.kept != found.events and identifier:
        # Who maps events of the original by number must not map these.
        h5.attrs[IDENTIFIER] = f"{identifier}_dcread-salvage"


def _copy_attributes(
    target: Any, source: Any, hd: HDF5Data, found: Salvage | None, skip: Any = ()
) -> None:
    try:
        with hd.handle.using(), h5_lock:
            names = list(source.attrs)
    except SystemError as error:
        raise_cause(error)
    except UNREADABLE as error:
        pass_on(error)
        if found is not None:
            found.lost["attributes"] = text_of(error)
        return
    for name in names:
        if name in skip:
            continue
        try:
            with hd.handle.using(), h5_lock:
                value = source.attrs[name]
            target.attrs[name] = value
        except (ClosedError, FileChangedError):
            raise
        except UNREADABLE as error:
            pass_on(error)
            if found is not None:
                found.lost[f"attribute {name}"] = text_of(error)


def _create(
    group: h5py.Group, name: str, shape: tuple[int, ...], dtype: Any, source: Any
) -> h5py.Dataset:
    """Create a dataset with zstd and checksums, as measurements have them."""
    import hdf5plugin

    size = max(1, int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize)
    height = min(max(CHUNK_BYTES // size, 1), max(shape[0], 1))
    options: dict[str, Any] = {"fletcher32": True, **hdf5plugin.Zstd(clevel=5)}
    if np.dtype(dtype).hasobject or not all(shape[1:]):
        options = {}  # (text of any length has no checksum)
    if all(shape):
        options["chunks"] = (height, *shape[1:])
    else:
        options = {}
    made = group.create_dataset(as_key(name), shape=shape, dtype=dtype, **options)
    for key in source.attrs if source is not None else ():
        if key not in STATISTICS:
            try:
                made.attrs[key] = source.attrs[key]
            except UNREADABLE as error:
                pass_on(error)
    return made


def _write_rows(
    group: h5py.Group, name: str, rows: Rows, kept: NDArray[np.int64]
) -> None:
    reader = rows.reader
    shape = (len(kept), *reader.shape[1:])
    if not all(shape[1:]):
        return
    made = _create(group, name, shape, reader.dtype, reader)
    for part in _pieces(len(kept), row_bytes(reader)):
        made[part] = reader.read(kept[part])
    if made.ndim == 1 and made.dtype.kind in "iuf" and not name.startswith("basinmap"):
        values = made[:]
        if not np.all(np.isnan(values)):
            made.attrs["min"], made.attrs["max"] = np.nanmin(values), np.nanmax(values)
            made.attrs["mean"] = np.nanmean(values, dtype=np.float64)


def _write_readable(h5: h5py.File, path: str, rows: Rows) -> None:
    """Write all rows of a dataset that a basin maps; none leads to missing ones."""
    made = _create(h5, path, rows.reader.shape, rows.reader.dtype, rows.reader)
    for part in _pieces(len(rows.readable), row_bytes(rows.reader)):
        good = np.flatnonzero(rows.readable[part]) + part.start
        if len(good):
            values = np.zeros((part.stop - part.start, *made.shape[1:]), made.dtype)
            values[good - part.start] = rows.reader.read(good)
            made[part] = values


def _pieces(length: int, size: int) -> Iterator[slice]:
    step = max(1, AT_ONCE // size)
    for start in range(0, length, step):
        raise_if_given_up()
        yield slice(start, min(start + step, length))


def _copy(h5: h5py.File, hd: HDF5Data, path: str, found: Salvage) -> None:
    """Copy a log or a table; what cannot be read as a whole is lost."""
    try:
        rows = find_rows(hd, path)
        if not rows.readable.all():
            raise ValueError(rows.reason)
        if rows.reader.dtype.hasobject:  # texts of any length
            length = rows.reader.shape[0]
            values = rows.reader.read(slice(0, length, 1))
            made = h5.create_dataset(as_key(path), data=values, dtype=rows.reader.dtype)
            made.attrs.update(rows.reader.attrs)
        else:
            made = _create(h5, path, rows.reader.shape, rows.reader.dtype, rows.reader)
            for part in _pieces(rows.reader.shape[0], row_bytes(rows.reader)):
                made[part] = rows.reader.read(np.arange(part.start, part.stop))
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as error:
        pass_on(error)
        found.lost[path] = text_of(error)
        if as_key(path) in h5:
            del h5[as_key(path)]


def _write_basins(
    h5: h5py.File, hd: HDF5Data, finds: Finds, found: Salvage, kept: NDArray[np.int64]
) -> None:
    for number, definition in enumerate(definitions(hd)):
        if definition.type == "internal":
            if definition.format != "h5dataset":
                continue  # its features are written as datasets
            names = definition.features or member_names(hd, group_of(definition))
            if finds.wanted is not None and not finds.wanted.intersection(names):
                continue
        try:
            text = _adapted(h5, definition, finds, found, kept)
        except ValueError as error:
            found.lost[f"basin {definition.label}"] = str(error)
            continue
        lines = json.dumps(text, indent=2, sort_keys=True).split("\n")
        key = definition.key or f"basin-{number}"
        _write_lines(h5.require_group("basins"), key, lines)
    unreadable = {problem.name for problem in hd.problems if problem.kind == "basin"}
    for name in member_names(hd, "basins"):
        if name in unreadable and as_key(name) not in h5.get("basins", ()):
            found.lost.setdefault(f"basins/{name}", "its definition cannot be read")


def _adapted(
    h5: h5py.File,
    definition: BasinDefinition,
    finds: Finds,
    found: Salvage,
    kept: NDArray[np.int64],
) -> dict[str, Any]:
    """Return a definition for the events that are left.

    Raises
    ------
    ValueError
        If the basin cannot be used any more.
    """
    changed = {key: value for key, value in definition.raw.items() if key != "key"}
    if definition.type == "internal":
        group = group_of(definition)
        places = [path.rpartition("/") for path in finds.internal]
        names = [name for place, _, name in places if place == group]
        wanted = definition.features
        names = [name for name in names if not wanted or name in wanted]
        if not names:
            raise ValueError("none of its features could be read")
        changed["features"] = names
    mapping = definition.mapping
    if mapping is not None:
        if mapping not in h5["events"]:
            raise ValueError(f"its map '{mapping}' is not kept")
    elif len(kept) != found.events:
        changed["mapping"] = _map_of_kept(h5["events"], kept)
    if definition.type == "file":
        changed["paths"] = _paths_from(found, list(definition.paths))
    return changed


def _map_of_kept(events: h5py.Group, kept: NDArray[np.int64]) -> str:
    """Return the name of a map to the events that are left, made if need be."""
    free = [f"basinmap{i}" for i in range(10) if f"basinmap{i}" not in events]
    for name in events:
        if name.startswith("basinmap") and "dcread-salvage" in events[name].attrs:
            return str(name)
    if not free:
        raise ValueError(
            "there is no free name for the map of the events that are left"
        )
    made = events.create_dataset(free[0], data=kept, fletcher32=True)
    made.attrs["dcread-salvage"] = "events of the original"
    return free[0]


def _paths_from(found: Salvage, paths: list[str]) -> list[str]:
    """Return paths that lead to the same files from the folder of the new file."""
    folder = pathlib.Path(found.source).parent
    if pathlib.Path(found.path).parent == folder:
        return paths
    absolute = [str(folder / path) for path in paths if not os.path.isabs(path)]
    return [*paths, *(path for path in absolute if os.path.exists(path))]


def _write_lines(group: h5py.Group, name: str, lines: list[str]) -> None:
    encoded = [line.encode("utf-8", "replace") for line in lines]
    width = max(100, *map(len, encoded))
    made = _create(group, name, (len(encoded),), f"S{width}", None)
    made[:] = np.array(encoded, dtype=f"S{width}")
