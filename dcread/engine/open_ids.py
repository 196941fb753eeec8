"""What HDF5 has open, listed without harm to those to whom it belongs."""

from __future__ import annotations

from typing import Any

from h5py import h5f

from ..sync.worker import Report, call_in_worker


def open_ids(types: int) -> list[Any]:
    """Return what HDF5 has open in this process, by whomever.

    h5py makes Python objects of ids that are not its own, by code in Python, and counts
    itself among their owners only afterwards. What a signal handler raises in between
    would have it close the file of somebody else; so this is done by a thread to which
    no signal comes. It gets h5py's lock from a caller who holds it.

    Parameters
    ----------
    types : int
        Of the objects, as `h5py.h5f.OBJ_FILE`.
    """

    def listed(_: Report | None = None) -> list[Any]:
        return list(h5f.get_obj_ids(h5f.OBJ_ALL, types))

    try:
        return call_in_worker(listed)
    except RuntimeError:  # no thread can be started: the interpreter is about to exit
        return listed()
