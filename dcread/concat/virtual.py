"""Writing a virtual dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..sync.locks import h5_lock
from .records import Piece

if TYPE_CHECKING:
    import h5py


def write_virtual(
    h5: h5py.File,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    pieces: list[Piece | str],
) -> None:
    """Write a dataset that refers to the datasets of pieces, one after the other.

    A text instead of a piece names a dataset in the new file.
    """
    from h5py import h5d, h5p, h5s, h5t

    group, _, member = name.rpartition("/")
    space = h5s.create_simple(shape)
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    if dtype.kind == "f":
        # Readers that do not check the sources shall at least see NaN.
        plist.set_fill_value(np.array(np.nan, dtype))
    start = 0
    for piece in pieces:
        if isinstance(piece, str):
            path, dataset, rows = ".", piece, len(h5[piece])
        else:
            path, dataset, rows = str(piece.path), str(piece.name), piece.stored
        part = (rows, *shape[1:])
        space.select_hyperslab((start, *[0] * len(shape[1:])), part)
        # In names of sources, HDF5 takes a percent sign for a placeholder.
        file, source = path.replace("%", "%%"), dataset.replace("%", "%%")
        plist.set_virtual(
            space, file.encode(), source.encode(), h5s.create_simple(part)
        )
        start += rows
    space.select_all()
    with h5_lock:
        kind = h5t.py_create(dtype, logical=True)
        h5d.create(h5.require_group(group).id, member.encode(), kind, space, plist)
