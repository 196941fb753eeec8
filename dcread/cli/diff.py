"""``dcread diff``: tell in what two measurements differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import options
from .screen import Screen

if TYPE_CHECKING:
    from ..tools.compare import Comparison

PARTS = ("features", "metadata", "logs", "tables")
TROUBLE = 2


def _parts(
    ctx: click.Context, param: click.Parameter, value: tuple[list[str], ...]
) -> set[str]:
    names = {name for group in value for name in group}
    for name in sorted(names - set(PARTS)):
        raise click.BadParameter(f"'{name}' is none of {', '.join(PARTS)}")
    return names


@click.command(
    "diff",
    short_help="Compare two measurements event by event.",
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@options.features("Features to compare [default: all]")
@click.option(
    "--ignore",
    type=options.Names(),
    multiple=True,
    callback=_parts,
    metavar="PART[,PART...]",
    help=f"Leave out {', '.join(PARTS[:-1])} or {PARTS[-1]} (may be repeated).",
)
@options.as_json
@options.quiet
def command(
    *,
    first: str,
    second: str,
    features: list[str] | None,
    ignore: set[str],
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare two measurements event by event: features, metadata, logs, tables.

    Features that come from basins are compared as well. The exit status is 0 if A and B
    are equal, 1 if they differ, and 2 if something cannot be read (or for wrong usage).
    """
    from ..measurement.data import HDF5Data
    from ..survey.examine import described, require_measurement
    from ..tools.compare import compare

    screen = Screen(as_json=as_json, quiet=quiet)
    try:
        with (
            HDF5Data(first) as one,
            HDF5Data(second) as other,
            screen.progress("comparing", 0, "features") as bar,
        ):
            for hd in (one, other):
                require_measurement(hd)
            found = compare(
                one, other, features, ignore, lambda done, all_, _: bar.set(done, all_)
            )
    except Exception as error:
        text = described(error)
        if "please report" in text["message"]:
            raise
        screen.fail(text["message"], text["type"])
        return TROUBLE
    if as_json:
        screen.json(
            {
                "files": [first, second],
                "equal": found.equal,
                "events": list(found.events),
                "compared": found.compared,
                "differences": found.differences,
                "problems": found.problems,
            }
        )
    else:
        _show(screen, found)
    return TROUBLE if found.problems else int(not found.equal)


def _show(screen: Screen, found: Comparison) -> None:
    for part in ("features", "metadata", "logs", "tables"):
        for place, name in (("first", "A"), ("second", "B")):
            alone = [
                difference.name
                for difference in found.differences
                if difference.part == part and difference.only == place
            ]
            if alone:
                screen.wrap(f"{part} only in {name}: {', '.join(alone)}", "  ", "")
    for difference in found.differences:
        if not difference.only:
            screen.wrap(str(difference), "  ", "")
    for problem in found.problems:
        screen.fail(problem)
    if screen.quiet:
        return
    looked_at = ", ".join(
        f"{number:,} {part if part == 'metadata' or number != 1 else part[:-1]}"
        for part, number in found.compared.items()
    )
    if found.equal:
        screen.wrap(f"equal: {found.events[0]:,} events, {looked_at}", "  ", "")
        return
    number = len(found.differences)
    text = f"{number:,} difference{'' if number == 1 else 's'} in {looked_at}"
    if found.problems:
        text += f"; {len(found.problems):,} could not be compared"
    screen.wrap(text, "  ", "")
