"""The documentation: examples run, lists are those of the code."""

from __future__ import annotations

import doctest
import os
import pathlib
import re

import click
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
    "look-in-notebooks",
    "check-the-light",
    "join-measurements",
    "use-other-libraries",
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
    rows = re.findall(r"^\| `dcread (\w+)([^`]*)` \| (.*) \|$", text, re.MULTILINE)
    expected = []
    for command in cli.COMMANDS:
        words = [
            argument.make_metavar(click.Context(command))
            for argument in command.params
            if isinstance(argument, click.Argument)
        ]
        expected.append((command.name, words, command.short_help))
    assert [(name, words.split(), text) for name, words, text in rows] == [
        (name, [re.sub(r"[{].*[}]", "SHELL", word) for word in words], text)
        for name, words, text in expected
    ]


def test_reference_has_every_option() -> None:
    text = (DOCS / "reference" / "command-line.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| ((?:`--.*)?) ?\|$", text, re.MULTILINE))
    options = {
        command.name: [
            option.opts[0]
            for option in command.params
            if isinstance(option, click.Option)
        ]
        for command in cli.COMMANDS
    }
    assert {n: re.findall(r"`(.*?)`", cell) for n, cell in listed.items()} == options


def test_every_command_and_option_has_a_help_text() -> None:
    for command in cli.COMMANDS:
        assert command.help is not None
        assert command.help.startswith(
            command.short_help.split(",")[0].split(".")[0][:20]
        )
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, option.name


def test_options_in_the_docs_exist() -> None:
    known = {
        command.name: {name for option in command.params for name in option.opts}
        | {"--help"}
        for command in cli.COMMANDS
    }
    seen = 0
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        blocks = re.findall(r"```(?:sh|text)\n(.*?)```", page.read_text(), re.DOTALL)
        for line in "".join(blocks).replace("\\\n", " ").splitlines():
            for name, rest in re.findall(r"^dcread (\w+)([^|#]*)", line):
                assert name in known, (page, line)
                used = re.findall(r" (--?[a-z][a-z-]*)", rest)
                assert set(used) <= known[name], (page, line)
                seen += len(used)
    assert seen > 5


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


def test_wheels_are_checked_by_the_version_that_builds_them() -> None:
    root = DOCS.parent
    workflow = (root / ".github" / "workflows" / "wheels.yml").read_text()
    pinned = re.findall(r"cibuildwheel@v([\d.]+)", workflow)
    checked = re.findall(
        r"cibuildwheel==([\d.]+)", (root / "pyproject.toml").read_text()
    )
    assert len(pinned) == 1
    assert pinned == checked
