"""Arguments and options that several commands have, and the values they take."""

from __future__ import annotations

import functools
import math
import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=pathlib.Path)


class Names(click.ParamType[list[str]]):
    """Names with commas between them."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Return the names; an empty one is wrong usage."""
        if not isinstance(value, str):
            return list(value)
        names = [name.strip() for name in value.split(",")]
        if not all(names):
            self.fail(f"'{value}' has an empty name between commas", param, ctx)
        return names


def features(help_text: str) -> Callable[[Command], Command]:
    """Declare ``--features``, which takes commas and may be repeated."""

    def flat(
        ctx: click.Context, param: click.Parameter, value: tuple[list[str], ...]
    ) -> list[str] | None:
        names = [name for group in value for name in group]
        return list(dict.fromkeys(names)) or None

    return click.option(
        "--features",
        type=Names(),
        multiple=True,
        metavar="NAME[,NAME...]",
        callback=flat,
        help=f"{help_text} (may be repeated).",
    )


as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one object per line."
)
quiet = click.option(
    "--quiet", "-q", is_flag=True, help="Print no progress, warnings or summary."
)
overwrite = click.option(
    "--overwrite", is_flag=True, help="Replace the output if it exists."
)


def many_files(command: Command) -> Command:
    """Declare FILE... and the options of commands that take many files."""
    decorators = (
        click.argument("files", metavar="FILE...", nargs=-1, required=True),
        as_json,
        click.option(
            "--output",
            type=PATH,
            metavar="TABLE",
            callback=_table,
            help="Write a table with one row per file: .csv or .parquet.",
        ),
        overwrite,
        click.option(
            "--resume",
            is_flag=True,
            help="Continue an earlier TABLE: skip its files that have not changed.",
        ),
        click.option(
            "--jobs",
            "-j",
            type=click.IntRange(min=1),
            default=1,
            metavar="N",
            show_default=True,
            help="Read N files at the same time, each in its own process.",
        ),
        click.option(
            "--dask",
            metavar="ADDRESS",
            help="Work on the dask cluster with this scheduler, e.g. tcp://host:8786.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True, max=1e6),
            metavar="SECONDS",
            callback=no_nan,
            help="Stop reading a file if nothing could be read from it for this long "
            "[default: 300 with --jobs or --dask, else never].",
        ),
        quiet,
    )
    return functools.reduce(lambda made, add: add(made), reversed(decorators), command)


def no_nan(
    ctx: click.Context, param: click.Parameter, value: float | None
) -> float | None:
    """Refuse what is no number, and so in no range."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not a number")
    return value


def _table(
    ctx: click.Context, param: click.Parameter, value: pathlib.Path | None
) -> pathlib.Path | None:
    if value is not None and value.suffix.lower() not in (".csv", ".parquet"):
        raise click.BadParameter(f"'{value}' does not end in .csv or .parquet")
    return value
