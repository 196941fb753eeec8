"""A file behind a URL: byte ranges over HTTP, each answer checked before it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ..errors import FileChangedError, FormatError, RemoteError
from ..sync.background import BackgroundThread
from ..sync.loading_cache import this_thread
from ..sync.locks import BriefLock, letting_go
from .byte_ranges import RangeLimits
from .disk_cache import DiskCache, FilePieces
from .endpoint import endpoint_of
from .http_client import HTTPClient
from .http_exchange import Answer
from .http_failures import DeniedError
from .parallel_reads import Sink, read_side_by_side
from .range_answers import (
    check_part,
    check_whole,
    identity_of_answer,
    no_ranges,
    read_body,
    wrong_answer,
)
from .source import ByteSource, RemoteIdentity
from .stop import Stop
from .urls import shown

T = TypeVar("T")

GAP = 2**17
LEAST = 2**18
MOST = 2**21
"""Bytes of ranges; measured, see the decision record on depth."""

HEAD = 2**16
"""Bytes at the start and the end of a file that are asked for first."""

AHEAD = 2
"""Connections that are made beside those of the first round, for the next one."""


class RemoteSource(ByteSource):
    """A file behind an http or https URL.

    Parameters
    ----------
    url : str
        Where it lies, its signature included.
    client : HTTPClient
        The connections; closed with the source.
    renew : callable, optional
        Returns a URL with a new signature, for one that expires.
    expected : RemoteIdentity, optional
        The state that the file must have.
    disk : DiskCache, optional
        Where bytes are kept for other processes.

    Attributes
    ----------
    label : str
        The URL as messages show it: without its query.
    identity : RemoteIdentity
        Known after `open`.
    known : callable
        ``known(start, stop)`` returns bytes that are in memory already, else None.
    """

    piece = MOST

    def __init__(
        self,
        url: str,
        client: HTTPClient,
        *,
        renew: Callable[[], str] | None = None,
        expected: RemoteIdentity | None = None,
        disk: DiskCache | None = None,
    ) -> None:
        self.label = shown(url)
        self.size = 0
        self.is_far = True
        self.client = client
        self.identity: RemoteIdentity | None = None
        self.range_limits = RangeLimits(client.limits.connections, GAP, LEAST, MOST)
        self.known: Callable[[int, int], bytes | None] = lambda _start, _stop: None
        self._url = url
        self._renew = renew
        self._expected = expected
        self._disk = disk
        self._pieces: FilePieces | None = None
        self._renewing = BriefLock()
        self._denied: set[str] = set()

    # -- the first round

    def open(self, *, tail: bool = True) -> list[tuple[int, bytes]]:
        """Ask for the head and the tail of the file; return them with their offsets.

        Parameters
        ----------
        tail : bool
            Whether the tail is wanted, too.

        Raises
        ------
        RemoteError, FileMissingError, PolicyError
            If there is no file, or no ranges of it to be had.
        FileChangedError
            If it is not the expected one.
        """
        wanted = [f"bytes=0-{HEAD - 1}", f"bytes=-{HEAD}"][: 1 + tail]
        found: dict[str, tuple[int, bytes, RemoteIdentity] | None] = {}
        failures: dict[str, BaseException] = {}

        def ask(text: str) -> None:
            try:
                found[text] = self._ask_unpinned(text)
            except BaseException as exc:
                failures[text] = exc

        asking = BackgroundThread(lambda: ask(wanted[-1]), awaited=False)
        if tail:
            asking.start()
            most = self.client.limits.connections
            self.client.connect_ahead(self._url, min(AHEAD, most - len(wanted)))
        ask(wanted[0])
        if tail:
            asking.join()
        if wanted[0] in failures:
            raise failures[wanted[0]]
        head = found[wanted[0]]
        if head is None:
            raise no_ranges(self.label)
        self._pin(head[2])
        if tail:
            self._connect_for_more(len(wanted) + AHEAD)
        parts = [(head[0], head[1])]
        if tail and wanted[1] in found and (last := found[wanted[1]]) is not None:
            if last[2] != self.identity:
                raise self._changed(last[2])
            parts.append((last[0], last[1]))
        # (a server without suffix ranges is no reason to fail)
        if self._pieces is not None:
            for start, data in parts:
                self._pieces.put(start, data)
        return parts

    def _connect_for_more(self, made: int) -> None:
        """Make the other connections that a large file uses, if that takes long."""
        most = self.client.limits.connections
        is_large = self.size >= most * MOST
        if is_large and endpoint_of(self._url).scheme == "https":
            self.client.connect_ahead(self._url, most - made)

    def _pin(self, identity: RemoteIdentity) -> None:
        if self._expected is not None and identity != self._expected:
            raise FileChangedError(
                f"{self.label} is not the file that was expected: "
                f"{_difference(self._expected, identity)}; open it again"
            )
        self.identity = identity
        self.size = identity.size
        if self._disk is not None:
            self._pieces = self._disk.of(identity)

    def _ask_unpinned(self, text: str) -> tuple[int, bytes, RemoteIdentity] | None:
        """Ask for a range of a file of unknown size; None if ranges are ignored."""
        what = f"the {'last' if text.startswith('bytes=-') else 'first'} bytes"

        def receive(answer: Answer) -> tuple[int, bytes, RemoteIdentity] | None:
            if answer.status in {200, 416, 501}:
                check_whole(answer, self.label, what)
                return None
            start, stop, size = check_part(answer, self.label, what)
            if text.startswith("bytes=-"):
                expected = (max(0, size - HEAD), size)
            else:
                expected = (0, min(HEAD, size))
            if (start, stop) != expected:
                raise wrong_answer(
                    self.label, what, _bytes(*expected), _bytes(start, stop)
                )
            data = bytearray(stop - start)
            read_body(answer, memoryview(data))
            return start, bytes(data), identity_of_answer(answer, self._url, size)

        return self._get({"Range": text}, receive, what, HEAD, None)

    # -- checked answers

    def read_ranges(self, ranges: Sequence[tuple[int, int]], sink: Sink) -> None:
        """Ask for ranges side by side; see `ByteSource.read_ranges`.

        What is read ahead comes after what others have asked for.
        """
        if this_thread.is_ahead:
            letting_go(self.client.wait_for_others)
        read_side_by_side(
            ranges,
            self._read_into,
            sink,
            depth=self.client.at_once,
            cut=self.parts_of,
            stop=self.client.stop,
        )

    def _read_into(self, start: int, view: memoryview, stop: Stop) -> None:
        end = start + len(view)
        if not len(view):
            return
        known = self.known(start, end)
        if known is not None:
            view[:] = known
            return
        if self.identity is None or start < 0 or end > self.size:
            raise FormatError(
                f"{self.label}: expected bytes {start}-{end - 1}, found a file of "
                f"{self.size} bytes; the file is damaged: copy it again"
            )
        if self._pieces is not None:
            done = self._pieces.read_into(start, view)
            start, view = start + done, view[done:]
            if not len(view):
                return
        what = _bytes(start, end)
        headers = {"Range": f"bytes={start}-{end - 1}"}
        if self.identity.etag:
            headers["If-Match"] = self.identity.etag

        def receive(answer: Answer) -> None:
            if answer.status == 412:
                raise FileChangedError(
                    f"{self.label} changed after it was opened; open it again"
                )
            if answer.status == 416:
                raise self._changed(None)
            if answer.status == 200:
                check_whole(answer, self.label, what)
            got = check_part(answer, self.label, what)
            now = identity_of_answer(answer, self._url, got[2])
            if now != self.identity:
                raise self._changed(now)
            if got[:2] != (start, end):
                raise wrong_answer(self.label, what, what, _bytes(*got[:2]))
            read_body(answer, view)

        self._get(headers, receive, what, len(view), stop)
        if self._pieces is not None:
            self._pieces.put(start, view)

    def _get(
        self,
        headers: Mapping[str, str],
        receive: Callable[[Answer], T],
        what: str,
        size: int,
        stop: Stop | None,
    ) -> T:
        """Ask; with a new signature or the original address if access is denied."""
        url = self._url
        for attempt in range(2):
            try:
                return self.client.get(
                    url, headers, receive, what=what, size=size, stop=stop
                )
            except DeniedError as exc:
                fresh = None if attempt else self._fresh_url(url)
                if fresh is None:
                    raise RemoteError(
                        f"{self.label}, {what}: {exc}; the address may have expired, "
                        "or the file needs Credentials for this server"
                    ) from exc
                url = fresh
        raise AssertionError("two attempts either return or raise")

    def _fresh_url(self, denied: str) -> str | None:
        """Return another URL to try, once for all threads that were denied."""
        with self._renewing:
            if self._url != denied:
                return self._url  # another thread was quicker
            moved = self.client.forget_redirects()
            if self._renew is not None and denied not in self._denied:
                self._denied.add(denied)  # the same one again is final
                self._url = self._renew()
            return self._url if moved or self._url != denied else None

    def _changed(self, now: RemoteIdentity | None) -> FileChangedError:
        difference = ""
        if now is not None and self.identity is not None:
            difference = f": {_difference(self.identity, now)}"
        return FileChangedError(
            f"{self.label} changed after it was opened{difference}; open it again"
        )

    def has_in_memory(self, start: int, stop: int) -> bool:
        """Tell whether bytes were read together with the structure of the file."""
        return self.known(start, stop) is not None

    def check(self) -> None:
        """Do nothing: each answer was held against the identity."""

    def forget(self, start: int, stop: int) -> None:
        """Drop bytes of the disk cache: they may have been damaged on the way."""
        if self._pieces is not None:
            self._pieces.forget(start, stop)

    def interrupt(self) -> None:
        """End all that is under way."""
        self.client.close()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def _bytes(start: int, stop: int) -> str:
    return f"bytes {start}-{stop - 1}"


def _difference(expected: RemoteIdentity, found: RemoteIdentity) -> str:
    names = {"size": "size", "etag": "ETag", "last_modified": "Last-Modified"}
    for field, name in names.items():
        old, new = getattr(expected, field), getattr(found, field)
        if old != new:
            return f"its {name} was {old or 'not given'} and is {new or 'not given'}"
    return f"it was {expected.url}"
