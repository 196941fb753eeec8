"""``dcread verify``: read everything and tell what cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import output

if TYPE_CHECKING:
    import argparse

    from ..measurement.data import HDF5Data
    from ..problems import Problem
    from .verify_file import Findings

NAME = "verify"
HELP = "Read every chunk of a measurement and of its basins; tell what is damaged."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command."""
    parser.add_argument("file", metavar="FILE", help="the measurement")
    parser.add_argument(
        "--no-basins",
        action="store_true",
        help="leave out the basins: look at FILE alone",
    )
    output.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Read all there is; return 1 if anything is wrong."""
    from ..measurement.data import HDF5Data
    from .verify_file import read_datasets

    with HDF5Data(args.file, basins=[] if args.no_basins else None) as hd:
        features = list(hd.keys())
        found = read_datasets(hd)
        with output.bar("features", len(features), "features") as tick:
            for feature in features:
                _read_feature(hd, feature, found)
                tick(1)
        contents = {"metadata": hd.meta, "logs": hd.logs, "tables": hd.tables}
        found.problems += [p for p in hd.problems if not _is_told(p, found)]
        facts = {
            "path": hd.path,
            "ok": not found.problems,
            "events": len(hd),
            "features": features,
            "datasets": found.datasets,
            "bytes": found.size,
            "without_checksum": found.without_checksum,
            **{name: len(items) for name, items in contents.items()},
            "problems": found.problems,
        }
    if args.json:
        output.print_json(facts)
    else:
        show(facts)
    return 1 if found.problems else 0


def show(facts: dict[str, Any]) -> None:
    """Print the findings for people."""
    for problem in facts["problems"]:
        output.say(problem)
    wrong = len(facts["problems"])
    problems = {0: "no problems", 1: "1 problem"}.get(wrong, f"{wrong} problems")
    output.say(
        f"{facts['path']}: {problems} in {len(facts['features'])} features of "
        f"{facts['events']:,} events ({facts['bytes'] / 1e6:,.1f} MB), metadata "
        f"({facts['metadata']}), logs ({facts['logs']}), tables ({facts['tables']})"
    )
    bare = len(facts["without_checksum"])
    if bare:
        output.say(
            f"datasets without a checksum: {bare} of {facts['datasets']} (they can be "
            "read, but what they hold may have changed unnoticed)"
        )


def _is_told(problem: Problem, found: Findings) -> bool:
    """Tell whether the dataset behind a problem was found to be damaged."""
    group = {"feature": "events", "log": "logs", "table": "tables", "basin": "basins"}
    return f"/{group.get(problem.kind)}/{problem.name}" in found.damaged


def _read_feature(hd: HDF5Data, feature: str, found: Findings) -> None:
    """Open a feature as users get it; read it unless its chunks were read."""
    from ..errors import ClosedError, DCReadError, FileChangedError
    from ..problems import Problem

    own = f"/events/{feature}"
    if own in found.damaged:
        return
    try:
        values = hd[feature]
        if own not in found.seen:
            found.size += read_all(values)
        elif isinstance(values, Mapping):
            for part in values:
                values[part]  # its length is checked
    except (ClosedError, FileChangedError):
        raise
    except DCReadError as error:
        found.problems.append(Problem("feature", feature, str(error)))


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
