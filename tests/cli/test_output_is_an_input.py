"""A file that is read is never the file that is written, by whatever name."""

from __future__ import annotations

import hashlib
import pathlib
import shutil

import pytest

from dcread.cli import main as cli
from dcread.demo import generate

Capture = pytest.CaptureFixture[str]

COMMANDS = [
    ("csv", ["export", "{file}", "{out}", "--overwrite"]),
    ("tsv", ["export", "{file}", "{out}", "--overwrite", "--features", "deform"]),
    ("parquet", ["export", "{file}", "{out}", "--overwrite"]),
    ("tif", ["export", "{file}", "{out}", "--overwrite"]),
    ("png", ["preview", "{file}", "--output", "{out}", "--overwrite"]),
    ("rtdc", ["salvage", "{file}", "{out}", "--overwrite"]),
    ("rtdc", ["concat", "{out}", "{file}", "{file}", "--overwrite"]),
    ("csv", ["info", "{file}", "--output", "{out}", "--overwrite"]),
    ("csv", ["verify", "{folder}", "--output", "{out}", "--overwrite"]),
    ("parquet", ["verify", "{file}", "--output", "{out}", "--overwrite"]),
    ("csv", ["flicker", "{file}", "--output", "{out}", "--resume"]),
]


@pytest.mark.parametrize("link", ["symbolic", "hard"])
@pytest.mark.parametrize("command", COMMANDS, ids=[f"{w[0]}-{s}" for s, w in COMMANDS])
def test_links_to_what_is_read(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: Capture,
    command: tuple[str, list[str]],
    link: str,
) -> None:
    suffix, words = command
    file = pathlib.Path(shutil.copy(made.recording, tmp_path / "m.rtdc"))
    before = hashlib.md5(file.read_bytes()).hexdigest()
    out = tmp_path / f"out.{suffix}"
    if link == "symbolic":
        out.symlink_to(file)
    else:
        out.hardlink_to(file)
    places = {"file": str(file), "out": str(out), "folder": str(tmp_path)}
    assert cli.main([word.format(**places) for word in words]) == 1
    assert "is the same file as the input" in capsys.readouterr().err
    assert hashlib.md5(file.read_bytes()).hexdigest() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {"m.rtdc", out.name}
    )
