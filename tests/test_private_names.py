"""dcread uses no private names of Python or of other packages."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PUBLIC = {"os._exit", "_thread"}  # documented in spite of their names
FOREIGN = {"_is_owned", "_recursion_count", "_at_fork_reinit", "_base_executable"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def private_names(path: pathlib.Path) -> Iterator[str]:
    """Yield the private names of other packages in a module, with their lines."""
    tree = ast.parse(path.read_text())
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                modules.add(alias.asname or alias.name.partition(".")[0])
                if any(map(is_private, alias.name.split("."))):
                    yield f"{alias.name} ({path.name}:{node.lineno})"
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            if module.partition(".")[0] in ("dcread", "dcread_ext"):
                continue
            modules |= {alias.asname or alias.name for alias in node.names}
            names = [*module.split("."), *(alias.name for alias in node.names)]
            if module != "__future__" and any(map(is_private, names)):
                yield f"{module} ({path.name}:{node.lineno})"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            if owner.partition(".")[0] in modules or node.attr in FOREIGN:
                yield f"{owner}.{node.attr} ({path.name}:{node.lineno})"


@pytest.mark.parametrize("folder", ["dcread", "benchmarks"])
def test_no_private_names_of_others(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert len(files) > 5
    found = [name for path in files for name in private_names(path)]
    assert [name for name in found if name.split(" ")[0] not in PUBLIC] == []


def test_the_search_finds_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.py").write_text(
        "import sys, _thread, os\nfrom h5py._hl import base\n"
        "sys._getframe()\nos._exit(0)\nlock._is_owned()\nself._own\n"
    )
    found = [name.split(" ")[0] for name in private_names(tmp_path / "x.py")]
    assert found == [
        "_thread",
        "h5py._hl",
        "sys._getframe",
        "os._exit",
        "lock._is_owned",
    ]
