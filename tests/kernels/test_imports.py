"""Kernels know memory only: no file, no package of ours, no plugins."""

from __future__ import annotations

import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "dcread_ext"
SOURCES = sorted(
    path for path in FOLDER.iterdir() if path.suffix in {".pyx", ".pxd", ".pyi", ".py"}
)
FORBIDDEN = {"dcread", "h5py", "pluggy", "hdf5plugin"}
IMPORT = re.compile(
    r"^\s*(?:from|c?import)\s+([\w.]+)((?:\s*,\s*[\w.]+)*)", re.MULTILINE
)


def imported(source: str) -> set[str]:
    """Return the top names of the packages that a source imports, in any way."""
    found = set()
    for first, rest in IMPORT.findall(source):
        names = [first, *re.findall(r"[\w.]+", rest)]
        found |= {name.partition(".")[0] for name in names}
    return found


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 8
    assert imported("from dcread.errors cimport x\n  import os, h5py.h5f") == {
        "dcread",
        "os",
        "h5py",
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_forbidden_import(path: pathlib.Path) -> None:
    assert not imported(path.read_text("utf-8")) & FORBIDDEN
