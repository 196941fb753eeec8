"""Run by CI outside the project's folder: do the pages' examples print what they say?

usage: python -I check_pages.py COPY_OF_README COPY_OF_DOCS

Examples run as a reader would paste them, with the installed wheel, in an empty folder
that `dcread demo` has filled.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import dcread

FIRST = "first-measurement.md"
"""The page that makes the files that other pages read."""


def run_first_examples(page: pathlib.Path) -> int:
    """Compare what the first examples of a page print with what stands below them."""
    text = page.read_text(encoding="utf-8")
    pattern = r"```python\n([^`]*)```\n+prints\n+```text\n([^`]*)```"
    pairs = re.findall(pattern, text)
    for code, expected in pairs:
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            exec(compile(code, str(page), "exec"), {})
        assert told.getvalue() == expected, (page, told.getvalue())
    return len(pairs)


def run_doctests(page: pathlib.Path) -> int:
    """Run what looks like a session of Python."""
    text = page.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(test).failed == 0, page
    return len(test.examples)


def run_commands(page: pathlib.Path) -> int:
    """Run the lines that begin with ``dcread`` of the blocks of shell commands."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("dcread ")]
    for command in commands:
        words = [sys.executable, "-m", *shlex.split(command)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return len(commands)


def main() -> None:
    """Run all of them; an assertion tells which page is wrong."""
    readme, docs = (pathlib.Path(name).resolve() for name in sys.argv[1:])
    assert pathlib.Path(sys.prefix) in pathlib.Path(dcread.__file__).parents
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        demo = [sys.executable, "-m", "dcread", "demo", "--only-make", "--quiet"]
        subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)
        firsts = run_first_examples(readme) + run_first_examples(docs / "index.md")
        commands = run_commands(readme)
        pages = [page for page in docs.rglob("*.md") if "_build" not in page.parts]
        pages.sort(key=lambda page: (page.name != FIRST, page))
        examples = sum(map(run_doctests, pages))
        os.chdir(docs)
    assert min(firsts - 1, commands - 5, examples - 100) > 0, (firsts, commands)
    print(
        f"{firsts} programs, {commands} commands, {examples} lines of sessions: right"
    )


if __name__ == "__main__":
    main()
