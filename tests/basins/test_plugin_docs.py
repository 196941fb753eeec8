"""The page for plugin authors is held against the code."""

from __future__ import annotations

import inspect
import pathlib
import re

from dcread.basins import Basin, BasinContext, hookspecs

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "how-to" / "write-a-basin-plugin.md"


def test_every_hook_has_a_heading_with_its_signature() -> None:
    hooks = {
        name: inspect.signature(value)
        for name, value in vars(hookspecs).items()
        if name.startswith("dcread_")
    }
    assert len(hooks) == 2
    expected = [f"{name}({', '.join(sig.parameters)})" for name, sig in hooks.items()]
    assert re.findall(r"^### `(.*)`$", PAGE.read_text(), re.MULTILINE) == expected


def test_every_method_of_the_contract_is_in_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \|$", PAGE.read_text(), re.M)
    methods = {
        name: "no" if getattr(value, "__isabstractmethod__", False) else "yes"
        for name, value in vars(Basin).items()
        if not name.startswith("_")
        and (callable(value) or isinstance(value, classmethod))
    }
    assert dict(rows) == methods


def test_methods_of_the_context_are_shown() -> None:
    (shown,) = re.findall(r":members: (.*)", PAGE.read_text())
    methods = [
        name
        for name, value in vars(BasinContext).items()
        if callable(value) and not name.startswith("_")
    ]
    assert sorted(shown.split(", ")) == sorted(methods)


def test_included_files_exist() -> None:
    included = re.findall(r"\{literalinclude\} (.*)", PAGE.read_text())
    assert len(included) == 2
    for path in included:
        assert (PAGE.parent / path).is_file()
