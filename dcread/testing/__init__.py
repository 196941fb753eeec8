"""A suite that every basin format has to pass, for the tests of plugins.

Examples
--------
In a test file of a plugin::

    from dcread.testing import check_basin

    def test_conformance(tmp_path):
        path = write_something(tmp_path / "cells")
        definition = {"type": "file", "format": "mine", "paths": [str(path)]}
        check_basin(MyBasin, definition)
"""

from __future__ import annotations

from .basin_checks import check_basin

__all__ = ["check_basin"]
