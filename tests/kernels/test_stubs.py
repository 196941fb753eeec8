"""Each kernel has a stub with the same functions, and is built into a module."""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

SOURCES = pathlib.Path(__file__).parent.parent.parent / "dcread_ext"
KERNELS = sorted(path.stem for path in SOURCES.glob("*.pyx"))


def test_all_kernels_are_built_and_stubbed() -> None:
    cmake = (SOURCES.parent / "CMakeLists.txt").read_text("utf-8")
    listed = re.search(r"set\(kernels ([^)]*)\)", cmake)
    assert listed is not None
    assert sorted(listed[1].split()) == KERNELS
    assert sorted(path.stem for path in SOURCES.glob("*.pyi")) == KERNELS


@pytest.mark.parametrize("kernel", KERNELS)
def test_stub_has_the_functions_of_the_kernel(kernel: str) -> None:
    module = importlib.import_module(f"dcread_ext.{kernel}")
    tree = ast.parse((SOURCES / f"{kernel}.pyi").read_text("utf-8"))
    stubbed = {
        node.name: [
            arg.arg
            for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        ]
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
    source = (SOURCES / f"{kernel}.pyx").read_text("utf-8")
    defined = re.findall(r"^def (\w+)\(", source, re.M)
    assert sorted(stubbed) == sorted(defined)
    assert ast.get_docstring(tree)
    for name, arguments in stubbed.items():
        function = getattr(module, name)
        assert inspect.getdoc(function)
        start = source.index(f"def {name}(")
        header = source[start : source.index("):\n", start)]
        found = re.findall(r"(\w+)(?:\s*=[^,]*)?\s*(?:,|$)", _flat(header))
        assert found == arguments


def _flat(header: str) -> str:
    """Return the arguments of a Cython function without dimensions and comments."""
    arguments = header.split("(", 1)[1]
    return re.sub(r"\[[^\]]*\]|#.*", "", arguments).strip().rstrip(",")


def test_sources_that_are_not_compiled_tell_what_to_do(tmp_path: pathlib.Path) -> None:
    package = tmp_path / "dcread_ext"
    package.mkdir()
    shutil.copy(SOURCES / "__init__.py", package)
    command = [sys.executable, "-S", "-c", "import dcread_ext"]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    last = result.stderr.splitlines()[-1]
    assert re.match(r"ImportError: .*dcread_ext; did you forget to compile\?", last)
