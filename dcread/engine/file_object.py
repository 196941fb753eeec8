"""A caller's binary file object as a source of bytes; what it does wrong is its own."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from ..errors import ClosedError, FileObjectError, FormatError
from ..problems import pass_on, text_of
from ..sync.locks import h5_lock
from .parallel_reads import Sink
from .source import ByteSource


class FileObjectSource(ByteSource):
    """A binary file object, read under the lock of h5py: HDF5 reads it as well.

    An ordinary open file is read without its position, which forked processes share.

    Parameters
    ----------
    stream : binary file object
        With ``seek`` and ``read``; it stays the caller's.
    label : str
        What error messages call it.

    Attributes
    ----------
    fd, label, size
        See `ByteSource`.

    Raises
    ------
    FileObjectError
        If it raises, or gives something else than the bytes that it was asked for.
    ClosedError
        If its owner has closed it.
    """

    def __init__(self, stream: BinaryIO, label: str) -> None:
        self.fd = -1
        self.label = label
        self._stream = stream
        self._has_position = _has_position(stream)
        self._pid = os.getpid()
        for name in ("read", "seek"):
            if not callable(getattr(stream, name, None)):
                raise FormatError(
                    f"{label}: expected a binary file object of an HDF5 file, found "
                    f"one without {name}()"
                )
        with h5_lock:
            size = self._ask("seek", stream.seek, 0, os.SEEK_END)
        if not isinstance(size, int) or size < 0:
            raise self._wrong("seek", f"returned {size!r:.50}, expected its size")
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes.

        Raises
        ------
        FileObjectError, ClosedError
            If the file object does not give them.
        """
        parts: list[bytes] = []
        missing = size
        with h5_lock:
            if self._has_position:
                self._require_own_position()
                self._ask("seek", self._stream.seek, offset)
            while missing:  # raw streams may return less than they were asked for
                if self._has_position:
                    part = self._ask("read", self._stream.read, missing)
                else:
                    at = offset + size - missing
                    part = self._ask("read", self._read_at, missing, at)
                if not isinstance(part, (bytes, bytearray, memoryview)):
                    kind = type(part).__name__
                    raise self._wrong("read", f"returned {kind}, expected bytes")
                if len(part) > missing:
                    more = f"returned {len(part)} bytes, expected {missing} at the most"
                    raise self._wrong("read", more)
                if not part:
                    break
                parts.append(bytes(part))
                missing -= len(part)
        if missing:
            raise self._wrong(
                "read",
                f"returned {size - missing} bytes at byte {offset}, expected {size} of "
                f"the {self.size} that it had at first",
            )
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_at(self, size: int, offset: int) -> bytes:
        return os.pread(self._stream.fileno(), size, offset)

    def _require_own_position(self) -> None:
        if os.getpid() != self._pid and not isinstance(self._stream, io.BytesIO):
            raise FileObjectError(
                f"{self.label}: a forked process cannot read it, since it shares the "
                "position in the file with its parent; open the file again there"
            )

    def _ask(self, name: str, method: Callable[..., Any], *arguments: int) -> Any:
        try:
            return method(*arguments)
        except Exception as exc:
            pass_on(exc)
            if getattr(self._stream, "closed", False) is True:
                raise ClosedError(
                    f"{self.label} was closed by its owner; open it again"
                ) from exc
            text = f"raised {type(exc).__name__}: {text_of(exc)}"
            raise self._wrong(name, text) from exc

    def _wrong(self, name: str, text: str) -> FileObjectError:
        return FileObjectError(
            f"{self.label}: its {name}() {text}; that is an error in the file object, "
            "not of the file"
        )

    def read_ranges(self, ranges: Sequence[tuple[int, int]], sink: Sink) -> None:
        """Read ranges one after the other; see `ByteSource.read_ranges`."""
        for number, (start, stop) in enumerate(ranges):
            sink(number, memoryview(self.read(start, stop - start)))

    def close(self) -> None:
        """Do nothing: the stream is the caller's."""


def _has_position(stream: BinaryIO) -> bool:
    """Tell whether a file object can only be read where it stands."""
    if not hasattr(os, "pread"):
        return True
    raw: object = stream
    if type(raw) is io.BufferedReader:
        raw = raw.raw
    return type(raw) is not io.FileIO
