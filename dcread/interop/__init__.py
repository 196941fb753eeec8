"""Doors to other libraries; each loads what it needs when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..sync.whole_import import import_whole

if TYPE_CHECKING:
    from .references import to_references
    from .survey_frame import survey

__all__ = ["survey", "to_references"]

_HOMES = {"survey": ".survey_frame", "to_references": ".references"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    found = getattr(import_whole(f"{__name__}{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
