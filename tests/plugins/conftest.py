"""Tests of the packages in this folder run where the packages are installed."""

from __future__ import annotations

import importlib.util
import pathlib

HERE = pathlib.Path(__file__).parent
collect_ignore_glob = [
    str(module.parent / "*")
    for module in HERE.glob("*/dcread_*.py")
    if importlib.util.find_spec(module.stem) is None
]
