"""Doors to other libraries; each loads what it needs when it is used."""

from __future__ import annotations

from .survey_frame import survey

__all__ = ["survey"]
