"""Doors to other libraries; each loads what it needs when it is used."""

from __future__ import annotations

from .references import to_references
from .survey_frame import survey

__all__ = ["survey", "to_references"]
