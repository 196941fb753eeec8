"""Installed plugins: found by entry points, imported in time, or passed over."""

from __future__ import annotations

import pathlib
import sys
import time
import types
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from dcread.basins import BasinManager, entry_points, hookimpl

GOOD = """\
import dcread
class B(dcread.Basin):
    format = type = {name!r}
    @classmethod
    def locations(cls, definition, context): return ["here"]
    def open(self): return {{"deform": __import__("numpy").arange(5)}}
@dcread.hookimpl
def dcread_register_basins(): return [B]
"""
MEMORY = {"name": "m", "type": "memory", "format": "memory"}
Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]


def test_location_hook_that_raises_is_reported(
    manager: BasinManager, write_file: Write, open_basins: Open
) -> None:
    def raises() -> None:
        raise RuntimeError("plugin broke")

    module = types.ModuleType("m")
    module.dcread_basin_locations = hookimpl(  # type: ignore[attr-defined]
        specname="dcread_basin_locations"
    )(raises)
    manager.register(module, "m", "dist 1")
    file = {"type": "file", "format": "hdf5", "name": "f", "paths": ["gone.rtdc"]}
    opened = open_basins(write_file("ref.rtdc", basins=[file]))
    assert opened.values("deform") is None
    assert "no file at" in opened.status("f").reason
    assert "plugin broke" in manager.problems[0].reason


@pytest.fixture
def install(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, manager: BasinManager
) -> Callable[..., None]:
    """Install a module as a distribution with an entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, code: str, entry: str = "") -> None:
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[dcread]\n{entry or name} = {name}\n")
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


@pytest.mark.parametrize(
    ("code", "telling"),
    [
        ("raise RuntimeError('broken import')", "broken import"),
        ("raise SystemExit(3)", "SystemExit"),
        ("import module_that_is_not_there", "module_that_is_not_there"),
        ("syntax error here", "SyntaxError"),
        ("import time\ntime.sleep(60)", "longer than"),
        (
            "import dcread\n@dcread.hookimpl\ndef dcread_register_basins(wrong): pass",
            "wrong",
        ),
    ],
    ids=["raises", "exits", "imports", "syntax", "hangs", "signature"],
)
def test_plugin_that_cannot_be_loaded_is_passed_over(  # noqa: PLR0917
    code: str,
    telling: str,
    install: Callable[..., None],
    manager: BasinManager,
    write_file: Write,
    open_basins: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entry_points, "IMPORT_SECONDS", 2.0)
    # A name of its own, since an import that hangs keeps its module's lock.
    bad = f"aa_bad_plugin_{zlib.crc32(code.encode())}"
    install(bad, code)
    install("zz_good_plugin", GOOD.format(name="memory"))
    start = time.monotonic()
    unknown = {"type": "file", "format": "nonsense", "name": "u", "paths": ["x"]}
    opened = open_basins(write_file("ref.rtdc", basins=[MEMORY, unknown]))
    assert opened.values("deform").tolist() == [0, 1, 2, 3, 4]
    assert time.monotonic() - start < 20
    (problem,) = manager.problems
    assert problem.name == f"{bad} 1.0"
    assert telling in problem.reason
    # Whoever misses a format learns of the plugin that failed.
    assert telling in opened.status("u").reason


def test_nothing_that_a_file_names_is_imported(
    manager: BasinManager, write_file: Write, open_basins: Open, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    names = ["evil", "evil:run", "dcread.basins.file", str(tmp_path / "evil.py")]
    basins = [
        {"type": name, "format": name, "name": name, "paths": [name]} for name in names
    ]
    opened = open_basins(write_file("ref.rtdc", basins=basins))
    assert opened.values("deform") is None
    assert "evil" not in sys.modules
    assert len(opened.all_status()) == 4


def test_entry_points_of_one_name_are_all_loaded(
    install: Callable[..., None], manager: BasinManager
) -> None:
    install("aa_formats", GOOD.format(name="one"), entry="formats")
    install("bb_formats", GOOD.format(name="two"), entry="formats")
    formats = manager.formats()
    assert formats["one", "one"].source == "aa_formats 1.0"
    assert formats["two", "two"].source == "bb_formats 1.0"
    assert manager.problems == []
