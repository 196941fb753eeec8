"""Writing a concatenation: virtual datasets, computed series, logs and tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine import open_file
from ..file.events import COUNT_ATTRIBUTE
from ..file.links import PolicyResolver
from ..file.logs import member_names, open_member
from ..file.policy import Policy
from ..file.source_records import with_digests, write_sources
from ..problems import (
    UNREADABLE,
    Problem,
    as_key,
    left_out,
    pass_on,
    recorded_as_problem,
)
from ..sync.locks import h5_lock
from ..sync.worker import raise_if_given_up
from .input_file import InputFile
from .mapped import write_mapped
from .records import Input, Piece, Plan
from .virtual import write_virtual

if TYPE_CHECKING:
    import h5py

LOG = "dcread-concat"
"""Name of the log that tells what was concatenated and what was left out."""

PARTS = "dcread/parts"
"""Group of the rows that had to be copied, where other inputs are virtual."""

LIBVER = ("v110", "v110")
"""The oldest file format with virtual datasets, which most programs can read."""

_COPY_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20


def write_plan(h5: h5py.File, plan: Plan, progress: Callable[[float], object]) -> None:
    """Write all of a concatenation into a new, empty file.

    Raises
    ------
    FileChangedError
        If an input changed after the plan was made.
    """
    notes = list(plan.notes)
    _write_attributes(h5, plan, notes)
    sources = with_digests(one for part in plan.inputs for one in part.sources)
    with h5_lock:
        h5.require_group("events")
        for name, values in plan.series.items():
            h5.create_dataset(f"events/{name}", data=values)
        write_sources(h5, sources)
    total = len(plan.dtypes) + len(plan.inputs)
    mapped = [name for name in plan.dtypes if plan.is_mapped(name)]
    for number, name in enumerate(sorted(plan.dtypes, key=mapped.__contains__)):
        if name not in mapped:
            _write_column(h5, plan, name)
        progress((number + 1) / total)
    write_mapped(h5, plan, mapped)
    for number, part in enumerate(plan.inputs):
        if part.has_texts:
            _copy_texts(h5, part, f"src-#{number + 1}_", notes)
        part.sources[0].check_unchanged()
        progress((len(plan.dtypes) + number + 1) / total)
    _write_log(h5, plan, notes)


def _write_attributes(h5: h5py.File, plan: Plan, notes: list[Problem]) -> None:
    with h5_lock:
        for name, value in plan.attributes.items():
            try:
                h5.attrs[name] = value
            except UNREADABLE as exc:
                pass_on(exc)
                label = f"{plan.inputs[0].path}: {name}"
                notes.append(left_out("attribute", label, exc))
        h5.attrs[COUNT_ATTRIBUTE] = plan.length


def _write_column(h5: h5py.File, plan: Plan, name: str) -> None:
    dtype = plan.dtypes[name]
    parts = plan.filled
    pieces = [p.pieces[name] for p in parts or plan.inputs[:1]]
    shape = (plan.length, *pieces[0].shape[1:])
    if plan.length == 0:
        with h5_lock:
            h5.create_dataset(f"events/{name}", shape=shape, dtype=dtype)
        return
    copied = [piece.name is None for piece in pieces]
    if all(copied):
        with h5_lock:
            out = _new_dataset(h5, f"events/{name}", shape, dtype)
        start = 0
        for part in parts:
            _copy_rows(part, name, out, start)
            start += part.length
    else:
        sources: list[Piece | str] = [*pieces]
        for number, part in enumerate(parts):
            if copied[number]:
                sources[number] = _stored_part(h5, part, name)
        write_virtual(h5, f"events/{name}", shape, dtype, sources)


def _stored_part(h5: h5py.File, part: Input, name: str) -> str:
    piece = part.pieces[name]
    with h5_lock:
        number = len(h5.require_group(f"{PARTS}/{name}"))
        path = f"{PARTS}/{name}/{number}"
        out = _new_dataset(h5, path, piece.shape, piece.dtype)
    _copy_rows(part, name, out, 0)
    return path


def _new_dataset(
    h5: h5py.File, path: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> h5py.Dataset:
    import hdf5plugin

    if len(shape) == 1:
        return h5.create_dataset(path, shape=shape, dtype=dtype)
    row_bytes = max(1, int(np.prod(shape[1:])) * dtype.itemsize)
    rows = max(1, min(shape[0], _CHUNK_BYTES // row_bytes))
    return h5.create_dataset(
        path,
        shape=shape,
        dtype=dtype,
        chunks=(rows, *shape[1:]),
        fletcher32=True,
        compression=hdf5plugin.Zstd(clevel=5),
    )


def _copy_rows(part: Input, name: str, out: h5py.Dataset, start: int) -> None:
    """Copy the rows of a mapped feature, a bounded number at a time."""
    with InputFile(part.path, [], [name.partition("/")[0]]) as file:
        view = file.view(name)
        row_bytes = max(1, int(np.prod(view.shape[1:])) * view.dtype.itemsize)
        step = max(1, _COPY_BYTES // row_bytes)
        for first in range(0, part.length, step):
            raise_if_given_up()
            rows = np.asarray(view[first : min(first + step, part.length)])
            with h5_lock:
                out[start + first : start + first + len(rows)] = rows


def _copy_texts(h5: h5py.File, part: Input, prefix: str, notes: list[Problem]) -> None:
    """Copy the logs and tables of an input as they are stored."""
    import h5py

    handle = open_file(part.path)
    handle.names = PolicyResolver(Policy.default(), handle.path)
    try:
        for group, kind in (("logs", "log"), ("tables", "table")):
            for name in member_names(handle, group, kind, notes):
                note = recorded_as_problem(notes, kind, f"{part.path}: {name}")
                with note, handle.using(), h5_lock:
                    dataset = h5py.Dataset(open_member(handle, group, name).id)
                    h5.require_group(group)
                    h5.copy(dataset, h5[group], name=as_key(prefix + name))
    finally:
        handle.close()


def _write_log(h5: h5py.File, plan: Plan, notes: list[Problem]) -> None:
    import h5py

    lines = [f"Concatenation of {len(plan.inputs)} files, {plan.length} events:"]
    for number, part in enumerate(plan.inputs):
        lines.append(f"src-#{number + 1}: {part.path} ({part.length} events)")
    lines += [f"Left out: {note}" for note in notes]
    with h5_lock:
        h5.create_dataset(f"logs/{LOG}", data=lines, dtype=h5py.string_dtype())
