"""Print the lowest versions that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import pathlib
import tomllib

PROJECT = pathlib.Path(__file__).parents[1] / "pyproject.toml"

if __name__ == "__main__":
    for one in tomllib.loads(PROJECT.read_text())["project"]["dependencies"]:
        print(one.replace(">=", "=="))  # noqa: T201
