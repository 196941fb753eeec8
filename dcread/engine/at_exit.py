"""What is closed when the interpreter ends, for no thread or object to crash it.

HDF5 closes what is open after Python has ended; what it reads through Python is gone by
then.
"""

from __future__ import annotations

import atexit
import contextlib
import time

import h5py
from h5py import h5f, h5fd, h5i

from ..problems import UNREADABLE
from ..sync.locks import h5_lock
from .file_handle import all_handles
from .h5py_errors import close_file

EXIT_SECONDS = 1.0
"""How long Python waits at its end for a thread within h5py."""


def _close_streams() -> None:
    """Close, at the end of the interpreter, what HDF5 reads through Python."""
    for handle in all_handles():
        if handle.owned and handle._h5.id.valid and handle._h5.driver == "fileobj":
            handle.close()
            close_file(handle._h5)  # even if a thread is reading
    if _keep_h5_lock():
        _close_leaked()


def _keep_h5_lock() -> bool:
    """Take the lock of h5py for good, unless a thread goes on reading; tell whether.

    A daemon thread that gets it when Python has ended never gives it back, and the main
    thread needs it to free its objects.
    """
    end = time.monotonic() + EXIT_SECONDS
    while not h5_lock.acquire(False):
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def _close_leaked() -> None:
    """Close streams of which an interrupt within h5py has left an object open.

    HDF5 would close them after Python has ended, and call what is gone by then.
    """
    for one in h5f.get_obj_ids(h5f.OBJ_ALL, h5f.OBJ_ALL):
        with contextlib.suppress(*UNREADABLE):
            file = h5i.get_file_id(one) if one.valid else None
            if file is None or b"<dcread." not in file.name:
                continue
            if file.get_access_plist().get_driver() == h5fd.fileobj_driver:
                h5py.File(file).close()


atexit.register(_close_streams)
