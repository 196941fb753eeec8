"""Mapped features of basins: joined as a mapped basin of the new file itself.

Nothing is copied: the datasets of all basins are one virtual dataset in the group
``/basin_events``, and the joined index map leads into it. dclab and dcnum read such
internal basins, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..sync.locks import h5_lock
from .records import Input, Piece, Plan
from .virtual import write_virtual

if TYPE_CHECKING:
    import h5py

GROUP = "basin_events"


def write_mapped(h5: h5py.File, plan: Plan, names: Sequence[str]) -> None:
    """Write the features that basins map in some of the inputs."""
    parts = plan.filled
    alike: dict[tuple[object, ...], list[str]] = {}
    for name in names:
        key = tuple(_origin(part.pieces[name]) for part in parts)
        alike.setdefault(key, []).append(name)
    for number, features in enumerate(alike.values()):
        _write_basin(h5, plan, parts, features, f"basinmap{number}")


def _origin(piece: Piece) -> tuple[object, ...]:
    """Return what features have in common that lie in the same rows of one group."""
    group = str(piece.name).rpartition("/")[0]
    return piece.path, group, piece.stored, id(piece.rows)


def _write_basin(
    h5: h5py.File, plan: Plan, parts: list[Input], features: list[str], mapping: str
) -> None:
    first_rows: dict[tuple[object, ...], int] = {}
    used: list[Input] = []
    rows, total = [], 0
    for part in parts:
        piece = part.pieces[features[0]]
        group = _origin(piece)[:3]
        if group not in first_rows:
            first_rows[group] = total
            total += piece.stored
            used.append(part)
        own = np.arange(part.length) if piece.rows is None else piece.rows
        rows.append(own.astype(np.int64) + first_rows[group])
    with h5_lock:
        h5.create_dataset(f"events/{mapping}", data=np.concatenate(rows))
    for name in features:
        pieces: list[Piece | str] = [part.pieces[name] for part in used]
        shape = (total, *parts[0].pieces[name].shape[1:])
        write_virtual(h5, f"{GROUP}/{name}", shape, plan.dtypes[name], pieces)
    definition = {
        "description": "rows that basins of the concatenated files map",
        "features": features,
        "format": "h5dataset",
        "mapping": mapping,
        "name": f"concatenated basins {mapping}",
        "paths": [GROUP],
        "type": "internal",
    }
    text = json.dumps(definition, indent=2)
    key = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    with h5_lock:
        h5.create_dataset(f"basins/{key}", data=np.array(text.split("\n"), "S"))
