"""Lists in the documentation are those of the code; examples of docstrings run."""

from __future__ import annotations

import ast
import json
import pathlib
import re

import pytest

import dcread
from dcread import errors
from dcread.basins import definition, get_manager
from dcread.cli import main as cli
from dcread.demo.generate import make_measurement
from dcread.engine import filters as pipeline
from dcread.engine import layout
from dcread.file import attributes as metadata
from dcread.file import basin_records, events, logs, open_url, tables
from dcread.measurement.feature_info import known_features

ROOT = pathlib.Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def rows(page: str, title: str = "") -> list[list[str]]:
    """Return the cells of a table: the first one below a heading of a page."""
    text = (REFERENCE / page).read_text()
    if title:
        text = text.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip("` ") for cell in line.split("|")[1:-1]] for line in lines[1:]]


def names_in_environ(path: pathlib.Path) -> set[str]:
    """Return the upper-case names in the strings of a module that uses os.environ."""
    text = path.read_text()
    if "environ" not in text and "getenv" not in text:
        return set()
    return {
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", node.value)
    }


def test_environment_variables() -> None:
    used = set[str]().union(*map(names_in_environ, (ROOT / "dcread").rglob("*.py")))
    assert "DCREAD_NUM_THREADS" in used
    assert {row[0] for row in rows("environment.md")} == used


def test_filters() -> None:
    listed = {int(number): name for name, number in rows("formats.md", "Filters")}
    assert listed == pipeline.NAMES


def test_basin_formats() -> None:
    builtin = {
        key
        for key, entry in get_manager().formats().items()
        if entry.source == "dcread"
    }
    assert {tuple(row[:2]) for row in rows("formats.md", "Basins")} == builtin


def test_bounds() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    listed = dict(re.findall(r"^\| (.*) \| ([\d,]+)(?: MiB)? \|$", text, re.MULTILINE))
    policy = dcread.Policy()
    mib = 2**20
    assert {name: int(number.replace(",", "")) for name, number in listed.items()} == {
        "decoded size of one chunk": layout.MAX_CHUNK // mib,
        "decoded size of all tables": tables.MAX_TABLE_BYTES // mib,
        "decoded size of all logs": logs.MAX_LOG_BYTES // mib,
        "lines of all logs": logs.MAX_LOG_LINES,
        "features of one file": events.MAX_FEATURES,
        "logs, and tables, of one file": logs.MAX_MEMBERS,
        "one attribute": metadata.MAX_ATTRIBUTE_BYTES // mib,
        "all attributes": metadata.MAX_METADATA_BYTES // mib,
        "number of attributes": metadata.MAX_ATTRIBUTES,
        "text of one basin definition": policy.max_definition_bytes // mib,
        "text of all basin definitions of one file": basin_records.MAX_TEXT_BYTES
        // mib,
        "paths, URLs and features that they list": definition.MAX_TEXTS,
        "basin definitions that are read of one file": policy.max_definitions,
        "one answer of DCOR": open_url.MAX_JSON_BYTES // mib,
        "locations that are tried for one basin": policy.max_locations,
        "basin files that one measurement opens": policy.max_basins,
        "depth of basins of basins": policy.max_depth,
    }


def test_every_error_is_on_its_page() -> None:
    text = (REFERENCE / "errors.md").read_text()
    assert "automodule:: dcread.errors" in text
    assert ":members:" in text
    assert all(getattr(errors, name).__doc__ for name in errors.__all__)


def test_json_has_the_keys_that_are_listed(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_measurement(tmp_path, frames=60)
    files = {
        "diff": [made.recording, made.recording],
        "cache": [],
        "export": [made.events, tmp_path / "table.csv"],
        "plugins": [],
        "salvage": [made.recording, tmp_path / "saved.rtdc"],
        "concat": [tmp_path / "joined.rtdc", made.recording, made.continuation],
    }
    listed = {
        command: re.findall(r"\w+", keys)
        for command, keys in rows("command-line.md", "JSON")
    }
    able = {
        command.name
        for command in cli.COMMANDS
        if any("--json" in option.opts for option in command.params)
    }
    assert set(listed) == able
    for command, keys in listed.items():
        paths = map(str, files.get(command, [made.events]))
        assert cli.main([command, "--json", *paths]) == 0
        first = capsys.readouterr().out.splitlines()[0]
        assert list(json.loads(first)) == keys, command


def test_a_problem_is_as_described() -> None:
    text = (REFERENCE / "command-line.md").read_text()
    fields = re.search(r"A problem is an object with (.*);", text)
    assert fields is not None
    assert re.findall(r"`(\w+)`", fields[1]) == list(dcread.Problem.__slots__)


def test_table_of_features_is_that_of_the_code() -> None:
    text = (REFERENCE / "features.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) ?\| (\w+) \|$", text, re.M)
    known = [
        (info.name, info.label, info.unit, info.kind)
        for info in known_features().values()
        if not info.name.startswith(("fl2", "fl3", "userdef", "basinmap"))
    ]
    assert [tuple(row) for row in listed] == known
