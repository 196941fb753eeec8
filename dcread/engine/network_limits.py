"""How long, how slow and how much at once: limits of reading from the network."""

from __future__ import annotations

from dataclasses import dataclass

MOST_SECONDS = 1e6
"""The longest time that can be waited for: systems know no much longer ones."""


@dataclass(frozen=True)
class NetworkLimits:
    """Limits of reading from the network; times in seconds, up to 1e6.

    Parameters
    ----------
    connect : float
        For making a connection, each address of a host by itself.
    read : float
        For the head of an answer, and between two pieces of its body.
    total : float
        For one range, all attempts together; what the bytes take at `min_rate` comes
        on top.
    min_rate : int
        Bytes per second below which an answer counts as stalled; connections that are
        active at the same time share it.
    grace : float
        How long an answer may be slower than that.
    attempts : int
        How often a range is asked for at the most.
    redirects : int
        How many redirects are followed.
    connections : int
        How many connections to one file there may be; up to two thirds more if that
        saves a round of requests to a server that is far away.

    Examples
    --------
    >>> NetworkLimits(read=30).connect
    5.0
    """

    connect: float = 5.0
    read: float = 10.0
    total: float = 60.0
    min_rate: int = 2**15
    grace: float = 5.0
    attempts: int = 5
    redirects: int = 3
    connections: int = 12

    @property
    def most_connections(self) -> int:
        """How many connections there may be to save a round of requests.

        Examples
        --------
        >>> NetworkLimits(connections=12).most_connections
        20
        """
        return self.connections * 5 // 3

    def __post_init__(self) -> None:
        for name in ("connect", "read", "total", "grace"):
            value = getattr(self, name)
            if not 0 < value <= MOST_SECONDS:
                raise ValueError(
                    f"{name} must be positive and not above {MOST_SECONDS:g}, got "
                    f"{value}"
                )
        for name in ("attempts", "connections"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.redirects < 0 or self.min_rate < 0:
            raise ValueError("redirects and min_rate must not be negative")
