"""The pages for plugin authors are held against the code."""

from __future__ import annotations

import inspect
import pathlib
import re

import h5py
import numpy as np
import pytest

import dcread
from dcread.basins import Basin, BasinContext, get_manager, hookspecs

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGE = DOCS / "how-to" / "write-a-basin-plugin.md"
REFERENCE = DOCS / "reference" / "basin-plugins.md"


def test_every_hook_has_a_heading_with_its_signature() -> None:
    hooks = {
        name: inspect.signature(value)
        for name, value in vars(hookspecs).items()
        if name.startswith("dcread_")
    }
    assert len(hooks) == 2
    expected = [f"{name}({', '.join(sig.parameters)})" for name, sig in hooks.items()]
    assert re.findall(r"^### `(.*)`$", REFERENCE.read_text(), re.MULTILINE) == expected


def test_every_method_of_the_contract_is_in_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \|$", REFERENCE.read_text(), re.M)
    methods = {
        name: "no" if getattr(value, "__isabstractmethod__", False) else "yes"
        for name, value in vars(Basin).items()
        if not name.startswith("_")
        and (callable(value) or isinstance(value, classmethod))
    }
    assert dict(rows) == methods


def test_every_attribute_of_the_contract_is_in_the_table() -> None:
    rows = re.findall(
        r"^\| ((?:`\w+`,? ?)+)\| .* \| (\S*) ?\|$", REFERENCE.read_text(), re.M
    )
    told = {
        name: default for names, default in rows for name in re.findall(r"\w+", names)
    }
    for name in inspect.get_annotations(Basin):
        default = getattr(Basin, name, None)
        shown = {None: "", "local": '`"local"`'}.get(default, str(default))
        assert told[name] == shown


def test_members_of_the_context_are_shown() -> None:
    (shown,) = re.findall(r":members: (.*)", REFERENCE.read_text())
    members = [
        name
        for name, value in vars(BasinContext).items()
        if (callable(value) or isinstance(value, property)) and not name.startswith("_")
    ]
    # (what the framework makes an instance by is none of a plugin's)
    assert sorted(shown.split(", ")) == sorted(set(members) - {"for_opening"})


def test_a_definition_is_stored_as_shown(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with h5py.File("measurement.rtdc", "w") as h5:
        h5["events/time"] = np.arange(3.0)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    (code,) = [block for block in blocks if "h5py" in block]
    exec(code, {})
    with dcread.HDF5Data("measurement.rtdc") as hd:
        (status,) = hd.basin_status()
    assert (status.name, status.format) == ("cells", "npyfolder")


def test_included_files_exist() -> None:
    included = re.findall(r"\{literalinclude\} (.*)", PAGE.read_text())
    assert len(included) == 4
    for path in included:
        assert (PAGE.parent / path).is_file()


def test_table_of_formats_is_that_of_the_code() -> None:
    text = (DOCS / "reference" / "formats.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", text, re.M)
    built_in = [key for key, item in get_manager().formats().items() if item.built_in]
    assert sorted(listed) == sorted(built_in)
