"""Logs: named lists of lines, one text dataset each in the group ``/logs``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from h5py import Dataset, h5d, h5s

from ..errors import FormatError
from ..problems import Problem, recorded_as_problem
from ..sync.locks import h5_lock
from .attributes import clean_text
from .event_dataset import open_plain, reader_of
from .links import has_member, member, names_in, subgroup
from .variable_length import VariableLengths

if TYPE_CHECKING:
    from ..engine import FileHandle
    from ..engine.name_resolver import Place

MAX_LOG_BYTES = 64 << 20
"""All logs of a file together; what is beyond is left out: a file could claim any
size, and lead to one log by many names."""
MAX_LOG_LINES = 1 << 20
"""Likewise: an empty line takes no bytes of the file, but memory all the same."""
MAX_MEMBERS = 20_000
"""Logs, and tables: one dataset can have any number of names."""
_LINES_AT_ONCE = 4096


def read_logs(handle: FileHandle, problems: list[Problem]) -> dict[str, list[str]]:
    """Return all logs of a file by name, sorted; empty ones are left out.

    So are those that would take more than `MAX_LOG_BYTES` or `MAX_LOG_LINES`.

    Lines that are not UTF-8 get replacement characters; that, and logs that
    cannot be read, are told in `problems`.
    """
    logs: dict[str, list[str]] = {}
    room = _Room()
    names = member_names(handle, "logs", "log", problems)
    if not names:
        return logs
    with handle.using(), VariableLengths(handle) as lengths:
        group = subgroup(handle, "logs")
        for name in names:
            with recorded_as_problem(problems, "log", name):
                lines = _read_lines(group, name, room, lengths)
                _keep(logs, name, lines, problems)
    return logs


def _keep(
    logs: dict[str, list[str]],
    name: str,
    lines: list[bytes | str],
    problems: list[Problem],
) -> None:
    damaged = []
    texts = []
    for row, line in enumerate(lines):
        text, intact = clean_text(line)
        texts.append(text)
        if not intact:
            damaged.append(row)
    if texts:
        logs[name] = texts
    if damaged:
        reason = (
            f"expected text in UTF-8, found other bytes in {len(damaged)} lines (the "
            f"first is line {damaged[0]}); they were replaced by "
            "'\N{REPLACEMENT CHARACTER}'"
        )
        problems.append(Problem("log", name, reason))


def member_names(
    handle: FileHandle, group: str, kind: str, problems: list[Problem]
) -> list[str]:
    """Return the sorted names in a group of a file; [] where there is none."""
    names: list[str] = []
    with recorded_as_problem(problems, kind, f"/{group}"), handle.using(), h5_lock:
        if has_member(handle.root, group):
            names = names_in(subgroup(handle, group))
            if len(names) > MAX_MEMBERS:
                reason = (
                    f"expected at most {MAX_MEMBERS} members, found {len(names)}; the "
                    "rest is left out"
                )
                problems.append(Problem(kind, f"/{group}", reason))
    return names[:MAX_MEMBERS]


def open_member(handle: FileHandle, group: str, name: str) -> Place:
    """Return the dataset at ``/group/name``.

    Raises
    ------
    FormatError
        If it is no dataset, or has no array in it.
    PolicyError
        If it lies in another file and the policy does not allow that.
    """
    with handle.using(), h5_lock:
        return _open(subgroup(handle, group), name)[0]


def _open(group: Place, name: str) -> tuple[Place, Any]:
    """Return a dataset, and how it was created; the caller holds the h5py lock."""
    place, plist = open_plain(group, name)
    if place is None:
        place = member(group.handle, name, group.id)
    if not isinstance(place.id, h5d.DatasetID):
        raise FormatError("expected a dataset, found a group")
    if place.id.get_space().get_simple_extent_type() == h5s.NULL:
        raise FormatError("expected an array, found an empty dataspace")
    return place, plist or place.id.get_create_plist()


class _Room:
    """How much more of logs may be read."""

    def __init__(self) -> None:
        self.lines = MAX_LOG_LINES
        self.nbytes = MAX_LOG_BYTES

    def check(self, lines: int, nbytes: int) -> None:
        """Raise if a log has too much, claimed or read so far."""
        for found, room, noun in (
            (nbytes, self.nbytes, "bytes"),
            (lines, self.lines, "lines"),
        ):
            if found > room:
                limit = MAX_LOG_LINES if noun == "lines" else MAX_LOG_BYTES
                raise FormatError(
                    f"it has at least {found} {noun}, and all logs together may have "
                    f"{limit}; read it with h5py if it is wanted"
                )

    def take(self, lines: int, nbytes: int) -> None:
        """Count a log that was read."""
        self.lines -= lines
        self.nbytes -= nbytes


def _read_lines(
    group: Place, name: str, room: _Room, lengths: VariableLengths
) -> list[bytes | str]:
    with h5_lock:
        place, plist = _open(group, name)
        shape, dtype = place.id.shape, place.id.dtype
        count, variable = math.prod(shape), dtype.kind == "O"
        if not count:
            return []
        if dtype.kind not in "SUO" or (variable and not _is_text(dtype)):
            raise FormatError(f"expected lines of text, found values of type {dtype}")
        room.check(count, 0 if variable else count * dtype.itemsize)
        layout = plist.get_layout()
        values = None
        if not variable and (layout == h5d.CONTIGUOUS or not shape):
            values = np.empty(shape, dtype)
            place.id.read(h5s.ALL, h5s.ALL, values)
    lines: list[bytes | str]
    if values is not None:
        lines = values.reshape(-1).tolist()
    else:
        found = None
        if variable and layout != h5d.VIRTUAL:
            found = lengths.of_dataset(place, room.nbytes)
        if found is not None:
            lines = [text.split(b"\0", 1)[0] for text in found]
        else:
            lines = _by_rows(place, shape, room)
    if not shape:
        lines = [line for text in lines for line in text.splitlines()]
    nbytes = sum(map(len, lines))
    room.check(len(lines), nbytes)
    room.take(len(lines), nbytes)
    return lines


def _by_rows(place: Place, shape: tuple[int, ...], room: _Room) -> list[bytes | str]:
    if not shape:
        text = Dataset(place.id)[()]
        return [text]
    reader = reader_of(place)
    lines: list[bytes | str] = []
    nbytes = 0
    for start in range(0, shape[0], _LINES_AT_ONCE):
        part = slice(start, min(start + _LINES_AT_ONCE, shape[0]), 1)
        items = reader.read(part).reshape(-1).tolist()
        nbytes += sum(map(len, items))
        room.check(0, nbytes)
        lines += items
    return lines


def _is_text(dtype: np.dtype[Any]) -> bool:
    import h5py

    return h5py.check_string_dtype(dtype) is not None
