"""New files: complete or absent, never over what is there unless that is wanted."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import secrets
import stat
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..engine.home import absolute
from ..errors import FileMissingError, NotAFileError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ..measurement.data import HDF5Data


class PatientFile(io.RawIOBase):
    """A file that remembers the first failed write instead of raising.

    The HDF5 library cannot close a file whose last writes fail (disk full), and
    keeps it open for the rest of the process. So it is told that all is well, and
    `raise_failure` raises afterwards what went wrong.
    """

    _raw: io.RawIOBase

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = self._file = raw
        self.failure: OSError | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move in the file."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._raw.tell()

    def readinto(self, buffer: Buffer, /) -> int:
        """Read into a buffer."""
        return self._raw.readinto(buffer) or 0

    def write(self, data: Buffer, /) -> int:
        """Write all of `data`, or remember why not."""
        view = memoryview(data).cast("B")
        start = self._raw.tell()
        done = 0
        try:
            while self.failure is None and done < len(view):
                done += self._raw.write(view[done:]) or 0
        except OSError as exc:
            self.failure = exc
        self._raw.seek(start + len(view))
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the length of the file, or remember why not."""
        size = self._raw.tell() if size is None else size
        try:
            self._raw.truncate(size)
        except OSError as exc:
            self.failure = self.failure or exc
        return size

    def raise_failure(self) -> None:
        """Raise the first failure, if there was one."""
        if self.failure is not None:
            raise self.failure

    def sync(self) -> None:
        """Bring the bytes to the disk."""
        os.fsync(self._file.fileno())

    def give_up(self) -> None:
        """Write nothing any more: an interrupt may have left HDF5 an open object.

        HDF5 then writes the rest when Python ends, and dies if that raises.
        """
        self._raw = _Nowhere()


class _Nowhere(io.RawIOBase):
    """Takes all that is written, and keeps nothing."""

    _position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Buffer, /) -> int:
        return 0

    def write(self, data: Buffer, /) -> int:
        return len(memoryview(data))

    def truncate(self, size: int | None = None, /) -> int:
        return size or 0


@contextlib.contextmanager
def new_file(
    target: pathlib.Path, *, overwrite: bool, mode: int = 0o666
) -> Iterator[PatientFile]:
    """Write a file beside `target`; rename it when the block ends without error.

    After an error there is nothing new on disk, and `target` is as it was.

    Parameters
    ----------
    target : pathlib.Path
        Where the file shall be.
    overwrite : bool
        Whether a regular file that is there may be replaced.
    mode : int
        Permissions, less the process's umask.

    Raises
    ------
    FileExistsError
        If `target` exists (also if it appears while the block runs) and
        `overwrite` is False.
    NotAFileError
        If `target` is a directory, a device, or the like.
    FileNotFoundError, OSError
        If its folder is missing, not writable or full; with the target's name.
    """
    check_target(target, overwrite=overwrite)
    target = _final(target)
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        # Exclusive: never through a link that somebody put there.
        raw = io.FileIO(
            beside, "x+", opener=lambda path, flags: os.open(path, flags, mode)
        )
    except FileNotFoundError as exc:
        raise FileNotFoundError(
            exc.errno, "there is no folder to write the file to", str(target)
        ) from exc
    file = PatientFile(raw)
    try:
        with raw:
            yield file
            file.raise_failure()
            file.sync()
        _publish(beside, target, overwrite=overwrite)
    except BaseException as exc:
        file.give_up()
        with contextlib.suppress(OSError):
            beside.unlink()
        # A failed write is the reason for whatever the HDF5 library says after it.
        reason = file.failure or exc
        if isinstance(reason, OSError) and reason.errno and not reason.filename:
            raise OSError(reason.errno, reason.strerror, str(target)) from exc
        raise


def check_target(target: pathlib.Path, *, overwrite: bool) -> None:
    """Raise the error that `new_file` would, without writing anything."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        if not target.is_symlink() or overwrite:
            return
        raise _exists(target) from None
    if not stat.S_ISREG(status.st_mode):
        raise NotAFileError(
            f"{target}: expected a place for a regular file, found something else "
            "there; choose another name"
        )
    if not overwrite:
        raise _exists(target)


def refuse_inputs(
    target: pathlib.Path, inputs: Iterable[str | os.PathLike[str]]
) -> None:
    """Raise ValueError if a file to write is one that is read, by whatever name.

    Parameters
    ----------
    target : pathlib.Path
        Where the new file shall be; maybe a link.
    inputs : iterable of path
        What is read; URLs are no files.
    """
    try:
        status = os.stat(target)
    except OSError:
        return
    for path in inputs:
        with contextlib.suppress(OSError, FileMissingError):
            if os.path.samestat(status, os.stat(absolute(path))):
                raise ValueError(
                    f"{target} is the same file as the input {os.fspath(path)}; choose "
                    "another name"
                )


def refuse_sources(
    target: pathlib.Path, measurement: HDF5Data | str | os.PathLike[str]
) -> None:
    """Raise ValueError if a file to write is a measurement, or one that it depends on.

    Its basins are looked for only if there is something to replace.
    """
    if not os.path.exists(target):
        return
    from ..measurement.data import HDF5Data

    if isinstance(measurement, HDF5Data):
        refuse_inputs(target, measurement.local_files())
    else:
        refuse_inputs(target, [measurement])
        with HDF5Data(measurement) as hd:
            refuse_inputs(target, hd.local_files())


def _final(target: pathlib.Path) -> pathlib.Path:
    """Return the file that is meant where `target` is a symbolic link."""
    return pathlib.Path(os.path.realpath(target)) if target.is_symlink() else target


def _exists(target: pathlib.Path) -> FileExistsError:
    return FileExistsError(
        f"{target} already exists; pass overwrite=True to replace it"
    )


def _publish(beside: pathlib.Path, target: pathlib.Path, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(beside, target)
    else:
        _rename_to_new(beside, target)
    if os.name == "posix":
        # The name is on the disk only when the folder is.
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)


def _rename_to_new(beside: pathlib.Path, target: pathlib.Path) -> None:
    """Rename without ever replacing anything."""
    try:
        os.link(beside, target)
    except FileExistsError:
        raise _exists(target) from None
    except (OSError, NotImplementedError):
        # No hard links here (FAT, some network drives): look, then rename.
        if os.path.lexists(target):
            raise _exists(target) from None
        os.rename(beside, target)
    else:
        beside.unlink()
