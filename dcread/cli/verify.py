"""``dcread verify``: read everything and tell what cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

NAME = "verify"
HELP = "Read everything that a measurement gives, and tell what cannot be read."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command."""
    parser.add_argument("file", metavar="FILE", help="the measurement")


def run(args: argparse.Namespace) -> int:
    """Read all features, logs and tables; return 1 if anything is wrong."""
    from ..errors import DCReadError
    from ..hdf5_data import HDF5Data

    wrong = size = 0
    with HDF5Data(args.file) as hd:
        features = list(hd.keys())
        for feature in features:
            try:
                size += read_all(hd[feature])
            except DCReadError as error:
                print(f"feature '{feature}': {error}")
                wrong += 1
        contents = len(hd.meta), len(hd.logs), len(hd.tables)
        for problem in hd.problems:
            print(problem)
            wrong += 1
        problems = {0: "no problems", 1: "1 problem"}.get(wrong, f"{wrong} problems")
        print(
            f"{hd.path}: {problems} in {len(features)} features of {len(hd):,} events "
            f"({size / 1e6:,.1f} MB), metadata ({contents[0]}), logs ({contents[1]}), "
            f"tables ({contents[2]})"
        )
    return 1 if wrong else 0


def read_all(values: Any) -> int:
    """Read a feature, whatever its kind, piece by piece; return its bytes."""
    if hasattr(values, "iter_chunks"):
        return sum(values.get_chunk(index).nbytes for index in values.iter_chunks())
    if isinstance(values, Mapping):
        return sum(read_all(part) for part in values.values())
    if isinstance(values, Sequence):
        return sum(part.nbytes for part in values)
    step = 1000
    return sum(
        values[start : start + step].nbytes for start in range(0, len(values), step)
    )
