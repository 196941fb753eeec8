"""The readable part of a damaged measurement, as a new file."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ..basins import BasinDefinition
from ..basins.internal import group_of
from ..concat.new_file import check_target, new_file, refuse_inputs, refuse_sources
from ..engine import EXPANSION
from ..errors import ClosedError, FileChangedError, FormatError
from ..measurement.data import HDF5Data
from ..problems import UNREADABLE, near_and_first, pass_on, text_of
from ..survey import full_path, is_url, require_measurement, shown
from ..sync.worker import call_in_worker, raise_if_given_up
from . import salvage_write
from .finds import Finds, Salvage
from .readable import Joined, Rows, find_rows, member_names, stored, try_rows
from .torn_file import TornFile, open_torn

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG = "dcread-salvage"
"""The log that tells what is lost."""
MANY = 2**24
"""Events that any file may claim."""


def salvage(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    features: Sequence[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Salvage:
    """Write the events for which every feature can be read to a new file.

    The new file has the features that the file itself stores (those of internal
    basins included; images that are stored cropped become whole ones), metadata, logs,
    tables, and the definitions of basins, mapped to the events that are left. What
    cannot be read as a whole is left out. What is lost is told in the log
    ``dcread-salvage``, as JSON. The source is only read.

    Parameters
    ----------
    path : str or path-like
        The measurement; its end may be missing.
    target : str or path-like
        The new file.
    features : sequence of str, optional
        Features to keep; the fewer, the more events may be left.
    overwrite : bool
        Whether a file that is there is replaced.
    progress : callable, optional
        Called with the bytes read since the last call.

    Returns
    -------
    salvage : Salvage
        What is left and what is lost.

    Raises
    ------
    FormatError
        If nothing can be saved; no file is written then.
    ValueError
        If one of `features` is not stored in the file.
    FileExistsError
        If there is a file and `overwrite` is False.
    """
    target = pathlib.Path(target).absolute()
    check_target(target, overwrite=overwrite)
    refuse_inputs(target, [path])
    if overwrite:
        # (by itself: basins that are opened leave problems behind)
        with _opened(path) as (hd, _):
            refuse_sources(target, hd)
    with _opened(path) as (hd, torn):
        if hd.handle.resource is not None:
            raise hd.handle.resource.no_file("events of its own to save")
        require_measurement(hd)
        found = Salvage(str(target), shown(full_path(os.fspath(path))), torn=torn)
        found.events = len(hd)
        if found.events > max(MANY, EXPANSION * hd.handle.size):
            raise FormatError(
                f"{found.source}: claims {found.events} events, far more than the file "
                "can hold"
            )
        finds = _find(hd, found, features, progress)
        found.kept = int(np.count_nonzero(finds.good))
        found.lost_events = _ranges(~finds.good)
        if not finds.rows and not finds.contours and not finds.internal:
            why = [f"{name}: {reason}" for name, reason in found.lost.items()]
            why = [torn, *why] if torn else why
            text = "; ".join(why) or "there are none"
            raise FormatError(f"{found.source}: no feature can be read: {text}")
        if found.events and not found.kept:
            raise FormatError(f"{found.source}: no event is left; {_advice(found)}")

        def write(_: object) -> None:
            with new_file(target, overwrite=overwrite) as file:
                h5 = h5py.File(file, "w")
                try:
                    salvage_write.write(h5, hd, finds, found)
                    text = json.dumps(_as_json(found), indent=1, ensure_ascii=True)
                    salvage_write.write_log(h5, LOG, text.split("\n"))
                finally:
                    h5.close()
                raise_if_given_up()

        call_in_worker(write, lambda _: None)
    return found


def _advice(found: Salvage) -> str:
    worst = max(found.costs, key=lambda name: int(found.costs[name]["events"]))
    cost = found.costs[worst]
    return (
        f"'{worst}' cannot be read for {cost['events']:,} of {found.events:,} "
        f"({cost['reason']}): keep other features only (in Python features=, on the "
        "command line --features)"
    )


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[HDF5Data, str]]:
    """Open a measurement, also one whose end is missing."""
    torn: TornFile | None = None
    try:
        hd = HDF5Data(path)
    except FormatError as error:
        if is_url(os.fspath(path)):
            raise FormatError(
                f"{error}; if its end is missing, download it: what is left of such a "
                "file is only saved from a file on this machine"
            ) from error
        torn = open_torn(path)
        if torn is None:
            raise
        try:
            hd = HDF5Data(torn)
        except UNREADABLE as error:
            pass_on(error)
            torn.close()
            raise FormatError(
                f"{shown(os.fspath(path))}: {torn.missing}, and what is left does not "
                "tell where its data are: nothing can be saved; copy it again"
            ) from error
    try:
        with hd:
            yield hd, torn.missing if torn is not None else ""
    finally:
        if torn is not None:
            torn.close()


def _find(
    hd: HDF5Data,
    found: Salvage,
    features: Sequence[str] | None,
    progress: Callable[[int], None] | None,
) -> Finds:
    finds = Finds(good=np.ones(found.events, dtype=bool))
    if features is not None:
        finds.wanted = frozenset(features)
    names = member_names(hd, "events")
    internal = _internal_datasets(hd)
    listed = _joined_names(hd)
    if features is not None:
        everything = {*names, *internal, *listed}
        unknown = sorted(set(features) - everything)
        if unknown:
            raise ValueError(
                f"{found.source}: '{unknown[0]}' is not stored in this file; "
                f"{near_and_first(unknown[0], everything)}"
            )
    wanted = [name for name in names if features is None or name in features]
    for name in wanted:
        _find_feature(hd, finds, found, name, progress)
    for name, (place, mapping) in internal.items():
        if name in wanted or (features is not None and name not in features):
            continue
        _find_internal(hd, finds, found, place, mapping, progress=progress)
    for name, array in _joined_features(hd, found, features).items():
        if name in wanted:
            continue
        _add_rows(
            finds, found, name, partial(try_rows, Joined(array), found.events, progress)
        )
    return finds


def _find_feature(
    hd: HDF5Data,
    finds: Finds,
    found: Salvage,
    name: str,
    progress: Callable[[int], None] | None,
) -> None:
    """Find the rows of one feature, of each part of a group."""
    path = f"events/{name}"
    try:
        is_group = isinstance(stored(hd, path).id, h5py.h5g.GroupID)
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as error:
        pass_on(error)
        found.lost[path] = text_of(error)
        return
    if name == "contour" and is_group:
        _add_contours(hd, finds, found)
        return
    names = [name]
    if is_group:
        names = [f"{name}/{member}" for member in member_names(hd, path)]
    for one in names:
        find = partial(
            find_rows, hd, f"events/{one}", found.events, progress, finds.backing
        )
        _add_rows(finds, found, one, find)


def _add_rows(
    finds: Finds, found: Salvage, name: str, find: Callable[[], Rows]
) -> None:
    try:
        rows = find()
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as error:
        pass_on(error)
        found.lost[f"events/{name}"] = text_of(error)
        return
    _count(finds, found, name, rows.readable, rows.reason)
    if rows.readable.any() or not found.events:
        finds.rows[name] = rows


def _count(
    finds: Finds, found: Salvage, name: str, good: NDArray[np.bool_], reason: str
) -> None:
    """Take the events away that one feature costs, unless it costs all."""
    bad = int(np.count_nonzero(~good))
    if bad and bad == found.events:
        found.lost[f"events/{name}"] = reason
    elif bad:
        found.costs[name] = {"events": bad, "reason": reason}
        finds.good &= good


def _add_contours(hd: HDF5Data, finds: Finds, found: Salvage) -> None:
    names = member_names(hd, "events/contour")
    # (names that cannot be listed may be found one by one)
    events = _numbers_of(names, found.events) if names else range(found.events)
    good = np.zeros(found.events, dtype=bool)
    reason = ""
    if len(events) < found.events:
        gap = next(i for i, one in enumerate([*events, found.events]) if i != one)
        reason = f"'events/contour/{gap}': there is none"
    for event in events:
        path = f"events/contour/{event}"
        try:
            contour = find_rows(hd, path)
            good[event] = bool(contour.readable.all())
            reason = reason or contour.reason
        except (ClosedError, FileChangedError):
            raise
        except UNREADABLE as error:
            pass_on(error)
            reason = reason or f"'{path}': {text_of(error)}"
    _count(finds, found, "contour", good, reason)
    finds.contours = bool(good.any())


def _numbers_of(names: Sequence[str], events: int) -> list[int]:
    """Return the events that contours of these names belong to."""
    numbers = [int(name) for name in names if name.isascii() and name.isdecimal()]
    written = set(names)
    return sorted(n for n in numbers if n < events and str(n) in written)


def _internal_datasets(hd: HDF5Data) -> dict[str, tuple[str, str | None]]:
    """Return path and map of the features of internal basins, by name."""
    places: dict[str, tuple[str, str | None]] = {}
    for definition in salvage_write.definitions(hd):
        if (definition.type, definition.format) == ("internal", "h5dataset"):
            group = group_of(definition)
            for name in definition.features or member_names(hd, group):
                places.setdefault(name, (f"{group}/{name}", definition.mapping))
    return places


def _joined_basins(hd: HDF5Data) -> Iterator[tuple[int, BasinDefinition]]:
    """Yield number and definition of basins that put several datasets together."""
    for index, raw in enumerate(hd.basins):
        definition = BasinDefinition.parse(raw)
        if definition.type == "internal" and definition.format != "h5dataset":
            yield index, definition


def _joined_names(hd: HDF5Data) -> list[str]:
    """Return the features that such basins list, without opening them."""
    return [name for _, one in _joined_basins(hd) for name in one.features or ()]


def _joined_features(
    hd: HDF5Data, found: Salvage, features: Sequence[str] | None
) -> dict[str, Any]:
    """Return what internal basins put together of several datasets, by name."""
    arrays: dict[str, Any] = {}
    for index, definition in _joined_basins(hd):
        listed = definition.features or ()
        if features is not None and not set(listed).intersection(features):
            continue
        reason = ""
        try:
            group, _, mapping = hd.get_basin_data(index)
        except (ClosedError, FileChangedError):
            raise
        except UNREADABLE as error:
            pass_on(error)
            reason = text_of(error)
        else:
            if group is None or mapping is not None:
                reason = f"its format '{definition.format}' cannot be salvaged here"
        if reason:
            found.lost[f"basin {definition.label}"] = reason
            continue
        for name in listed:
            if features is not None and name not in features:
                continue
            try:
                arrays.setdefault(name, group[name])
            except (ClosedError, FileChangedError):
                raise
            except UNREADABLE as error:
                pass_on(error)
                found.lost[f"events/{name}"] = text_of(error)
    return arrays


def _find_internal(
    hd: HDF5Data,
    finds: Finds,
    found: Salvage,
    place: str,
    mapping: str | None,
    *,
    progress: Callable[[int], None] | None,
) -> None:
    name = place.rpartition("/")[2]
    try:
        rows = find_rows(hd, place, None, progress, finds.backing)
        wanted = np.arange(found.events)
        if mapping is not None:
            wanted = np.asarray(find_map(hd, mapping, found.events))
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as error:
        pass_on(error)
        found.lost[place] = text_of(error)
        return
    inside = (wanted >= 0) & (wanted < len(rows.readable))
    good = np.zeros(found.events, dtype=bool)
    good[inside] = rows.readable[wanted[inside]]
    reason = rows.reason or f"its basin has {len(rows.readable):,} rows only"
    _count(finds, found, name, good, reason)
    if good.any() or not found.events:
        finds.internal[place] = rows


def find_map(hd: HDF5Data, name: str, length: int) -> NDArray[np.int64]:
    """Return the map of a basin; -1 for events for which it cannot be read."""
    rows = find_rows(hd, f"events/{name}", length)
    found = np.full(length, -1, np.int64)
    good = np.flatnonzero(rows.readable)
    found[good] = rows.reader.read(good).astype(np.int64)
    return found


def _ranges(chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last of each run of events."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    pairs = edges.reshape(-1, 2).tolist()
    return [(first, stop - 1) for first, stop in pairs]


def _as_json(found: Salvage) -> dict[str, Any]:
    facts = {name: value for name, value in vars(found).items() if name != "path"}
    return {"software": f"dcread {importlib.metadata.version('dcread')}", **facts}
