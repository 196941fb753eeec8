"""What is known of each basin of an open measurement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BasinStatus:
    """What is known of one basin.

    Attributes
    ----------
    name : str
        As stored, else the key in the file, else its position.
    type, format : str
        As stored; empty where nothing usable is stored.
    location : str or None
        The file, URL or group in use; None while there is none.
    available : bool or None
        None for not yet known (a remote basin that nobody asked for a feature).
    reason : str
        Why it is not available, or what was noticed on the way; may be empty.
    features : tuple of str or None
        The features that it makes available, sorted; None if not yet known.
    """

    name: str
    type: str
    format: str
    location: str | None
    available: bool | None
    reason: str
    features: tuple[str, ...] | None
