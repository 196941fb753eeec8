"""The files of this machine that basins may lie in."""

from __future__ import annotations

import contextlib

from ..file.other_files import other_files
from .basin_set import BasinSet, Unparsed
from .entry import Entry
from .open_basin import OpenBasin
from .turns import PATIENCE_SECONDS, BusyError


def local_files(basins: BasinSet) -> set[str]:
    """Return the files that local basins may lie in, and those that they lead to.

    Local basins are opened for it, those of basins too; remote ones are not contacted.
    """
    found: set[str] = set()
    for entry in basins.entries:
        if isinstance(entry, Unparsed) or entry.is_remote:
            continue
        if entry.definition.type == "internal":  # (it lies in the file itself)
            continue
        found.update(entry.paths())
        with contextlib.suppress(BusyError):
            candidate = entry.first(PATIENCE_SECONDS)
            if candidate is not None and not (candidate.cyclic or candidate.is_far):
                found |= _files_of(basins, entry, candidate)
    return found


def _files_of(basins: BasinSet, entry: Entry, candidate: OpenBasin) -> set[str]:
    found = {candidate.location}
    if candidate.handle is not None:
        found.update(map(str, other_files(candidate.handle)))
    nested = basins.nested(entry, candidate)
    return found if nested is None else found | local_files(nested)
