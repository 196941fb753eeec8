"""``dcread basins``: where a measurement takes features from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import output

if TYPE_CHECKING:
    import argparse

    from ..basins.status import BasinStatus

NAME = "basins"
HELP = "Show the basins of a measurement and whether each is available."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command."""
    parser.add_argument("file", metavar="FILE", help="the measurement")
    output.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print one paragraph a basin, or JSON."""
    from ..measurement.data import HDF5Data

    with HDF5Data(args.file) as hd:
        records = hd.basin_status()
        path = hd.path
    if args.json:
        output.print_json({"path": path, "basins": records})
        return 0
    if not records:
        output.say(f"{path} has no basins")
    for record in records:
        show(record)
    return 0


def show(record: BasinStatus, indent: str = "") -> None:
    """Print what is known of one basin."""
    state = {True: "available", False: "not available", None: "not asked yet"}
    output.say(f"{indent}basin '{record.name}': {state[record.available]}")
    place = f", {record.location}" if record.location else ""
    output.say(f"{indent}  {record.type} ({record.format}){place}")
    if record.features:
        output.say(f"{indent}  features: {' '.join(record.features)}")
    if record.reason:
        output.say(f"{indent}  {record.reason}")
