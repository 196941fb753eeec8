"""Surveys: the same question put to many measurements, here or on a cluster.

`find_inputs` lists what arguments such as folders and patterns lead to,
`examine` puts the question to one measurement, and `examine_all` to all of them.
"""

from __future__ import annotations

from .examine import Record, examine, require_measurement
from .inputs import Input, find_inputs, full_path, is_url, shown
from .run import examine_all

__all__ = [
    "Input",
    "Record",
    "examine",
    "examine_all",
    "find_inputs",
    "full_path",
    "is_url",
    "require_measurement",
    "shown",
]
