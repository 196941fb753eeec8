"""What the sub-commands share: JSON for pipelines, a bar for people."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare the option ``--json``."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON, for other programs"
    )


def print_json(facts: dict[str, Any]) -> None:
    """Print one JSON object: records as objects, arrays as lists, the rest as text."""
    print(json.dumps(facts, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


@contextlib.contextmanager
def bar(label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Give a progress bar on a terminal, and nothing to see elsewhere."""
    if not sys.stderr.isatty():
        yield lambda number: None
        return
    from ..demo.progress import ProgressBar

    with ProgressBar(label, total, unit) as shown:
        yield shown
