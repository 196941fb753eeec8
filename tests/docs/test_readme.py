"""The README's examples, pasted."""

from __future__ import annotations

import pathlib
import re
import shlex

import pytest

from dcread.cli import main as cli
from dcread.demo.generate import make_measurement

README = pathlib.Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```"
    return re.findall(pattern, README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def beside_demo(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_measurement("demo-output", frames=150)


@pytest.mark.usefixtures("beside_demo")
def test_python_examples(capsys: pytest.CaptureFixture[str]) -> None:
    found = blocks("python")
    assert len(found) == 2
    for example in found:
        exec(compile(example, str(README), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r"\d+ events, mean area \d\d\.\d µm²", lines[0])
    assert lines[1] == "one image: (80, 320) uint8"
    assert re.fullmatch(r"deformed cells: \(\d+, 80, 320\)", lines[2])
    assert 0 < float(lines[3]) < 0.3


@pytest.mark.usefixtures("beside_demo")
def test_command_line_examples(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [
        line
        for block in blocks("sh")
        for line in block.splitlines()
        if line.startswith("dcread ")
    ]
    assert len(commands) == 6
    for command in commands:
        assert cli.main(shlex.split(command)[1:]) == 0, command
    assert pathlib.Path("joined.rtdc").exists()
    assert "200 events of 2 files" in capsys.readouterr().out


def test_the_two_commands_are_targets() -> None:
    makefile = (README.parent / "Makefile").read_text()
    targets = [b.split()[1] for b in blocks("sh") if b.startswith("make ")]
    assert targets == ["demo", "test"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    assert len(links) > 8
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_it_is_short() -> None:
    assert len(README.read_text().splitlines()) < 120
