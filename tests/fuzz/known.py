"""What reports of failures are expected to match, and why."""

from __future__ import annotations

import re

KNOWN: dict[str, str] = {}
"""Faults that are not mended yet. This list only shrinks."""

LIMITS: dict[str, str] = {
    r"silently .*filter returned failure.*chunk at .*sealed again \(fletcher32\)": (
        "a forged chunk with a right checksum, decoded as far as there are events"
    ),
    r"^meta/.*silently.*GCOL at": "a damaged heap, and text has no checksum",
    r"h5py alone: .*GCOL at": "libhdf5 does not survive a damaged global heap",
    r"h5py alone: .*sealed again \(lookup3\)": (
        "libhdf5 does not survive a forged structure"
    ),
}
"""What cannot be told, or what libhdf5 does not survive, as SECURITY.md says."""


def reason(report: str) -> str | None:
    """Return why a failure is expected, or None."""
    for pattern, why in (KNOWN | LIMITS).items():
        if re.search(pattern, report, re.DOTALL):
            return why
    return None
