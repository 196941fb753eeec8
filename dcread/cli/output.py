"""What the sub-commands share: text and a bar for people, JSON for pipelines."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator


def say(text: object, *, error: bool = False) -> None:
    """Print text; what a file could send to the terminal as a command is escaped."""
    safe = "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1]
        for char in str(text)
    )
    print(safe, file=sys.stderr if error else sys.stdout)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare the option ``--json``."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON, for other programs"
    )


def print_json(facts: dict[str, Any]) -> None:
    """Print one JSON object.

    Records become objects, arrays lists, what is not a finite number null, and the
    rest text.
    """
    print(json.dumps(_plain(facts), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (int, str, type(None))) else str(value)


@contextlib.contextmanager
def bar(label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Give a progress bar on a terminal, and nothing to see elsewhere."""
    if not sys.stderr.isatty():
        yield lambda number: None
        return
    from ..demo.progress import ProgressBar

    with ProgressBar(label, total, unit) as shown:
        yield shown
