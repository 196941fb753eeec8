"""A real third-party package, found by its entry point as if it were installed."""

from __future__ import annotations

import itertools
import pathlib
import sys
import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dcread
from dcread.basins import Policy, get_manager
from dcread.basins import plugins as manager_module
from dcread.errors import BasinIdentifierMismatchError

PACKAGE = pathlib.Path(__file__).parent.parent / "plugins" / "dcread-npyfolder"
RAMP = np.arange(5) * 1.5
Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]


@pytest.fixture
def installed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Put the package on the path, with the metadata that pip would write."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    site = tmp_path / "site"
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    lines = [f"[{group}]" for group in project["entry-points"]]
    for points in project["entry-points"].values():
        lines += [f"{key} = {value}" for key, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(PACKAGE))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(manager_module, "_manager", None)
    monkeypatch.delitem(sys.modules, "dcread_npyfolder", raising=False)
    return site


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "data" / "cells"
    path.mkdir(parents=True)
    np.save(path / "deform.npy", RAMP)
    np.save(path / "image.npy", np.arange(5 * 6, dtype="u1").reshape(5, 2, 3))
    np.save(path / "short.npy", RAMP[:3])
    (path / "identifier.txt").write_text("A\n")
    return path


@pytest.fixture
def referrer(write_file: Write, folder: pathlib.Path) -> Callable[..., pathlib.Path]:
    names = itertools.count()

    def write(**changes: Any) -> pathlib.Path:
        basin = {
            "name": "folder",
            "type": "file",
            "format": "npyfolder",
            "paths": [str(folder)],
            **changes,
        }
        events = {"basinmap0": [4, 0, 0, 1, 2]} if "mapping" in changes else {}
        return write_file(f"ref{next(names)}.rtdc", events, [basin], identifier="A")

    return write


@pytest.mark.usefixtures("installed")
def test_features_of_a_third_party_format(
    referrer: Callable[..., pathlib.Path], folder: pathlib.Path, open_basins: Open
) -> None:
    opened = open_basins(referrer())
    assert opened.features() == {"deform", "image", "short"}
    assert np.array_equal(opened.values("deform"), RAMP)
    assert opened.values("image").shape == (5, 2, 3)
    assert opened.values("short") is None
    assert "5 events of the file, found 3" in opened.reasons("short")[0]
    record = opened.status("folder")
    assert record.available is True
    assert record.location == str(folder)
    group, features, mapping = opened.get_data(0)
    assert features == ["deform", "image", "short"]
    assert np.array_equal(group["deform"], RAMP)
    assert mapping is None
    (problem,) = opened.problems
    assert "found 3" in problem.reason


@pytest.mark.usefixtures("installed")
def test_third_party_basins_obey_all_rules(
    referrer: Callable[..., pathlib.Path], open_basins: Open
) -> None:
    opened = open_basins(referrer(mapping="basinmap0"), index_mapping=[0, 4])
    assert np.array_equal(opened.values("deform"), RAMP[[4, 2]])
    listed = open_basins(referrer(features=["image"], paths=["data/cells"]))
    assert listed.features() == {"image"}
    assert listed.values("deform") is None
    refused = open_basins(referrer(identifier="B"))
    with pytest.raises(BasinIdentifierMismatchError):
        refused.basins.find("deform")
    confined = open_basins(referrer(), Policy(local=False))
    assert confined.values("deform") is None
    assert "Policy(local=False)" in confined.status("folder").reason


@pytest.mark.usefixtures("installed")
def test_offered_locations_are_tried_after_the_stored_ones(
    referrer: Callable[..., pathlib.Path],
    folder: pathlib.Path,
    open_basins: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = referrer(paths=["/gone/cells"])
    assert open_basins(path).values("deform") is None
    monkeypatch.setenv("NPYFOLDER_ARCHIVE", str(folder.parent))
    opened = open_basins(path)
    assert np.array_equal(opened.values("deform"), RAMP)
    assert opened.status("folder").location == str(folder)
    # The same policy holds for what a plugin offers.
    roots = Policy(local="roots", roots=["/somewhere"])
    assert open_basins(path, roots).values("deform") is None


@pytest.mark.usefixtures("installed")
def test_through_the_facade(referrer: Callable[..., pathlib.Path]) -> None:
    with dcread.HDF5Data(referrer(mapping="basinmap0")) as hd:
        assert hd["deform"].tolist() == RAMP[[4, 0, 0, 1, 2]].tolist()
        assert hd["image"][0].tolist() == [[24, 25, 26], [27, 28, 29]]
        assert "image" in hd


@pytest.mark.usefixtures("installed")
def test_origin_is_known() -> None:
    assert (
        get_manager().formats()["file", "npyfolder"].source == "dcread-npyfolder 1.2.0"
    )


def test_without_the_package_the_format_is_named(
    referrer: Callable[..., pathlib.Path],
    open_basins: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(manager_module, "_manager", None)
    opened = open_basins(referrer())
    assert opened.values("deform") is None
    assert (
        "format 'npyfolder' (type 'file') is unknown: install"
        in (opened.reasons("deform")[0])
    )


def test_plugins_are_imported_only_when_needed(
    installed: pathlib.Path,
    write_file: Write,
    folder: pathlib.Path,
    run_python: Callable[..., Any],
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    plain = {"name": "n", "type": "file", "format": "hdf5", "paths": [str(source)]}
    own = {**plain, "format": "npyfolder", "paths": [str(folder)]}
    needless = write_file("plain.rtdc", basins=[plain])
    needed = write_file("own.rtdc", basins=[own])
    code = f"""
import sys
sys.path[:0] = {[str(installed), str(PACKAGE)]!r}
import dcread
with dcread.HDF5Data({str(needless)!r}) as hd:
    assert hd["deform"].tolist() == {RAMP.tolist()!r}
    assert hd.keys() and hd.basin_status()
assert "dcread_npyfolder" not in sys.modules
with dcread.HDF5Data({str(needed)!r}) as hd:
    assert hd["deform"].tolist() == {RAMP.tolist()!r}
assert "dcread_npyfolder" in sys.modules
"""
    run_python(code, cwd=installed)
