"""What reports of failures are expected to match, and why."""

from __future__ import annotations

import re

KNOWN: dict[str, str] = {
    r"limits \[\d+, (\d+, )*None(, \d+)*\]": (
        "HDF5 lists chunks at wrong places if only a later axis can grow"
    ),
    r"virtual \(.*(wrong at|overflow)": "virtual sources of another type do not clamp",
    r"^tables/so2exp_cytoshot_monitor": "columns of tables lose their sub-shape",
    r"(Runtime|Overflow)Error at ": "a damaged chunk index raises RuntimeError",
    r"exit status -11.*(_file_number|_same_file|fill_value)": (
        "h5o.get_info does not survive some headers"
    ),
    r"chunks out of place|silently.*(chunk record|TREE)": (
        "chunks out of place in an index are ignored"
    ),
    r"h5py FOREIGN: OSError.*(addr overflow|temporary file space)": (
        "chunk addresses of 2**63 and more"
    ),
}
"""Faults that are not mended yet. This list only shrinks."""

LIMITS: dict[str, str] = {
    r"(attrs|h5py_fallback)\.py.*\(h5py alone: ": (
        "text of variable length in a damaged heap, which libhdf5 does not survive"
    ),
    r"get_num_chunks|layout\.py.*_chunked.*\(h5py alone: ": (
        "a forged chunk index that claims more chunks than libhdf5 can walk through"
    ),
}
"""What libhdf5 does not survive on its own, as SECURITY.md says."""


def reason(report: str) -> str | None:
    """Return why a failure is expected, or None."""
    for pattern, why in (KNOWN | LIMITS).items():
        if re.search(pattern, report, re.DOTALL):
            return why
    return None
