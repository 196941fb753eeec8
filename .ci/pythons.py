"""Tell which Pythons are at hand, oldest first, each version once.

usage: python pythons.py [PYTHON THAT IS TESTED ALREADY]

One line each: its path, and, after a tab, what is missing to build with it.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

OLDEST = (3, 11)
NAME = re.compile(r"python3?(\.\d+t?)?(\.exe)?")
ASK = """
import importlib.util, json, pathlib, sys, sysconfig
lacks = [name for name in ("venv", "ensurepip") if not importlib.util.find_spec(name)]
if not pathlib.Path(sysconfig.get_paths()["include"], "Python.h").exists():
    lacks.append("headers")
threads = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
print(json.dumps({
    "version": [*sys.version_info[:3], threads],
    "executable": sys.executable,
    "whole": sys.prefix == sys.base_prefix,
    "lacks": lacks,
}))
"""


def candidates() -> Iterator[pathlib.Path]:
    """Yield what is named like a Python: on the path, and what managers installed."""
    home = pathlib.Path.home()
    folders = [pathlib.Path(one) for one in os.get_exec_path()]
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", home / ".pyenv"))
    folders += sorted(pyenv.glob("versions/*/bin"))
    folders += sorted((home / ".local/share/uv/python").glob("*/bin"))
    for folder in folders:
        if folder.is_dir():
            yield from sorted(p for p in folder.iterdir() if NAME.fullmatch(p.name))


def ask(python: str | pathlib.Path) -> dict[str, Any] | None:
    """Return what a Python tells of itself; None if it is none."""
    command = [str(python), "-I", "-c", ASK]
    try:
        run = subprocess.run(command, capture_output=True, timeout=60, check=True)
        answer: dict[str, Any] = json.loads(run.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return answer


def main() -> None:
    """Print one line for each version."""
    known = [answer["version"] for one in sys.argv[1:] if (answer := ask(one))]
    found = []
    for python in candidates():
        answer = ask(python)
        if answer is None or not answer["whole"] or answer["version"] in known:
            continue
        known.append(answer["version"])
        if tuple(answer["version"]) >= OLDEST:
            found.append(answer)
    for answer in sorted(found, key=lambda one: one["version"]):
        print(answer["executable"], ",".join(answer["lacks"]), sep="\t")  # noqa: T201


if __name__ == "__main__":
    main()
