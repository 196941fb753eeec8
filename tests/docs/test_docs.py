"""The documentation: examples run, lists are those of the code."""

from __future__ import annotations

import argparse
import doctest
import os
import pathlib
import re

import pytest

import dcread
from dcread import errors
from dcread.cli import main as cli

DOCS = pathlib.Path(__file__).parents[2] / "docs"
TUTORIAL = DOCS / "tutorials" / "first-measurement.md"
HOW_TO = (
    "read-images",
    "read-a-part",
    "read-other-data",
    "check-the-light",
    "join-measurements",
    "use-all-cores",
    "deal-with-damage",
)


def run_examples(path: pathlib.Path) -> int:
    """Run the doctest blocks of a page; return how many examples it has."""
    text = path.read_text()
    test = doctest.DocTestParser().get_doctest(text, {}, path.name, str(path), 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    result = runner.run(test, out=said.append)
    assert result.failed == 0, "".join(said)
    return result.attempted


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("docs")


def test_pages_run_in_order(place: pathlib.Path) -> None:
    before = pathlib.Path.cwd()
    os.chdir(place)
    try:
        assert run_examples(TUTORIAL) >= 20
        for page in HOW_TO:
            assert run_examples(DOCS / "how-to" / f"{page}.md") > 0, page
    finally:
        os.chdir(before)


def test_no_page_with_examples_is_forgotten() -> None:
    pages = {p for p in DOCS.rglob("*.md") if ">>> " in p.read_text()}
    assert pages == {TUTORIAL} | {DOCS / "how-to" / f"{page}.md" for page in HOW_TO}


def test_reference_has_every_public_name() -> None:
    text = (DOCS / "reference" / "api.md").read_text()
    listed = re.findall(r"^   ([A-Za-z_]\w+)$", text, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(dcread.__all__) - set(errors.__all__)


def test_every_error_has_a_docstring_and_is_in_the_tree() -> None:
    tree = errors.__doc__ or ""
    for name in errors.__all__:
        assert getattr(errors, name).__doc__
        assert name in tree


def test_reference_has_every_command() -> None:
    text = (DOCS / "reference" / "command-line.md").read_text()
    rows = re.findall(r"^\| `dcread (\w+)[^`]*` \| (.*) \|$", text, re.MULTILINE)
    assert rows == [(module.NAME, module.HELP) for module in cli.COMMANDS]


def test_every_option_has_a_place_in_the_help() -> None:
    parser = cli.make_parser()
    (commands,) = (
        action
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    assert set(commands.choices) == {module.NAME for module in cli.COMMANDS}
    for command in commands.choices.values():
        assert command.format_help()


def test_every_page_is_in_a_table_of_contents() -> None:
    for folder in ("tutorials", "how-to", "reference", "explanation"):
        listed = (DOCS / folder / "index.md").read_text().split()
        pages = list((DOCS / folder).glob("*.md"))
        texts = "".join(page.read_text() for page in pages)
        for page in pages:
            is_part = f"{{include}} {page.name}" in texts
            if page.stem != "index" and not is_part:
                assert page.stem in listed, page
    # decisions are taken by their number
    for page in (DOCS / "explanation" / "decisions").glob("*.md"):
        assert page.stem == "index" or re.match(r"0\d{3}-", page.stem), page


def test_links_between_pages_lead_somewhere() -> None:
    links = [
        (page, link)
        for page in DOCS.rglob("*.md")
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    ]
    assert len(links) > 6
    assert [link for page, link in links if not (page.parent / link).exists()] == []


def test_the_version_is_the_same_everywhere() -> None:
    root = DOCS.parent
    found = {
        name: re.findall(pattern, (root / name).read_text(), re.MULTILINE)
        for name, pattern in {
            "pyproject.toml": r'^version = "(.*)"$',
            "dcread/__init__.py": r'^__version__ = "(.*)"$',
            "CITATION.cff": r"^version: (.*)$",
        }.items()
    }
    assert set(map(tuple, found.values())) == {(dcread.__version__,)}
