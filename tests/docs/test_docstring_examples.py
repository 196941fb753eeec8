"""Every public name has an example in its docstring, and the examples run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pathlib
import re
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


def public_names() -> Iterator[tuple[str, Any]]:
    """Give each public class, function and method."""
    for home in (dcread, dcread.interop, dcread.testing):
        for name in sorted(set(home.__all__) - FOREIGN - FAMILY):
            thing = getattr(home, name)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                yield f"{home.__name__}.{name}", thing
            if inspect.isclass(thing) and f"{home.__name__}.{name}" not in CONTRACTS:
                yield from members(f"{home.__name__}.{name}", thing)


def members(of: str, kind: type) -> Iterator[tuple[str, Any]]:
    for name, found in vars(kind).items():
        member: Any = getattr(found, "fget", getattr(found, "__func__", found))
        if not name.startswith("_") and inspect.isroutine(member):
            yield f"{of}.{name}", found


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
    told = {name: inspect.getdoc(thing) or "" for name, thing in found.items()}
    assert [name for name, text in told.items() if ">>> " not in text] == []


def sections(text: str) -> dict[str, str]:
    """Return the sections of a docstring by their titles."""
    parts = re.split(r"(?:^|\n)(\w[\w ]*)\n-{3,}\n", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def undocumented(thing: Any) -> Iterator[str]:
    """Name the arguments that the docstring of a function lacks, and its result."""
    documented = sections(inspect.getdoc(thing) or "")
    signature = inspect.signature(getattr(thing, "__func__", thing))
    heads = re.findall(r"^(\S.*?)(?: :|$)", documented.get("Parameters", ""), re.M)
    named = {name.strip(" *") for head in heads for name in head.split(",")}
    yield from set(signature.parameters) - {"self", "cls"} - named
    returned = signature.return_annotation not in {None, "None"}
    if returned and not {"Returns", "Yields"} & set(documented):
        yield "what it returns"


def test_functions_tell_their_arguments_and_what_they_return() -> None:
    functions = {
        name: thing
        for name, thing in (*public_names(), *members("Basin", dcread.Basin))
        if inspect.isroutine(thing) or hasattr(thing, "__func__")
    }
    assert len(functions) > 50
    missing = {name: sorted(undocumented(thing)) for name, thing in functions.items()}
    assert {name: lacks for name, lacks in missing.items() if lacks} == {}
