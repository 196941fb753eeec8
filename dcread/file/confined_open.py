"""Open a file only if it lies in given folders, without a race.

Who compares a resolved path with a folder and opens it afterwards can be led astray in
between, by a folder that is exchanged for a symbolic link. Here each folder is opened
from the one before it, symbolic links are resolved one by one, and a file counts as
inside if one of the folders that were really passed is one of those allowed.
"""

from __future__ import annotations

import errno
import os
import pathlib
import stat
from collections.abc import Collection
from typing import NamedTuple, Self

from ..errors import FileChangedError

MAX_LINKS = 40
"""Symbolic links on the way to one file, as many as Linux follows."""

BY_FOLDERS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether the system can open a name in a folder that is open; Windows cannot."""


class Folder(NamedTuple):
    """A folder that files may lie in.

    Attributes
    ----------
    path : pathlib.Path
        Where it was.
    identity : tuple of int
        Device and inode: they tell it from others, whatever its path becomes.
    """

    path: pathlib.Path
    identity: tuple[int, int]

    @classmethod
    def at(cls, path: pathlib.Path) -> Self:
        """Return the folder that is at a path now."""
        status = os.stat(path)
        return cls(path, (status.st_dev, status.st_ino))


def open_inside(
    path: pathlib.Path, folders: Collection[Folder], flags: int
) -> tuple[int | None, pathlib.Path]:
    """Open a regular file if it lies in one of the folders, or below one.

    Parameters
    ----------
    path : pathlib.Path
        Absolute path. Symbolic links on the way may lead outside and back.
    folders : collection of Folder
        Where it may lie.
    flags : int
        As of ``os.open``.

    Returns
    -------
    int or None
        The descriptor; None if the file lies elsewhere, and was not opened.
    pathlib.Path
        Where the file lies, without symbolic links.

    Raises
    ------
    OSError
        If there is no file, or it cannot be opened.
    FileChangedError
        If the file or the way to it was exchanged meanwhile.
    """
    allowed = {folder.identity for folder in folders}
    way = _open_by_folders if BY_FOLDERS else _open_by_path
    return way(path, allowed, flags)


class _Passed(NamedTuple):
    fd: int
    name: str
    identity: tuple[int, int]


class _Way:
    """The open folders from the root to where a path has led so far."""

    def __init__(self, anchor: str) -> None:
        self.folders: list[_Passed] = []
        self.enter(anchor)

    @property
    def last(self) -> int:
        """The descriptor of the last folder."""
        return self.folders[-1].fd

    def enter(self, name: str) -> None:
        """Open a folder in the last one."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        # A folder that may be passed need not be one that may be listed.
        flags |= getattr(os, "O_PATH", 0)
        fd = os.open(name, flags, dir_fd=self.last if self.folders else None)
        status = os.fstat(fd)
        self.folders.append(_Passed(fd, name, (status.st_dev, status.st_ino)))

    def back_to(self, count: int) -> None:
        """Close folders until `count` are left."""
        while len(self.folders) > count:
            os.close(self.folders.pop().fd)

    def path_of(self, name: str) -> pathlib.Path:
        """Return the path of a name in the last folder."""
        return pathlib.Path(*(folder.name for folder in self.folders), name)


def _open_by_folders(
    path: pathlib.Path, allowed: Collection[tuple[int, int]], flags: int
) -> tuple[int | None, pathlib.Path]:
    way = _Way(path.anchor)
    try:
        return _open_at_end(way, path, allowed, flags)
    finally:
        way.back_to(0)


def _open_at_end(
    way: _Way,
    path: pathlib.Path,
    allowed: Collection[tuple[int, int]],
    flags: int,
) -> tuple[int | None, pathlib.Path]:
    todo = list(reversed(path.parts[1:]))
    links = 0
    while todo:
        name = todo.pop()
        if name in ("", "."):
            continue
        if name == "..":
            way.back_to(max(1, len(way.folders) - 1))
            continue
        mode = os.lstat(name, dir_fd=way.last).st_mode
        if stat.S_ISLNK(mode):
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = os.readlink(name, dir_fd=way.last)
            if target.startswith("/"):
                way.back_to(1)
            todo += reversed(target.split("/"))
        elif stat.S_ISDIR(mode) or todo:
            way.enter(name)
        else:
            real = way.path_of(name)
            if not any(folder.identity in allowed for folder in way.folders):
                return None, real
            return os.open(name, flags | os.O_NOFOLLOW, dir_fd=way.last), real
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def _open_by_path(
    path: pathlib.Path, allowed: Collection[tuple[int, int]], flags: int
) -> tuple[int | None, pathlib.Path]:
    """Open by the resolved path, and see whether it still leads there afterwards.

    Who exchanges folders all the time may be lucky nevertheless: this narrows the
    race, it does not close it.
    """
    real = pathlib.Path(os.path.realpath(path, strict=True))
    if not any(Folder.at(parent).identity in allowed for parent in real.parents):
        return None, real
    fd = os.open(real, flags)
    try:
        opened, found = os.fstat(fd), os.lstat(real)
        if os.path.realpath(real) != str(real) or not os.path.samestat(opened, found):
            raise FileChangedError(f"{path} was replaced while it was opened")
    except BaseException:
        os.close(fd)
        raise
    return fd, real
