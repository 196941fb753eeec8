"""``dcread demo``: what it makes, reads and draws."""

from __future__ import annotations

import pathlib
import sys

import pytest

from dcread.cli import main as cli
from dcread.demo import generate


def test_demo(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("dcread.cli.demo.ENOUGH", 0)  # compare the times of these few
    folder = tmp_path / "out"
    command = ["demo", "--frames", "90", "--seed", "3", "--output", str(folder)]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    for text in ("demo_raw.rtdc", "x, equal", "seam fit", "Flicker check", "picture: "):
        assert text in out
    assert "DIFFERS" not in out
    shown = out.split("picture: ")[1].strip()
    assert pathlib.Path(shown) == folder / "demo.png"
    assert (folder / "demo.png").stat().st_size > 10_000


def test_demo_with_a_file(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = made.recording.read_bytes()
    command = ["demo", str(made.recording), "--output", str(tmp_path / "out")]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "120 events" in out
    assert "equal (too few images to compare times)" in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["demo_raw.png"]
    assert made.recording.read_bytes() == before


def test_demo_without_matplotlib(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["demo", "--frames", "60", "--output", str(tmp_path)]) == 0
    assert "pip install matplotlib" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.filterwarnings("default::UserWarning")
def test_demo_without_events(
    data_dir: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    path = data_dir / "shapein_empty.rtdc"
    assert cli.main(["demo", str(path), "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "0 events, 25 features" in out
    assert "image            no images" in out
    assert (tmp_path / "shapein_empty.png").exists()
