"""dcnum's whole pipeline with dcread as its reader and without, in turns.

usage: python -m benchmarks.pipeline [--frames N] [--rounds N] [--file FILE]

The script is that of the guide on pipelines. Both outputs have to hold the same events.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import h5py
import hdf5plugin  # noqa: F401  (registers the filter)
import numpy as np

from dcread.demo.generate import make_measurement

from .machine import describe_machine

GUIDE = pathlib.Path(__file__).parents[1] / "docs" / "how-to" / "run-pipelines.md"
SWAP = "dcread.install_as_dcnum_read()"
READERS = ("dcread", "dcnum.read")


def write_scripts(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Write the script of the guide, with dcread and without."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (text,) = [block for block in blocks if "from dcnum." in block]
    scripts = {name: folder / f"{name}.py" for name in READERS}
    scripts["dcread"].write_text(text)
    plain = text.replace("import dcread\n", "import contextlib\n")
    scripts["dcnum.read"].write_text(plain.replace(SWAP, "contextlib.nullcontext()"))
    return scripts


def run(
    script: pathlib.Path, source: pathlib.Path, out: pathlib.Path
) -> tuple[float, float]:
    """Run a pipeline; return seconds of the clock and of processors."""
    out.unlink(missing_ok=True)
    # (what pip installs is compiled, what is installed as editable need not be)
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, script, source, out],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environ,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used


def events_of(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Return all that belongs to events, but for what tells the time."""
    with h5py.File(path) as h5:
        return {
            name: item[:]
            for name, item in h5["events"].items()
            if isinstance(item, h5py.Dataset)
        }


def main() -> None:
    """Print a table with the medians of all rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file", type=pathlib.Path, help="instead of a made one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source = options.file
        if source is None:
            made = make_measurement(folder / "made", frames=options.frames)
            source = made.recording
        scripts = write_scripts(folder)
        outputs = {reader: folder / f"out-{reader}.rtdc" for reader in READERS}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in READERS}
        for turn in range(options.rounds):
            for reader in READERS[:: 1 if turn % 2 else -1]:
                times[reader].append(run(scripts[reader], source, outputs[reader]))
            ours, theirs = (events_of(outputs[reader]) for reader in READERS)
            assert ours.keys() == theirs.keys()
            for feature, values in theirs.items():
                np.testing.assert_array_equal(ours[feature], values, feature)
        count = len(theirs["deform"])
    print("| reader | wall [s] | processors [s] |\n|---|---|---|")
    for reader in READERS:
        wall, used = zip(*times[reader], strict=True)
        print(
            f"| {reader} | {statistics.median(wall):.1f} ({min(wall):.1f} to "
            f"{max(wall):.1f}) | {statistics.median(used):.1f} ({min(used):.1f} to "
            f"{max(used):.1f}) |"
        )
    print(f"\n{count:,} events; {options.rounds} runs each. {describe_machine()}")


if __name__ == "__main__":
    main()
