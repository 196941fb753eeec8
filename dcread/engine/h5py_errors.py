"""What h5py raises about a file becomes an error of dcread: here, and only here."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from ..errors import ChecksumError, ClosedError, DCReadError, FormatError
from ..problems import ignoring, origin_of, text_of
from ..sync.locks import h5_lock, times_held

T = TypeVar("T")

RAISED = (KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError)
"""What h5py raises about objects that are damaged."""


@contextlib.contextmanager
def telling_of(where: str, h5ds: Any) -> Iterator[None]:
    """Do `raise_own_error` for what h5py raises in a ``with`` block."""
    try:
        yield
    except RAISED as exc:
        raise_own_error(exc, where, h5ds)
        raise


def raise_own_error(exc: Exception, where: str, h5ds: Any) -> None:
    """Turn what h5py raised (one of `RAISED`) into an error that names a dataset.

    The same exceptions from code of our own are no damage: the caller raises those as
    they are.

    Parameters
    ----------
    exc : Exception
        What was raised.
    where : str
        What error messages call the dataset.
    h5ds : h5py.Dataset
        The dataset.
    """
    if not isinstance(exc, DCReadError) and origin_of(exc) == "h5py":
        raise own_error(exc, where, h5ds) from exc
    # else the handler of a signal, or a file object


def calling_back(iterate: Callable[..., object], func: Any, **options: Any) -> None:
    """Call a function of h5py that calls one of ours, for each of many items.

    What an interrupt raises within ours comes out as it is.

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
        raise_cause(exc)


def call_holding_lock(call: Callable[..., T], *args: Any, **options: Any) -> T:
    """Return what a call returns that makes h5py open or close a file.

    h5py is written in Python there, and takes its lock by a ``with`` of its own. What
    the handler of a signal raises may leave it taken (from Python 3.14 on more often):
    it is given back here.
    """
    before = times_held()
    try:
        with h5_lock:
            return call(*args, **options)
    except BaseException as exc:
        for _ in range(times_held() - before):
            h5_lock.release()
        if isinstance(exc, SystemError):
            raise_cause(exc)
        raise


def raise_cause(exc: SystemError) -> NoReturn:
    """Raise what a function raised that h5py called back, as that function raised it.

    What an interrupt raises there comes out of h5py as a SystemError, caused by it.
    """
    cause: BaseException = exc
    while isinstance(cause, SystemError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if cause is exc:
        raise exc
    raise cause from None


def close_file(h5: Any) -> None:
    """Close a file that was only read.

    libhdf5 may fail to let go of what it had half read of a damaged index. Nothing is
    lost by that, and who reads has the error about the index already.
    """
    with ignoring(RuntimeError, OSError):
        call_holding_lock(h5.close)


_CUT_SHORT = re.compile(
    r"truncated file: eof = (\d+), sblock->base_addr = (\d+), stored_eof = (\d+)"
)


def unreadable(label: object, exc: object, remedy: str) -> FormatError:
    """Return the error for a file that HDF5 does not open."""
    cut = _CUT_SHORT.search(str(exc))
    if cut is None:
        text = f"{label}: expected a readable HDF5 file, found: {exc}; {remedy}"
        return FormatError(text)
    size, claimed = int(cut[1]) + int(cut[2]), int(cut[3])
    return FormatError(
        f"{label}: the file is cut short (truncated file): {size:,} of {claimed:,} "
        "bytes; copy it again when it is complete"
    )


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
        "may be intact"
    )
