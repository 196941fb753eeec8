"""``dcread preview``: what is drawn, in which format, and what is left as it is."""

from __future__ import annotations

import io
import pathlib
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable

import h5py
import numpy as np
import pytest

import dcread
from dcread.cli import main as cli
from dcread.cli import preview as command
from dcread.demo import generate, picture_file
from dcread.demo.preview import draw_preview
from dcread.pictures import figure

pytest.importorskip("matplotlib")

Capture = pytest.CaptureFixture[str]
SIGNATURES = {
    ".png": b"\x89PNG",
    ".svg": b"<?xml",
    ".pdf": b"%PDF",
    ".jpg": b"\xff\xd8",
    ".jpeg": b"\xff\xd8",
    ".tif": b"II*\x00",
    ".tiff": b"II*\x00",
    ".webp": b"RIFF",
}


def test_the_picture_lies_here_under_the_name_of_the_file(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["preview", str(made.events)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'demo.png'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["demo.png"]


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_every_format(
    suffix: str, made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / f"picture{suffix.upper()}"
    assert cli.main(["preview", str(made.events), "--output", str(target)]) == 0
    assert target.read_bytes().startswith(SIGNATURES[suffix])


def test_formats_are_the_same_everywhere(
    made: generate.DemoFiles, tmp_path: pathlib.Path, capsys: Capture
) -> None:
    assert set(picture_file.FORMATS) == set(command.FORMATS) == set(SIGNATURES)
    words = ["preview", str(made.events), "--output", str(tmp_path / "x.bmp")]
    assert cli.main(words) == 2
    assert ".png, .svg" in capsys.readouterr().err
    with pytest.raises(ValueError, match="expected a name that ends in one of"):
        draw_preview(made.events, tmp_path / "x.bmp")


def test_a_picture_that_is_there_stays(
    made: generate.DemoFiles, tmp_path: pathlib.Path, capsys: Capture
) -> None:
    target = tmp_path / "mine.png"
    target.write_text("mine")
    words = ["preview", str(made.events), "--output", str(target)]
    assert cli.main(words) == 1
    err = capsys.readouterr().err
    assert err == f"dcread: {target} already exists; use --overwrite to replace it\n"
    assert target.read_text() == "mine"
    assert cli.main([*words, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert target.read_bytes().startswith(b"\x89PNG")


def test_a_damaged_chunk_costs_its_events_only(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    damage: Callable[..., None],
    capsys: Capture,
) -> None:
    bad = pathlib.Path(shutil.copy(made.recording, tmp_path / "bad.rtdc"))
    damage(bad, "events/image", 1)
    target = tmp_path / "bad.png"
    assert cli.main(["preview", str(bad), "--output", str(target)]) == 1
    said = capsys.readouterr()
    assert said.out == f"{target}\n"
    (line,) = said.err.splitlines()
    assert "/events/image" in line
    assert "checksum" in line
    drawn = draw_preview(bad, target, overwrite=True)
    whole = draw_preview(made.recording, tmp_path / "whole.png")
    assert drawn.shown == whole.shown == 24
    assert (drawn.events, len(drawn.problems), whole.problems) == (120, 1, [])
    from matplotlib.image import imread

    different = np.any(imread(target) != imread(whole.path), axis=2)
    assert 0.2 < different.mean() < 0.5, "a third of the events is in the chunk"


def test_a_damaged_area_is_done_without(
    made: generate.DemoFiles, tmp_path: pathlib.Path, damage: Callable[..., None]
) -> None:
    bad = pathlib.Path(shutil.copy(made.events, tmp_path / "bad.rtdc"))
    damage(bad, "events/area_um", 0)
    damage(bad, "events/mask", 0)
    drawn = draw_preview(bad, tmp_path / "bad.png")
    assert any("area_um" in problem for problem in drawn.problems)
    assert any("mask" in problem for problem in drawn.problems)


@pytest.mark.parametrize(
    "name",
    ["$x^2$ \\alpha.rtdc", "größe 血液.rtdc", "a" * 200 + ".rtdc", "[b]{c}%d&_.rtdc"],
)
def test_any_name_is_drawn(
    name: str, made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / name
    shutil.copy(made.recording, path)
    target = tmp_path / "x.svg"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cli.main(["preview", str(path), "--output", str(target)]) == 0


def test_characters_without_a_font_are_escaped() -> None:
    assert figure.drawable("größe µm²") == "größe µm²"
    assert figure.drawable("a\x07\U0010fffd") == "a\\x07\\U0010fffd"


def test_masks_stand_in_for_images(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    path = pathlib.Path(shutil.copy(made.events, tmp_path / "masks.rtdc"))
    with h5py.File(path, "a") as h5:
        del h5["basins"]
    assert draw_preview(path, tmp_path / "masks.png").shown == 24


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_without_images_gets_a_page(
    folder: pathlib.Path, data_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    lost = folder / "lost.rtdc"
    with h5py.File(lost, "a") as h5:
        del h5["events/mask"]
    target = tmp_path / "page.svg"
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        drawn = draw_preview(lost, target)
        assert (drawn.shown, drawn.problems) == (0, [])
        text = target.read_text()
        for words in (
            "no images",
            "area and deformation",
            "made-up blood",
            "not available",
        ):
            assert words in text
        draw_preview(data_dir / "shapein_empty.rtdc", target, overwrite=True)
        assert "no events to draw" in target.read_text()


def test_real_measurements(real_file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        drawn = draw_preview(real_file, tmp_path / "x.png")
    assert drawn.problems == []
    assert drawn.shown == min(drawn.events, 24)


def test_without_matplotlib_the_way_to_get_it_is_told(
    made: generate.DemoFiles, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["preview", str(made.events)]) == 1
    assert "pip install matplotlib" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="a device that is always full")
def test_a_full_disk_leaves_nothing(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    words = [sys.executable, "-m", "dcread", "preview", str(made.events)]
    code = 'ulimit -f 8; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", code, "sh", *words, "--output", str(tmp_path / "x.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_the_same_picture_in_python(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    before = tmp_path / "command.png"
    draw_preview(made.events, before)
    with dcread.HDF5Data(made.events) as hd:
        picture = hd.plot_preview()
    data = io.BytesIO()
    picture.savefig(data, format="png", metadata={"Software": "dcread"})
    assert data.getvalue() == before.read_bytes()


def test_a_figure_of_any_name_and_of_damage(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "größe \u7d30\u80de $x^2$ \udc80.rtdc"
    with h5py.File(path, "w") as h5:
        h5.create_dataset(
            "events/image",
            data=np.ones((6, 20, 30), np.uint8),
            chunks=(3, 20, 30),
            fletcher32=True,
        )
        info = h5["events/image"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(info.byte_offset)
        file.write(b"\xff")
    with dcread.HDF5Data(path) as hd:
        picture = hd.plot_preview()
        picture.savefig(tmp_path / "x.png")  # warnings are errors
        told = [text.get_text() for ax in picture.axes for text in ax.texts]
        assert told.count("cannot be read") == 3
    with pytest.raises(dcread.ClosedError):
        hd.plot_preview()


def test_python_tells_how_to_get_matplotlib(
    made: generate.DemoFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with (
        dcread.HDF5Data(made.events) as hd,
        pytest.raises(ImportError, match="pip install matplotlib"),
    ):
        hd.plot_preview()
