"""A file that an input takes data from is never the file that is written."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable

import h5py
import pytest

import dcread
from dcread.cli import main as cli
from dcread.demo import generate

Capture = pytest.CaptureFixture[str]
Build = Callable[[pathlib.Path, pathlib.Path], pathlib.Path]


def copied(made: generate.DemoFiles, path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copy(made.recording, path))


def with_basin(path: pathlib.Path, basin: pathlib.Path, **more: object) -> None:
    """Have a file name another one as its basin."""
    raw = {
        "name": "b",
        "type": "file",
        "format": "hdf5",
        "paths": [str(basin)],
        "features": None,
        "mapping": "same",
        **more,
    }
    with h5py.File(path, "a") as h5:
        h5.require_group("basins").create_dataset(
            "b", data=json.dumps(raw, indent=1).split("\n"), dtype=h5py.string_dtype()
        )


def of_a_basin(file: pathlib.Path, source: pathlib.Path) -> pathlib.Path:
    with_basin(file, source, features=["image"])
    return source


def of_a_basin_in_its_folder(file: pathlib.Path, source: pathlib.Path) -> pathlib.Path:
    with_basin(file, pathlib.Path("C:/away") / source.name)
    return source


def of_a_basin_of_a_basin(file: pathlib.Path, source: pathlib.Path) -> pathlib.Path:
    inner = pathlib.Path(shutil.copy(source, source.with_name("inner.rtdc")))
    with_basin(source, inner)
    with_basin(file, source)
    return inner


def of_a_virtual_dataset(file: pathlib.Path, source: pathlib.Path) -> pathlib.Path:
    with h5py.File(source, "r") as h5:
        image = h5["events/image"]
        layout = h5py.VirtualLayout(image.shape, image.dtype)
        layout[:] = h5py.VirtualSource(image)
    with h5py.File(file, "a") as h5:
        del h5["events/image"]
        h5.create_virtual_dataset("events/image", layout)
    return source


def of_a_virtual_dataset_of_a_basin(
    file: pathlib.Path, source: pathlib.Path
) -> pathlib.Path:
    inner = pathlib.Path(shutil.copy(source, source.with_name("inner.rtdc")))
    of_a_virtual_dataset(source, inner)
    with_basin(file, source)
    return inner


WAYS = [
    of_a_basin,
    of_a_basin_in_its_folder,
    of_a_basin_of_a_basin,
    of_a_virtual_dataset,
    of_a_virtual_dataset_of_a_basin,
]


class Refusal:
    """Runs commands whose output is a file that is needed."""

    def __init__(self, folder: pathlib.Path, capsys: Capture) -> None:
        self.folder = folder
        self.capsys = capsys

    def told(self, words: list[str], file: pathlib.Path, needed: pathlib.Path) -> str:
        """Return what a command says that shall replace `needed`, by a link to it."""
        before = hashlib.md5(needed.read_bytes()).hexdigest()
        suffix, *words = words
        out = self.folder / f"out.{suffix}"
        for link in (out.symlink_to, out.hardlink_to):
            out.unlink(missing_ok=True)
            link(needed)
            names = sorted(path.name for path in self.folder.iterdir())
            assert cli.main([word.format(file=file, out=out) for word in words]) == 1
            told = self.capsys.readouterr().err
            assert str(out) in told
            assert hashlib.md5(needed.read_bytes()).hexdigest() == before
            assert sorted(path.name for path in self.folder.iterdir()) == names
        return told


@pytest.fixture
def refusal(tmp_path: pathlib.Path, capsys: Capture) -> Refusal:
    return Refusal(tmp_path, capsys)


SALVAGE = ["rtdc", "salvage", "{file}", "{out}", "--overwrite"]
COMMANDS = [
    ["csv", "export", "{file}", "{out}", "--overwrite"],
    ["tif", "export", "{file}", "{out}", "--overwrite"],
    ["png", "preview", "{file}", "--output", "{out}", "--overwrite"],
    SALVAGE,
    ["rtdc", "concat", "{out}", "{file}", "{file}", "--overwrite"],
    ["csv", "info", "{file}", "--output", "{out}", "--overwrite"],
    ["csv", "verify", "{file}", "--output", "{out}", "--resume"],
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", COMMANDS, ids=[f"{c[1]}-{c[0]}" for c in COMMANDS])
def test_what_an_input_depends_on(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    refusal: Refusal,
    command: list[str],
    way: Build,
) -> None:
    file = copied(made, tmp_path / "m.rtdc")
    needed = way(file, copied(made, tmp_path / "source.rtdc"))
    is_survey = command[1] in ("info", "verify")
    expected = "is an HDF5 file" if is_survey else "is the same file as the input"
    assert expected in refusal.told(command, file, needed)


def test_the_source_of_a_joined_file(
    made: generate.DemoFiles, tmp_path: pathlib.Path, refusal: Refusal
) -> None:
    file, joined = copied(made, tmp_path / "m.rtdc"), tmp_path / "joined.rtdc"
    assert cli.main(["concat", str(joined), str(file), str(file)]) == 0
    assert "is the same file as the input" in refusal.told(SALVAGE, joined, file)


def test_the_basin_of_a_file_that_is_cut_short(
    made: generate.DemoFiles, tmp_path: pathlib.Path, refusal: Refusal
) -> None:
    file = copied(made, tmp_path / "m.rtdc")
    source = copied(made, tmp_path / "source.rtdc")
    with_basin(file, source)
    with h5py.File(file, "a") as h5:
        h5["logs/end"] = [b"x" * 20_000]
    with open(file, "r+b") as raw:
        raw.truncate(file.stat().st_size - 10_000)
    assert "is the same file as the input" in refusal.told(SALVAGE, file, source)


def test_the_files_of_a_measurement(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    file = copied(made, tmp_path / "m.rtdc")
    source = copied(made, tmp_path / "source.rtdc")
    inner = of_a_basin_of_a_basin(file, source)
    with_basin(inner, tmp_path / "missing.rtdc")
    with dcread.HDF5Data(file) as hd:
        assert hd.local_files() == [inner, file, source]
    with dcread.HDF5Data(made.events) as hd:  # (which has an internal basin, too)
        assert {path.parent for path in hd.local_files()} == {made.events.parent}
    with pytest.raises(dcread.ClosedError):
        hd.local_files()


def test_another_file_is_replaced(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    file = copied(made, tmp_path / "m.rtdc")
    with_basin(file, copied(made, tmp_path / "source.rtdc"))
    other = copied(made, tmp_path / "other.rtdc")
    assert cli.main(["salvage", str(file), str(other), "--overwrite"]) == 0
    assert cli.main(["concat", str(other), str(file), str(file), "--overwrite"]) == 0
    out = tmp_path / "out.csv"
    for _ in range(2):
        words = ["--output", str(out), "--overwrite"]
        assert cli.main(["info", str(file), *words]) == 0
