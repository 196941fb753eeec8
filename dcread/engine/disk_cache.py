"""Bytes of remote files on this machine's disk, for processes to come.

Each piece is a file of its own, in a folder for the state of the remote file (URL less
its signature, strong ETag, size), with a keyed hash of that state, its place and its
bytes at the end. What does not agree is removed and fetched again. See the decision
record on the disk cache.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import secrets
import stat
import warnings
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from ..problems import pass_on
from ..sync.locks import BriefLock
from .source import RemoteIdentity

HASH = 32
"""Bytes of a hash, and of the key."""

KEPT = 0.9
"""Part of the limit that is left when the cache is made smaller."""

_NAME = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,16})")
_PIECE = re.compile(rf"{_NAME.pattern}(\.[0-9a-f]{{12}}\.part)?")
_HASHED = re.compile(r"[0-9a-f]{32}")


Span = tuple[int, int]


class _Piece(NamedTuple):
    path: pathlib.Path
    size: int
    used: float


class DiskCache:
    """A folder with pieces of remote files, of bounded size.

    Several processes may use it at once. Whatever fails on the disk switches it off for
    this process, with one warning.

    Parameters
    ----------
    folder : pathlib.Path
        Its own folder; made if need be.
    max_bytes : int
        Most bytes in it.
    """

    def __init__(self, folder: pathlib.Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._lock = BriefLock()
        self._held: int | None = None
        self._key: bytes | None = None
        self._failed = False

    def of(self, identity: RemoteIdentity) -> FilePieces | None:
        """Return what is kept of a state of a file; None if nothing can be kept."""
        if self._failed or not identity.is_certain:
            return None
        try:
            key = self._secret()
            return FilePieces(self, self._place(identity.url, key), identity, key)
        except OSError as exc:
            pass_on(exc)
            self.fail(exc)
            return None

    def knows(self, url: str) -> bool:
        """Tell whether there is something of a URL, of whatever state."""
        if self._failed or not (self.folder / "key").exists():
            return False
        try:
            with os.scandir(self._place(url, self._secret())) as found:
                return any(found)
        except OSError as exc:
            pass_on(exc)
            return False  # (`of` will tell)

    def _place(self, url: str, key: bytes) -> pathlib.Path:
        parts = urlsplit(url)
        origin = quote(f"{parts.scheme}://{parts.netloc}", safe="")[:200]
        return self.folder / origin / _hash(key, url.encode())[:16].hex()

    def _secret(self) -> bytes:
        """Return the key of this folder, made on first use."""
        if self._key is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_own(self.folder)
            path = self.folder / "key"
            is_there = path.exists()
            key = path.read_bytes() if is_there else b""
            if len(key) != HASH:  # (only one that is damaged is replaced)
                _write(path, secrets.token_bytes(HASH), replace=is_there)
                key = path.read_bytes()
            self._key = key
        return self._key

    def write(self, path: pathlib.Path, data: bytes) -> bool:
        """Write a piece, after making room for it; tell whether it is there."""
        with self._lock:
            if self._failed or len(data) > self.max_bytes * KEPT:
                return False
            try:
                if self._held is None or self._held + len(data) > self.max_bytes:
                    self._held = self._shrink(self.max_bytes - len(data))
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(path, data)
                self._held += len(data)
            except FileNotFoundError:
                return False  # another process made room, or empties the folder
            except OSError as exc:
                pass_on(exc)
                self.fail(exc)
                return False
            return True

    def _shrink(self, limit: int) -> int:
        """Remove what was not used for longest, if there is too much; return the rest.

        What other processes wrote meanwhile is counted here, too.
        """
        found = sorted(pieces(self.folder), key=lambda piece: piece.used)
        held = sum(piece.size for piece in found)
        if held <= limit:
            return held
        for piece in found:
            if held <= min(limit, KEPT * self.max_bytes):
                break
            piece.path.unlink(missing_ok=True)
            held -= piece.size
        return held

    def fail(self, exc: OSError) -> None:
        """Go on without the disk."""
        if self._failed:
            return
        self._failed = True
        reason = exc.strerror or exc
        warnings.warn(
            f"{self.folder}: nothing more is kept on the disk: {reason}; make room or "
            "choose another folder for the disk cache",
            UserWarning,
            stacklevel=2,
        )


# (functions: CPython 3.12 and 3.13 may lose a lock whose block has such a loop)
def _touching(spans: list[Span], start: int, stop: int) -> list[Span]:
    """Give the pieces that have a part in some bytes."""
    return [span for span in spans if span[0] < stop and start < span[1]]


def _without(spans: list[Span], gone: list[Span]) -> list[Span]:
    return [span for span in spans if span not in gone]


class FilePieces:
    """Pieces of one state of a remote file.

    Parameters
    ----------
    cache : DiskCache
        Where they are kept.
    place : pathlib.Path
        Folder for all states of the file.
    identity : RemoteIdentity
        The state.
    key : bytes
        Of the cache.
    """

    def __init__(
        self,
        cache: DiskCache,
        place: pathlib.Path,
        identity: RemoteIdentity,
        key: bytes,
    ) -> None:
        self._cache = cache
        self._key = key
        self._state = json.dumps([identity.url, identity.etag, identity.size]).encode()
        self._folder = place / _hash(key, self._state)[:16].hex()
        self._lock = BriefLock()
        self._spans = sorted(self._listed())
        self._longest = max((stop - start for start, stop in self._spans), default=0)

    def _listed(self) -> Iterator[Span]:
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as found:
            for entry in found:
                if match := _NAME.fullmatch(entry.name):
                    start, stop = (int(text, 16) for text in match.groups())
                    if start < stop:
                        yield start, stop

    def read_into(self, start: int, view: memoryview) -> int:
        """Fill a view from its beginning; return how many bytes are right there."""
        done = 0
        while done < len(view):
            place = start + done
            span = self._covering(place)
            if span is None:
                break
            data = self._checked(*span)
            if data is None:
                with self._lock:
                    self._spans = _without(self._spans, [span])
                continue
            part = data[place - span[0] :][: len(view) - done]
            view[done : done + len(part)] = part
            done += len(part)
        return done

    def _covering(self, place: int) -> Span | None:
        """Return the piece that reaches farthest from a byte on."""
        with self._lock:
            low = bisect.bisect_left(self._spans, (place - self._longest, 0))
            high = bisect.bisect_left(self._spans, (place + 1, 0))
            near = self._spans[low:high]
        farthest = max(near, key=lambda span: span[1], default=None)
        return farthest if farthest and farthest[1] > place else None

    def _checked(self, start: int, stop: int) -> memoryview | None:
        """Return a piece; None, and it is removed, if it is not what was written."""
        path = self._path(start, stop)
        try:
            fd = os.open(path, os.O_RDONLY | _NO_LINKS)
            with open(fd, "rb") as file:
                data = memoryview(file.read(stop - start + HASH + 1))
            whole = len(data) == stop - start + HASH
            if whole and hmac.compare_digest(
                self._seal(start, data[:-HASH]), data[-HASH:]
            ):
                with contextlib.suppress(OSError):
                    os.utime(path)  # what is used stays longer
                return data[:-HASH]
        except OSError:
            pass  # removed by another process, or no file
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def put(self, start: int, data: bytes | memoryview) -> None:
        """Keep bytes of the file."""
        stop = start + len(data)
        sealed = b"".join([data, self._seal(start, data)])
        if stop > start and self._cache.write(self._path(start, stop), sealed):
            with self._lock:
                if (start, stop) not in self._spans:
                    bisect.insort(self._spans, (start, stop))
                self._longest = max(self._longest, stop - start)

    def forget(self, start: int, stop: int) -> None:
        """Remove the pieces that have a part in some bytes."""
        with self._lock:
            gone = _touching(self._spans, start, stop)
            self._spans = _without(self._spans, gone)
        for span in gone:
            with contextlib.suppress(OSError):
                self._path(*span).unlink()

    def _path(self, start: int, stop: int) -> pathlib.Path:
        return self._folder / f"{start:x}-{stop:x}"

    def _seal(self, start: int, data: bytes | memoryview) -> bytes:
        return _hash(self._key, self._state, b"%d\0" % start, data)


def pieces(folder: pathlib.Path) -> Iterator[_Piece]:
    """Yield the pieces in the folder of a cache, those that are being written included.

    Nothing else: the folder may hold what is not ours.
    """
    for root, _, names in os.walk(folder):
        place = pathlib.Path(root)
        if not _is_place(place.relative_to(folder).parts):
            continue
        for name in names:
            if _PIECE.fullmatch(name):
                with contextlib.suppress(OSError):
                    status = (place / name).lstat()
                    yield _Piece(place / name, status.st_size, status.st_mtime)


def _is_place(parts: tuple[str, ...]) -> bool:
    """Tell whether folders are those of one state of a file: see `FilePieces`."""
    return (
        len(parts) == 3
        and "%3A%2F%2F" in parts[0]
        and all(map(_HASHED.fullmatch, parts[1:]))
    )


def usage(folder: pathlib.Path) -> dict[str, int]:
    """Return the bytes that are kept, by origin."""
    found: dict[str, int] = {}
    for piece in pieces(folder):
        origin = unquote(piece.path.relative_to(folder).parts[0])
        found[origin] = found.get(origin, 0) + piece.size
    return dict(sorted(found.items()))


def clear(folder: pathlib.Path) -> None:
    """Remove the pieces of a cache; processes that use it go on."""
    if folder.is_symlink() or not folder.is_dir():
        return
    emptied: set[pathlib.Path] = set()
    for piece in pieces(folder):
        piece.path.unlink(missing_ok=True)
        emptied.update(piece.path.relative_to(folder).parents)
    (folder / "key").unlink(missing_ok=True)
    for empty in sorted(emptied, key=lambda path: len(path.parts), reverse=True):
        with contextlib.suppress(OSError):  # something else is in it
            (folder / empty).rmdir()


_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def _hash(key: bytes, *parts: bytes | memoryview) -> bytes:
    found = hashlib.blake2b(key=key, digest_size=HASH)
    for part in parts:
        found.update(b"%d\0" % len(part))
        found.update(part)
    return found.digest()


def _require_own(folder: pathlib.Path) -> None:
    """Raise an OSError if others may write into a folder."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(0, "it is not a folder", str(folder))
    if os.name == "posix" and (
        status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        raise PermissionError(0, "other users may write into it", str(folder))


def _write(path: pathlib.Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file that is there as a whole, or not at all."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(6)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS
    fd = os.open(beside, flags, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(data)
        if replace:
            os.replace(beside, path)
        else:
            try:
                os.link(beside, path)
            except FileExistsError:
                pass  # another process was quicker
            except OSError:  # no links here
                os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
