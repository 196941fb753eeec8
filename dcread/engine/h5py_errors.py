"""What h5py raises about a file becomes an error of dcread: here, and only here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ChecksumError, ClosedError, DCReadError, FormatError
from ..problems import ignoring, origin_of, text_of
from ..sync.locks import h5_lock

RAISED = (KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError)
"""What h5py raises about objects that are damaged."""


@contextlib.contextmanager
def telling_of(where: str, h5ds: Any) -> Iterator[None]:
    """Turn what h5py raises in a ``with`` block into an error that names a dataset.

    For calls of h5py only: the same exceptions from code of our own are no damage.

    Parameters
    ----------
    where : str
        What error messages call the dataset.
    h5ds : h5py.Dataset
        The dataset.
    """
    try:
        yield
    except DCReadError:
        raise
    except RAISED as exc:
        if origin_of(exc) != "h5py":  # the handler of a signal, or a file object
            raise
        raise own_error(exc, where, h5ds) from exc


def calling_back(iterate: Callable[..., object], func: Any, **options: Any) -> None:
    """Call a function of h5py that calls one of ours, for each of many items.

    What an interrupt raises within ours comes out of h5py as a SystemError, caused by
    it; here it comes out as it is.

    Parameters
    ----------
    iterate : callable
        Of h5py.
    func : callable
        Ours.
    **options : object
        Further arguments.
    """
    try:
        iterate(func, **options)
    except SystemError as exc:
        if exc.__cause__ is None:
            raise
        raise exc.__cause__ from None


def close_file(h5: Any) -> None:
    """Close a file that was only read.

    libhdf5 may fail to let go of what it had half read of a damaged index. Nothing is
    lost by that, and who reads has the error about the index already.
    """
    with h5_lock, ignoring(RuntimeError, OSError):
        h5.close()


def own_error(exc: Exception, where: str, h5ds: Any) -> DCReadError:
    """Return the error that says what h5py said about a dataset."""
    if not h5ds.id.valid:  # closed by its owner meanwhile
        return ClosedError(f"{where} is closed; open the file again")
    text = text_of(exc)
    missing = missing_filters(h5ds)
    if missing:
        return FormatError(f"{where}: {missing}")
    kind = ChecksumError if "checksum" in text else FormatError
    return kind(
        f"{where}: HDF5 cannot read it: {text}; the file is damaged: copy it again"
    )


def missing_filters(h5ds: Any) -> str:
    """Return which filters of a dataset are not installed, and who brings them."""
    from h5py import h5z

    from .filters import bringer_of

    try:
        plist = h5ds.id.get_create_plist()
        numbers = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        missing = [n for n in numbers if not h5z.filter_avail(n)]
    except RAISED:
        return ""
    if not missing:
        return ""
    names = ", ".join(f"{number} ({bringer_of(number)})" for number in missing)
    word = "filter" if len(missing) == 1 else "filters"
    return (
        f"its data need the HDF5 {word} {names}, not installed here; the file itself "
        "may well be good"
    )
