"""One measurement out of several: a file that refers to its inputs."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import secrets
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..engine.h5py_errors import call_holding_lock
from ..engine.home import absolute
from ..engine.urls import shown
from ..errors import NotAFileError
from ..file.addresses import is_url
from ..file.policy import Policy
from ..file.source_check import check_sources
from ..measurement.data import HDF5Data
from ..sync.worker import call_in_worker, raise_if_given_up
from .new_file import check_target, new_file, refuse_sources
from .plan import make_plan
from .records import Plan
from .write import LIBVER, write_plan

if TYPE_CHECKING:
    import h5py

    from ..engine import Opened

__all__ = ["check_sources", "concatenated_hdf5_data"]

PathLike = str | os.PathLike[str]
Progress = Callable[[float], object]


def concatenated_hdf5_data(
    paths: Iterable[PathLike],
    path_out: bool | PathLike | None = True,
    compute_frame: bool = True,
    features: Iterable[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> HDF5Data:
    """Return a measurement that concatenates others without copying their data.

    The features are virtual datasets: the inputs stay where they are. A record of each
    is stored, and checked whenever the concatenated file is opened: an input that is
    missing, is another measurement, or has another number of events is an error, never
    zeros. One that changed otherwise is read as it is now, and `HDF5Data.problems` says
    so. An input that moved together with the concatenated file is found beside it.

    Parameters
    ----------
    paths : iterable of path
        The inputs, in order; the same file may occur several times. Metadata are
        those of the first. Their logs and tables are copied as ``src-#1_<name>``,
        ``src-#2_<name>``, ...; the log ``dcread-concat`` tells which file is which.
    path_out : True, None, or path
        True for a temporary file, deleted with the returned object; None to keep
        all in memory (such an object cannot be pickled), or the file to write.
    compute_frame : bool
        Whether to compute the feature "frame" (uint64): numbers start at 1 and go
        on from file to file, order and gaps within a file stay. If False, there is
        no such feature. It is left out with a warning if only some inputs have it.
    features : iterable of str, optional
        The features to take. By default those that the first input stores, which all
        must have; and the traces, and the features of its local basins, that all
        have. Rows that basins map are then referred to by a mapped basin inside the
        new file, and copied into it where a feature is named here; only named
        features are taken from remote basins.
    overwrite : bool
        Whether an existing file at `path_out` may be replaced; never an input.
    progress : callable, optional
        Called with the part that is done, from 0 to 1.

    Returns
    -------
    HDF5Data
        The feature "time" is float64 in seconds and goes on from file to file, one
        frame interval after the file before; numbers promote to a common type.

    Raises
    ------
    ValueError
        If there are no inputs, an input lacks a feature, shapes do not agree, or
        the output is one of the inputs.
    FileExistsError
        If `path_out` exists and `overwrite` is False.
    FileMissingError, NotAFileError, FormatError, FileChangedError
        If an input cannot be read, or is a URL.
    PolicyError
        If the default policy does not allow a file that leads to the inputs.

    Warns
    -----
    UserWarning
        For a single input, and for features that are left out. Those stand in the log
        ``dcread-concat`` as well.

    Notes
    -----
    After an error there is no new file and `path_out` is as it was.

    Examples
    --------
    >>> paths = ["demo-output/demo.rtdc", "demo-output/demo.rtdc"]
    >>> with dcread.concatenated_hdf5_data(paths, "joined.rtdc") as joined:
    ...     len(joined), joined["frame"][-1] > joined["frame"][0]
    (6176, np.True_)
    """
    target = _target(path_out)
    files = _inputs(paths)
    wanted = _names(features)
    if target is not None:
        if path_out is not True:
            _refuse_input(target, files)
        check_target(target, overwrite=overwrite)
        for file in dict.fromkeys(files):
            refuse_sources(target, file)
    opened: dict[str, Opened] = {}
    try:
        plan = make_plan(
            files,
            wanted,
            compute_frame=bool(compute_frame),
            progress=_within(progress, 0, 1 / 2),
            opened=opened,
        )
        used = {one.path for part in plan.inputs for one in part.sources}
        _require_allowed(used, None if target is None else target.parent)
        if target is None:
            data = _in_memory(plan, _within(progress, 1 / 2, 1))
        else:
            _refuse_input(target, [pathlib.Path(path) for path in used])
            # (the rest: until the file is on the disk)
            report = _within(progress, 1 / 2, 0.995)
            _write(plan, target, report, overwrite, temporary=path_out is True)
            data = _open_written(target, temporary=path_out is True)
        # What was opened to look at it is about to be read.
        data.handle.linked_files.adopt(opened)
    finally:
        for one in opened.values():
            one.handle.close()
    if progress is not None:
        progress(1.0)
    return data


def _within(progress: Progress | None, start: float, stop: float) -> Progress | None:
    """Return what takes the progress of one step, which is a part of the whole."""
    if progress is None:
        return None
    return lambda done: progress(start + (stop - start) * done)


def _write(
    plan: Plan,
    target: pathlib.Path,
    report: Progress | None,
    overwrite: bool,
    *,
    temporary: bool,
) -> None:
    import h5py

    mode = 0o600 if temporary else 0o666

    def write(tell: Callable[[float], object]) -> None:
        with new_file(target, overwrite=overwrite, mode=mode) as file:
            h5 = call_holding_lock(h5py.File, file, "w", libver=LIBVER)
            try:
                write_plan(h5, plan, tell)
            finally:
                call_holding_lock(h5.close)
            raise_if_given_up()

    call_in_worker(write, report)


def _target(path_out: bool | PathLike | None) -> pathlib.Path | None:
    """Return the file to write; None for memory."""
    if path_out is None:
        return None
    if path_out is True:
        name = f"dcread_concat_{secrets.token_hex(8)}.hdf5"
        return pathlib.Path(tempfile.gettempdir()).absolute() / name
    if isinstance(path_out, (str, os.PathLike)):
        return absolute(path_out)
    raise ValueError(
        f"Invalid type for `path_out`: {type(path_out)} ({path_out}); expected True "
        "for a temporary file, None for memory, or a path"
    )


def _inputs(paths: Iterable[PathLike]) -> list[pathlib.Path]:
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(f"`paths` must be a list of paths, got one path: {paths!r}")
    paths = list(paths)
    for path in paths:
        if is_url(os.fsdecode(path)):
            raise NotAFileError(
                f"{shown(os.fsdecode(path))}: a concatenated file can only refer to "
                "files on this machine; download the measurement first"
            )
    files = [absolute(path) for path in paths]
    if not files:
        raise ValueError("Please specify at least one file in `paths`!")
    if len(files) == 1:
        warnings.warn(
            "Only one file passed to `concatenated_hdf5_data`; this is equivalent to "
            "using `HDF5Data`, but slower.",
            stacklevel=3,
        )
    for file in files:
        try:
            str(file).encode("utf-8")
        except UnicodeEncodeError as exc:
            raise ValueError(
                f"{str(file)!r} is not UTF-8, so HDF5 files cannot refer to it; rename "
                "it"
            ) from exc
    return files


def _names(features: Iterable[str] | None) -> list[str] | None:
    if features is None:
        return None
    if isinstance(features, (str, bytes)):
        raise TypeError(f"features must be a list of names, got the text {features!r}")
    names = list(features)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"features must be names as text, found {name!r} of type "
                f"{type(name).__name__} among them"
            )
    return names


def _require_allowed(used: Iterable[str], folder: pathlib.Path | None) -> None:
    """Raise PolicyError if the new file could not be opened afterwards."""
    policy = Policy.default()
    for path in sorted(used):
        policy.check_path(path, folder)


def _refuse_input(target: pathlib.Path, files: Sequence[pathlib.Path]) -> None:
    """Raise an error if the output is one of the inputs, by whatever name."""
    for file in files:
        with contextlib.suppress(OSError):
            if os.path.samefile(target, file):
                raise ValueError(
                    f"{target} is the same file as the input {file}; choose another "
                    "`path_out`"
                )


def _in_memory(plan: Plan, progress: Progress | None) -> HDF5Data:
    import h5py

    # (not HDF5's own files in memory: 1.14 gives images whose checksum is wrong)
    stream = io.BytesIO()

    def write(tell: Callable[[float], object]) -> None:
        h5 = call_holding_lock(h5py.File, stream, "w", libver=LIBVER)
        try:
            write_plan(h5, plan, tell)
        finally:
            call_holding_lock(h5.close)

    call_in_worker(write, progress)
    name = f"concatenation in memory {secrets.token_hex(4)}"
    return _open_image(stream.getvalue(), name)


def _open_image(image: bytes, name: str) -> HDF5Data:
    """Open the bytes of an HDF5 file without a file.

    HDF5 takes open files in memory of one name for the same file: no other may have
    this name.
    """
    import h5py
    from h5py import h5f, h5p

    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(image)
    fid = h5f.open(name.encode(), h5f.ACC_RDONLY, access)
    h5 = call_holding_lock(h5py.File, fid)
    data = HDF5Data(h5)
    # There is no path; as for measurements from a file object, it is the bytes.
    data.path = io.BytesIO(image)
    weakref.finalize(data, _close, h5)
    return data


def _close(h5: h5py.File) -> None:
    call_holding_lock(h5.close)


def _open_written(target: pathlib.Path, *, temporary: bool) -> HDF5Data:
    try:
        data = HDF5Data(target)
    except BaseException:
        if temporary:
            target.unlink(missing_ok=True)
        raise
    if temporary:
        weakref.finalize(data, _remove, data.handle, target, os.getpid())
    return data


def _remove(handle: Any, path: pathlib.Path, process: int) -> None:
    """Remove a temporary file; not from a forked process that inherited it."""
    if os.getpid() != process:
        return
    handle.close()
    with contextlib.suppress(OSError):
        path.unlink()
