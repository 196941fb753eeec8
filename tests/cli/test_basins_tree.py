"""``dcread basins``: basins of basins, colours, and the explanation of a feature."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.cli import main as cli
from dcread.demo import generate


def write(path: pathlib.Path, feature: str, *leads_to: pathlib.Path) -> pathlib.Path:
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 5
        h5.attrs["experiment:run identifier"] = "run"
        h5[f"events/{feature}"] = np.arange(5.0)
        for number, place in enumerate(leads_to):
            definition = {"type": "file", "format": "hdf5", "paths": [str(place)]}
            text = json.dumps({**definition, "name": place.stem})
            h5[f"basins/{number}"] = np.array([text], h5py.string_dtype())
    return path


@pytest.fixture
def chain(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file whose basin has a basin, which names one that is missing."""
    inner = write(tmp_path / "inner.rtdc", "tilt", tmp_path / "gone.rtdc")
    middle = write(tmp_path / "middle.rtdc", "deform", inner)
    return write(tmp_path / "outer.rtdc", "area_um", middle)


def test_basins_of_basins_stand_below_them(
    chain: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["basins", str(chain)]) == 0
    lines = capsys.readouterr().out.splitlines()
    folder = chain.parent
    assert lines[:7] == [
        "basin 'middle': available",
        f"  file (hdf5), {folder / 'middle.rtdc'}",
        "  features: deform tilt",
        "    basin 'inner': available",
        f"      file (hdf5), {folder / 'inner.rtdc'}",
        "      features: tilt",
        "        basin 'gone': not available",
    ]
    assert lines[7] == "          file (hdf5)"
    assert lines[8].startswith("          no file at ")
    assert len(lines) == 9


def test_json_is_nested(
    chain: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["basins", "--json", str(chain)]) == 0
    (middle,) = json.loads(capsys.readouterr().out)["basins"]
    (inner,) = middle["basins"]
    (gone,) = inner["basins"]
    found = [(one["name"], one["available"]) for one in (middle, inner, gone)]
    assert found == [("middle", True), ("inner", True), ("gone", False)]
    assert gone["basins"] == []


def test_states_have_colours_on_a_terminal(
    chain: pathlib.Path, terminal: Callable[..., Any]
) -> None:
    for width in (200, 40):
        seen = terminal(width, "basins", chain)
        plain = terminal(width, "basins", chain, NO_COLOR="1")
        assert b"\x1b[32mavailable" in seen.raw
        assert b"\x1b[31mnot available" in seen.raw
        assert b"\x1b[32m" not in plain.raw
        assert seen.text == plain.text
        assert seen.width <= width


def test_explained_feature(
    made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(made.events)
    assert cli.main(["basins", "--explain", "image", path]) == 0
    said = capsys.readouterr().out
    with dcread.HDF5Data(path) as hd:
        found = hd.explain("image")
    assert said.endswith(f"\n\n{found}\n")
    assert cli.main(["basins", "--json", "--explain", "image", path]) == 0
    facts = json.loads(capsys.readouterr().out)["explained"]
    assert facts["text"] == str(found)
    assert facts["basins"] == ["recording"]
    assert found.one is not None
    assert facts["one"] == {"requests": 1, "nbytes": found.one.nbytes}
    assert facts["storage"]["dtype"] == "uint8"
    (other,) = facts["passed_over"]
    assert other["name"] == "background images"
    assert cli.main(["basins", "--explain", "nothing", path]) == 0
    assert "nothing: not available" in capsys.readouterr().out
