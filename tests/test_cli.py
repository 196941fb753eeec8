"""The command line: each sub-command, and what it says when things go wrong."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import h5py
import pytest

import dcread
from dcread.cli import main as cli
from dcread.demo import generate


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> generate.DemoFiles:
    return generate.make_measurement(tmp_path_factory.mktemp("cli"), frames=120)


def test_info(made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(made.events)]) == 0
    out = capsys.readouterr().out
    with h5py.File(made.events) as h5:
        number = len(h5["events/deform"])
    assert out.startswith(f"{made.events}: {number} events\n")
    assert "features from basins\n  image image_bg\n" in out
    assert "imaging:frame rate" in out
    assert "dcread-demo (5 lines)" in out
    assert "problems" not in out


def test_info_json(
    made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["info", "--json", str(made.recording)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["events"] == 120
    assert "image" in facts["features"]
    assert facts["features_from_basins"] == []
    assert facts["metadata"]["imaging:pixel size"] == 0.34
    assert facts["tables"] == ["dcread-demo_monitor"]


def test_info_tells_problems(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "odd.rtdc"
    path.write_bytes(made.recording.read_bytes())
    with h5py.File(path, "a") as h5:
        h5.attrs["experiment:event count"] = 7
    assert cli.main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "120 events" in out
    assert "problems\n  length" in out


def test_basins(made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["basins", str(made.events)]) == 0
    out = capsys.readouterr().out
    assert "basin 'recording': available\n  file (hdf5)" in out
    assert str(made.recording) in out
    assert "basin 'background images': available" in out


def test_basins_tells_what_is_missing(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "alone.rtdc"
    path.write_bytes(made.events.read_bytes())
    made.recording.rename(made.recording.with_suffix(".away"))
    try:
        assert cli.main(["basins", str(path)]) == 0
    finally:
        made.recording.with_suffix(".away").rename(made.recording)
    assert "basin 'recording': not available" in capsys.readouterr().out
    assert cli.main(["basins", str(made.recording)]) == 0
    assert "has no basins" in capsys.readouterr().out


def test_flicker(made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["flicker", "--max-frames", "0", str(made.recording)]) == 0
    out = capsys.readouterr().out
    assert "Flicker check of 120 frames" in out
    assert f"{len(made.flickering)} frames off by 2.5" in out
    assert cli.main(["flicker", "--max-frames", "50", str(made.recording)]) == 0
    assert "Flicker check of 50 frames" in capsys.readouterr().out


def test_preview(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["preview", str(made.events)]) == 0
    assert cli.main(["preview", str(made.recording), "--output", "raw.png"]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "demo.png"),
        str(tmp_path / "raw.png"),
    ]
    for name in ("demo.png", "raw.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_verify_finds_nothing_in_what_is_whole(
    made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(made.events)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{made.events}: no problems in 36 features of ")
    assert out.endswith("logs (1), tables (0)\n")


def test_verify_finds_a_damaged_chunk(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "damaged.rtdc"
    path.write_bytes(made.recording.read_bytes())
    with h5py.File(path) as h5:
        chunk = h5["events/image"].id.get_chunk_info(1)
    with path.open("r+b") as stream:
        stream.seek(chunk.byte_offset + chunk.size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))
    assert cli.main(["verify", str(path)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("feature 'image': ")
    assert str(path) in out.splitlines()[0]
    assert f"{path}: 1 problem in " in out


def test_verify_tells_a_missing_basin(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "alone.rtdc"
    path.write_bytes(made.events.read_bytes())
    made.recording.rename(made.recording.with_suffix(".away"))
    try:
        assert cli.main(["verify", str(path)]) == 1
    finally:
        made.recording.with_suffix(".away").rename(made.recording)
    out = capsys.readouterr().out
    assert out.startswith("basin 'recording': no file at ")
    assert f"{path}: 1 problem in 35 features" in out


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_verify_real_measurements(
    real_file: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(real_file)]) == 0
    with h5py.File(real_file, locking=False) as h5:
        number = len(h5["events"])
    out = capsys.readouterr().out
    assert out.startswith(f"{real_file}: no problems in {number} features")


def test_concat(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "joined.rtdc"
    command = ["concat", str(target), str(made.recording), str(made.continuation)]
    assert cli.main(command) == 0
    assert "160 events of 2 files" in capsys.readouterr().out
    with dcread.HDF5Data(target) as hd:
        assert len(hd) == 160
    # a file that is there stays as it is, unless the user says otherwise
    before = target.read_bytes()
    assert cli.main(command) == 1
    assert str(target) in capsys.readouterr().err
    assert target.read_bytes() == before
    assert cli.main([*command, "--overwrite", "--features", "frame", "time"]) == 0
    with dcread.HDF5Data(target) as hd:
        assert "image" not in hd


def test_demo(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
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
    assert "120 events" in capsys.readouterr().out
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
    assert "pip install 'dcread[plot]'" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    "command", ["info", "basins", "flicker", "preview", "verify", "demo"]
)
def test_missing_and_wrong_files(
    command: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "notes.rtdc"
    wrong.write_text("this is no measurement")
    for path in (tmp_path / "missing.rtdc", wrong, tmp_path):
        assert cli.main([command, str(path)]) == 1
        err = capsys.readouterr().err
        assert err.startswith("dcread: ")
        assert path.name in err
        assert "Traceback" not in err


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["nonsense"])
    assert exit_.value.code == 2
    assert "nonsense" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"dcread {dcread.__version__}\n"


def test_reader_of_our_output_may_go_away(made: generate.DemoFiles) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dcread.cli.main", "info", str(made.events)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 1
