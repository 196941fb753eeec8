"""Every public name has an example in its docstring, and the examples run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import dcread
import dcread.interop
import dcread.testing
from dcread import errors
from dcread.cli import main

NEEDS = {"dcread.interop.xarray_backend": "xarray", "dcread.interop.dclab": "dclab"}
# Made by another project (pluggy); its page is there.
FOREIGN = {"hookimpl"}
# One example stands for the whole family, and for what a subclass has to define.
FAMILY = set(errors.__all__) - {"DCReadError"}
CONTRACTS = {"dcread.Basin"}


def modules() -> Iterator[str]:
    """Name the modules that have examples."""
    root = pathlib.Path(dcread.__path__[0])
    for path in root.rglob("*.py"):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = ("dcread", *path.relative_to(root).with_suffix("").parts)
            yield ".".join(part for part in parts if part != "__init__")


def public_names() -> Iterator[tuple[str, str]]:
    """Give each public class, function and method with its docstring."""
    for home in (dcread, dcread.interop, dcread.testing):
        for name in sorted(set(home.__all__) - FOREIGN - FAMILY):
            thing = getattr(home, name)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                yield f"{home.__name__}.{name}", inspect.getdoc(thing) or ""
            if inspect.isclass(thing) and f"{home.__name__}.{name}" not in CONTRACTS:
                yield from members(f"{home.__name__}.{name}", thing)


def members(of: str, kind: type) -> Iterator[tuple[str, str]]:
    for name, found in vars(kind).items():
        member: Any = getattr(found, "fget", getattr(found, "__func__", found))
        if not name.startswith("_") and inspect.isroutine(member):
            yield f"{of}.{name}", inspect.getdoc(member) or ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Where the demo has been: examples read what it leaves."""
    folder = tmp_path_factory.mktemp("examples")
    output = str(folder / "demo-output")
    assert main.main(["demo", "--only-make", "--quiet", "--output", output]) == 0
    return folder


@pytest.mark.parametrize("name", sorted(modules()))
def test_examples_run(
    name: str, place: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    module = importlib.import_module(name)
    monkeypatch.chdir(place)
    before = dcread.Policy.default()
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(
        optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    )
    said: list[str] = []
    for test in finder.find(module):
        test.globs.update(dcread=dcread, np=np)
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
    assert dcread.Policy.default() == before


def test_every_public_name_has_an_example() -> None:
    found = dict(public_names())
    assert len(found) > 90
    assert [name for name, text in found.items() if ">>> " not in text] == []
