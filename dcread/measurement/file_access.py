"""The file behind `HDF5Data`: whether it is open, and which one it is."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ..errors import ClosedError
from ..sync.loading_cache import LoadingCache
from . import origin

if TYPE_CHECKING:
    import h5py

    from ..engine import FileHandle


class FileAccess:
    """The open file, and its checksum."""

    _handle: FileHandle
    _target: Any
    _once: LoadingCache

    @property
    def closed(self) -> bool:
        """Whether the measurement, or the h5py file it was made of, is closed."""
        return self._handle.closed

    def _raise_if_closed(self) -> None:
        if self.closed:
            raise ClosedError(
                f"{self._handle.label} is closed; open it again to read from it"
            )

    @property
    def handle(self) -> FileHandle:
        """The open file, as the engine has it."""
        self._raise_if_closed()
        return self._handle

    @property
    def h5(self) -> h5py.File:
        """The open h5py file."""
        return self._handle.h5

    @property
    def md5_5m(self) -> str:
        """MD5 sum of the first 5 MiB of the file."""
        self._raise_if_closed()
        make = functools.partial(origin.checksum, self._handle, self._target)
        return self._once.get("md5", make)

    @md5_5m.setter
    def md5_5m(self, md5_5m: str) -> None:
        self._once.put("md5", md5_5m)
