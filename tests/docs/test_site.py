"""The site: its landing page, the pages of the commands, the gallery, the messages."""

from __future__ import annotations

import ast
import importlib
import json
import pathlib
import re
import shlex
import shutil
from collections.abc import Callable
from typing import Any

import h5py
import pytest

import dcread
from dcread.cli import main as cli
from dcread.demo.generate import make_measurement

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
COMMANDS = DOCS / "reference" / "commands"
EXAMPLES = DOCS / "examples"
MEASURED = ROOT / "benchmarks" / "measured"


def command_lines(text: str) -> list[str]:
    return re.findall(r"^```\{command-output\} (.*)$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a folder with what `dcread demo` makes."""
    folder = tmp_path_factory.mktemp("site")
    make_measurement(folder / "demo-output")
    return folder


@pytest.mark.parametrize("page", [DOCS / "index.md", ROOT / "README.md"])
def test_the_first_example_prints_what_stands_below_it(
    page: pathlib.Path,
    place: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = re.search(
        r"```python\n(.*?)```\n+prints\n+```text\n(.*?)```", page.read_text(), re.DOTALL
    )
    assert found is not None
    code, output = found.groups()
    assert len(list(filter(None, code.splitlines()))) == 5
    monkeypatch.chdir(place)
    exec(compile(code, str(page), "exec"), {})
    assert capsys.readouterr().out == output


def test_every_command_has_a_page() -> None:
    names = {command.name for command in cli.COMMANDS}
    assert {page.stem for page in COMMANDS.glob("*.md")} - {"index"} == names
    assert set((COMMANDS / "index.md").read_text().split()) >= names
    for command in cli.COMMANDS:
        text = (COMMANDS / f"{command.name}.md").read_text()
        lines = command_lines(text)
        assert lines[-1] == f"dcread {command.name} --help"
        own = [line for line in lines if line.startswith(f"dcread {command.name} ")]
        has_json = any("--json" in option.opts for option in command.params)
        assert len(own) >= 2, command.name
        assert any("--json" in line for line in own) is has_json, command.name


def test_pages_of_commands_use_options_that_exist() -> None:
    known = {
        command.name: {name for option in command.params for name in option.opts}
        for command in cli.COMMANDS
    }
    for page in COMMANDS.glob("*.md"):
        for line in command_lines(page.read_text()):
            words = shlex.split(line.split(" | ")[0])
            if words[0] == "dcread":
                used = {word for word in words if word.startswith("--")} - {"--help"}
                assert used <= known[words[1]], (page, line)


@pytest.mark.parametrize("page", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.stem)
def test_the_gallery_runs(
    page: pathlib.Path, place: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("twisted" if page.stem == "remote_file" else "matplotlib")
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    monkeypatch.chdir(place)
    names: dict[str, Any] = {}
    try:
        exec(compile(page.read_text(encoding="utf-8"), str(page), "exec"), names)
        assert any(ax.has_data() for ax in names["figure"].axes)
    finally:
        plt.close("all")
        server = names.get("server")
        if server is not None and server.poll() is None:
            server.kill()
            server.wait()


def provoke(place: pathlib.Path, folder: pathlib.Path) -> str:
    """Return the messages of errors that users meet."""
    recording = place / "demo-output" / "demo_raw.rtdc"
    measurement = place / "demo-output" / "demo.rtdc"
    other = folder / "page.rtdc"
    other.write_text("<html>" * 99)
    cut = folder / "cut.rtdc"
    cut.write_bytes(recording.read_bytes()[:-999])
    damaged = shutil.copy(recording, folder / "damaged.rtdc")
    with h5py.File(damaged) as h5:
        chunk = h5["events/image"].id.get_chunk_info(1)
    with open(damaged, "r+b") as stream:
        stream.seek(chunk.byte_offset + 100)
        stream.write(b"damage")
    closed = dcread.HDF5Data(measurement)
    closed.close()
    alone = dcread.Policy(local=False)
    offline = "http://127.0.0.1:9/x.rtdc"
    quick = dcread.Policy(network=dcread.NetworkLimits(total=1))
    joined = dcread.concatenated_hdf5_data

    def assign(hd: Any) -> None:
        hd["deform"][0] = 1

    attempts: list[Callable[[], Any]] = [
        lambda: dcread.HDF5Data(folder / "nothing.rtdc"),
        lambda: dcread.HDF5Data(folder),
        lambda: dcread.HDF5Data(other),
        lambda: dcread.HDF5Data(cut),
        lambda: dcread.HDF5Data(damaged).image[:],
        lambda: dcread.HDF5Data(measurement)["unknown"],
        lambda: dcread.HDF5Data(measurement, policy=alone)["image"],
        lambda: dcread.HDF5Data(measurement).image[999_999],
        lambda: closed["deform"],
        lambda: assign(dcread.HDF5Data(measurement)),
        lambda: joined([recording, recording], path_out=measurement),
        lambda: dcread.HDF5Data(offline, policy=quick),
    ]
    told = []
    for attempt in attempts:
        try:
            attempt()
        except Exception as exc:
            told.append(str(exc))
    assert len(told) == len(attempts)
    return "\n".join(told)


def texts_of_the_code() -> str:
    """Return all strings of the package."""
    homes = [ROOT / "dcread", ROOT / "dcread_ext"]
    return "\n".join(
        node.value
        for home in homes
        for path in home.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_troubleshooting_quotes_real_messages(
    place: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    text = (DOCS / "troubleshooting.md").read_text()
    headings = re.findall(r"^### (.*`.*)$", text, re.MULTILINE)
    quoted = [one for line in headings for one in re.findall(r"`(.*?)`", line)]
    assert len(quoted) >= 17
    provoked, stored = provoke(place, tmp_path), texts_of_the_code()
    seen = [one for one in quoted if one in provoked]
    assert [one for one in quoted if one not in provoked + stored] == []
    assert len(seen) >= 12, seen


def test_remedies_are_packages_that_can_be_installed() -> None:
    """No message names an extra: it would need dcread itself from an index."""
    text = texts_of_the_code()
    assert "pip install matplotlib" in text
    assert re.findall(r"pip install \S*dcread\S*", text) == []


def test_the_page_of_a_measurement_begins_with_members_that_exist() -> None:
    text = (DOCS / "_templates" / "autosummary" / "class.rst").read_text()
    names = re.findall(r":(?:meth|attr):`~HDF5Data\.(\w+)`", text)
    assert len(names) > 12
    assert [name for name in names if not hasattr(dcread.HDF5Data, name)] == []


def test_ratios_in_the_readme_are_those_of_the_last_run() -> None:
    details = (DOCS / "explanation" / "benchmarks-details.md").read_text()
    rows = re.findall(r"^\| (.*?) \|.*\*\*([\d.]+)x\*\*", details, re.MULTILINE)
    measured = {f"{float(one):.{1 if float(one) < 10 else 0}f}" for _, one in rows}
    measured |= {one for _, one in rows}
    readme = (ROOT / "README.md").read_text().split("## How fast")[1].split("\n## ")[0]
    stated = re.findall(r"\| ([\d.]+) (?=\|)", readme)
    assert len(stated) == len(rows)
    assert [one for one in stated if one not in measured] == []


def test_each_processor_has_its_column_and_the_last_run_is_bold() -> None:
    table = (DOCS / "explanation" / "benchmarks-table.md").read_text()
    tasks, runs = (block.splitlines() for block in table.split("\n\n"))
    kept = [json.loads(path.read_text()) for path in MEASURED.glob("*.json")]
    assert len(kept) >= 2
    names = [cell.strip() for cell in tasks[0].split("|")[3:-1]]
    assert set(names) == {one["processor"] for one in kept}
    assert len(runs) - 2 == sum(len(one["runs"]) for one in kept)
    for one in kept:
        ratios = one["runs"][-1]["ratios"]
        column = 2 + names.index(one["processor"])
        for line in tasks[2:]:
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            bold = re.match(r"\*\*([\d.]+)\*\*", cells[column])
            assert bold is not None
            assert float(bold[1]) == pytest.approx(ratios[cells[0]], abs=0.051)


def test_a_run_is_kept_by_processor_and_the_readme_follows(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    measured = importlib.import_module("benchmarks.measured")
    measured.add_run("Intel(R) Xeon(R) CPU @ 2.80GHz", {"scan": 2.0}, tmp_path)
    measured.add_run("Intel(R) Xeon(R) CPU @ 2.80GHz", {"scan": 1.5}, tmp_path)
    measured.add_run("AMD EPYC", {"scan": 3.0, "open": 0.9}, tmp_path)
    table = measured.compare({"scan": 1.9, "open": 1}, tmp_path).splitlines()
    assert "| scan | 1.9 | **3.00** | **1.50** (1.50 to 2.00) |" in table
    assert "| open | 1 | **0.90** | |" in table
    readme = (ROOT / "README.md").read_text()
    changed = measured.into_readme([9.0] * 11 + [0.5], readme)
    assert changed.count(" 9.0 |") == 11
    assert changed.count(" 0.50 |") == 1
    with pytest.raises(ValueError, match="expected a table of 3 ratios"):
        measured.into_readme([1.0, 2.0, 3.0], readme)
