"""What could not be used of a file, and why; imports nothing of dcread."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One part of a file that could not be used, while the rest can be.

    Attributes
    ----------
    kind : str
        What it is: ``"log"``, ``"table"``, ``"attribute"``, ``"feature"``,
        ``"basin"`` or ``"length"``.
    name : str
        Its name in the file (the log's, the feature's, the basin's key, ...).
    reason : str
        What was expected, what was found, and what to do about it.
    """

    kind: str
    name: str
    reason: str

    def __post_init__(self) -> None:
        """Make all of it text that can be printed: names of a file may not be."""
        for field in ("name", "reason"):
            text = getattr(self, field).encode("utf-8", "surrogateescape")
            object.__setattr__(self, field, text.decode("utf-8", "replace"))

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}': {self.reason}"
