"""Files that HDF5 holds open as they were before they changed.

It does as long as any object of the file is alive (a dataset out of ``hd.h5``), whoever
holds it, and would go on with what it knows of it.
"""

from __future__ import annotations

import os

from h5py import h5f, h5fd, h5i

from ..problems import ignoring
from ..sync.locks import h5_lock
from .open_ids import open_ids
from .source import FileIdentity

_first_seen: dict[tuple[int, int], FileIdentity] = {}
"""How files were when HDF5 opened them, by device and inode."""

_MANY = 1024  # of them, from which on those that are closed are forgotten


def opened_before_change(identity: FileIdentity) -> bool:
    """Tell whether HDF5 holds a file open as it was before it changed."""
    key = identity[:2]
    with h5_lock:
        known = _first_seen.get(key)
        if known is not None and known != identity and key in _held_open():
            return True
        if known is None and len(_first_seen) >= _MANY:
            _forget_all_but(_held_open())
        _first_seen[key] = identity
    return False


def _forget_all_but(held: set[tuple[int, int]]) -> None:
    for other in [one for one in _first_seen if one not in held]:
        del _first_seen[other]


def _held_open() -> set[tuple[int, int]]:
    """Return device and inode of all files that HDF5 reads by descriptors."""
    found = set()
    for one in open_ids(h5f.OBJ_ALL):
        # ValueError, RuntimeError, ...: closed meanwhile, or of no file
        with ignoring(OSError, ValueError, RuntimeError, TypeError):
            file = h5i.get_file_id(one)
            if file.get_access_plist().get_driver() in (h5fd.LOG, h5fd.SEC2):
                status = os.fstat(file.get_vfd_handle())
                found.add((status.st_dev, status.st_ino))
    return found
