"""The flicker check: the names of `dcnum.read.detect_flicker`."""

from __future__ import annotations

from .flicker.report import FlickerReport, detect_flickering, flicker_report

__all__ = [
    "FlickerReport",
    "detect_flickering",
    "flicker_report",
]
