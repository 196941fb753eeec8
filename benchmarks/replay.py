"""Requests that were made, made again: what they take if nobody looks at their bytes.

One thread sends them by as many connections, each of them as soon as those have been
answered that had been answered when it was sent first: that a request waited for the
address in the answer to another one is kept, whatever was done with the bytes is not.
"""

from __future__ import annotations

import math
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

PIECE = 2**20


class Request(NamedTuple):
    """A range that a server was asked for.

    Attributes
    ----------
    connection : int
        Which one it came by.
    start, stop : int
        The bytes.
    arrived, answered : float
        Seconds: when the server had the request, and when it had sent the last byte.
    """

    connection: int
    start: int
    stop: int
    arrived: float
    answered: float


def rounds_of(requests: Sequence[Request]) -> int:
    """Return how many rounds of requests there were.

    A request belongs to the round after the last one of which an answer was complete
    before it arrived.
    """
    rounds: list[int] = []
    ordered = sorted(requests, key=lambda one: one.arrived)
    for request in ordered:
        before = zip(ordered, rounds, strict=False)
        rounds.append(
            1
            + max(
                (number for one, number in before if one.answered < request.arrived),
                default=0,
            )
        )
    return max(rounds, default=0)


class _Line:
    """A connection, and what is still to be asked for by it."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.waiting = sorted(requests, key=lambda one: -one.arrived)
        self.asked: Request | None = None
        self.sock: socket.socket | None = None
        self.head = b""
        self.left = 0

    def ask(self, address: tuple[str, int], host: str) -> socket.socket:
        """Send the next request; connect before, the first time."""
        self.asked = self.waiting.pop()
        if self.sock is None:
            self.sock = socket.create_connection(address)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head, self.left = b"", -1
        asked = f"bytes={self.asked.start}-{self.asked.stop - 1}"
        text = f"GET /again HTTP/1.1\r\nHost: {host}\r\nRange: {asked}\r\n\r\n"
        self.sock.sendall(text.encode())
        return self.sock

    def receive(self, buffer: bytearray) -> bool:
        """Take what has come, and tell whether that was the last of an answer."""
        assert self.sock is not None
        assert self.asked is not None
        count = self.sock.recv_into(buffer)
        assert count, "the server hung up"
        if self.left < 0:
            self.head += buffer[:count]
            head, end, body = self.head.partition(b"\r\n\r\n")
            if not end:
                return False
            assert head.startswith(b"HTTP/1.1 206 "), head
            self.left, count = self.asked.stop - self.asked.start, len(body)
        self.left -= count
        return not self.left


def replay(
    origin: str,
    requests: Sequence[Request],
    arrived: Callable[[Request], object] = lambda _: None,
) -> float:
    """Return the seconds that the same requests take, whose bytes are thrown away.

    Parameters
    ----------
    origin : str
        Where the server is, as ``"http://127.0.0.1:8000"``.
    requests : sequence of Request
        What was asked for, as the server has noted it.
    arrived : callable
        Gets each request when its bytes are here.
    """
    host, _, port = origin.partition("://")[2].partition(":")
    numbers = {one.connection for one in requests}
    idle = [
        _Line([one for one in requests if one.connection == number])
        for number in numbers
    ]
    lines, left = idle[:], set(requests)
    buffer = bytearray(PIECE)
    begin = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        while left:
            first = min((one.answered for one in left), default=math.inf)
            for line in [one for one in idle if one.waiting]:
                if line.waiting[-1].arrived <= first:
                    new = line.sock is None
                    sock = line.ask((host, int(port)), host)
                    if new:
                        selector.register(sock, selectors.EVENT_READ, line)
                    idle.remove(line)
            for key, _ in selector.select():
                if key.data.receive(buffer):
                    left.remove(key.data.asked)
                    arrived(key.data.asked)
                    idle.append(key.data)
    seconds = time.perf_counter() - begin
    for line in lines:
        if line.sock is not None:
            line.sock.close()
    return seconds
