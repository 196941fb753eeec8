"""Files whose end is missing, as a copy leaves them that broke off."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_END_OF_FILE = {0: 40, 1: 44, 2: 28, 3: 28}
"""Where the superblock says how long the file is, by its version (8-byte offsets)."""
_OFFSET_SIZE = {0: 13, 1: 13, 2: 9, 3: 9}


class TornFile(io.RawIOBase):
    """A file as long as it should be; reading what is missing raises an error.

    Parameters
    ----------
    path : str or path-like
        The file.
    claimed : int
        How long it should be.
    """

    def __init__(self, path: str | os.PathLike[str], claimed: int) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  (closed by close)
        self._size = os.fstat(self._file.fileno()).st_size
        self._claimed = claimed
        self._place = 0

    @property
    def missing(self) -> str:
        """What is missing."""
        return f"the file is cut short: {self._size:,} of {self._claimed:,} bytes"

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move in the file as it should be."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._claimed}
        self._place = start[whence] + offset
        return self._place

    def tell(self) -> int:
        """Return the position."""
        return self._place

    def readinto(self, buffer: Buffer, /) -> int:
        """Read bytes that are there, all that are asked for.

        Raises
        ------
        OSError
            If some of them are missing.
        """
        view = memoryview(buffer).cast("B")
        stop = min(self._place + len(view), self._claimed)
        if stop > self._size:
            raise OSError(
                f"{self.missing}; bytes {self._place:,} to {stop:,} are not there"
            )
        self._file.seek(self._place)
        size = 0
        while size < stop - self._place:
            number = self._file.readinto(view[size : stop - self._place])
            if not number:
                raise OSError(
                    f"the file ended while it was read, at {self._place + size:,}"
                )
            size += number
        self._place += size
        return size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def open_torn(path: str | os.PathLike[str]) -> TornFile | None:
    """Open a file whose end is missing; None if that is not what is wrong with it."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            size = os.fstat(file.fileno()).st_size
    except (OSError, TypeError, ValueError):
        return None
    if len(head) < 64 or not head.startswith(SIGNATURE):
        return None
    version = head[8]
    if version not in _END_OF_FILE or head[_OFFSET_SIZE[version]] != 8:
        return None
    place = _END_OF_FILE[version]
    claimed = int.from_bytes(head[place : place + 8], "little")
    return TornFile(path, claimed) if claimed > size else None
