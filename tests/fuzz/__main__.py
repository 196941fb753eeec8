"""Run the fuzzers: ``python -m tests.fuzz --help``."""

from __future__ import annotations

import argparse
import collections
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator

from . import corpus, differential, known, mutation

FAILURES = pathlib.Path("fuzz-failures")
MOST_KEPT = 20


class Run:
    """One fuzzer's run: counts what is done, keeps what failed.

    Parameters
    ----------
    fuzzer : str
        Its name.
    options : argparse.Namespace
        The command line.
    """

    def __init__(self, fuzzer: str, options: argparse.Namespace) -> None:
        self.fuzzer = fuzzer
        self.options = options
        self.counts: collections.Counter[str] = collections.Counter()
        self.known: collections.Counter[str] = collections.Counter()
        self.failed = 0

    def cases(self) -> Iterator[tuple[int, str]]:
        """Iterate over the numbers of cases and their seeds, until time is up."""
        seed, one = self.options.seed, self.options.case
        begin = told = time.monotonic()
        number = one or 0
        while number == one or (
            one is None
            and time.monotonic() < begin + self.options.seconds
            and number < self.options.cases
        ):
            yield number, f"{seed}/{number}"
            self.counts["cases"] += 1
            number += 1
            if time.monotonic() > told + 300:
                told = time.monotonic()
                print(f"after {told - begin:.0f} s: {self.summary()}\n", flush=True)

    def fail(self, number: int, report: str, folder: pathlib.Path) -> None:
        """Keep the files of a case and a report, unless the fault is known."""
        why = known.reason(report)
        if why is not None:
            self.known[why] += 1
            return
        self.failed += 1
        if self.failed > MOST_KEPT:
            return
        print(f"{self.fuzzer}, case {number}: {report[-900:]}\n", flush=True)
        kept = FAILURES / f"{self.fuzzer}-{self.options.seed}-{number}"
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        command = (
            f"python -m tests.fuzz {self.fuzzer} --seed {self.options.seed} "
            f"--case {number}"
        )
        text = f"{command}\n\n{report}\n"
        (kept / "report.txt").write_text(text, "utf-8", "backslashreplace")

    def summary(self) -> str:
        """Return what was done, in one paragraph."""
        lines = [f"{self.fuzzer}, seed {self.options.seed}: {self.failed} failures"]
        lines += [f"  {count} {what}" for what, count in sorted(self.counts.items())]
        lines += [f"  {count} known: {why}" for why, count in self.known.items()]
        if self.failed:
            lines.append(f"  see {FAILURES}/{self.fuzzer}-{self.options.seed}-*")
        return "\n".join(lines)


def run_differential(options: argparse.Namespace) -> Run:
    """Read random measurements in random ways."""
    run = Run("differential", options)
    for number, seed in run.cases():
        with tempfile.TemporaryDirectory() as name:
            folder, notes = pathlib.Path(name), []
            try:
                run.counts["reads"] += differential.run_case(seed, folder, notes)
            except Exception:
                report = "\n".join([*notes, traceback.format_exc()])
                run.fail(number, report, folder)
    return run


def run_mutation(options: argparse.Namespace) -> Run:
    """Read damaged files."""
    run = Run("mutation", options)
    dcread, h5py = mutation.Child(), mutation.Child()
    with tempfile.TemporaryDirectory() as name:
        try:
            subjects = []
            rng = random.Random(options.seed)
            for path in corpus.make_corpus(rng, pathlib.Path(name)):
                subject = mutation.Subject.of(path, dcread, h5py)
                subjects.append(subject)
                if subject.faults:
                    run.fail(-1, "\n".join(subject.faults), path.parent)
            for number, seed in run.cases():
                rng = random.Random(seed)
                subject = rng.choice(subjects)
                damaged, done = mutation.mutate(rng, subject)
                path = subject.path.with_name("damaged.rtdc")
                path.write_bytes(damaged)
                faults = mutation.judge(subject, path, dcread, h5py, run.counts)
                if faults:
                    report = "\n".join([*faults, "", *done])
                    run.fail(number, report, path.parent)
        finally:
            dcread.close()
            h5py.close()
    return run


FUZZERS = {"differential": run_differential, "mutation": run_mutation}


def main() -> int:
    """Run what the command line says; 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "fuzzer", nargs="*", choices=[*FUZZERS, []], help="by default both"
    )
    parser.add_argument(
        "--seconds", type=float, default=30, help="how long each one runs"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(10**6),
        help="of all cases; a new one by default",
    )
    parser.add_argument("--case", type=int, help="run this case only")
    parser.add_argument(
        "--cases", type=int, default=10**9, help="how many cases at the most"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    runs = []
    for name in options.fuzzer or FUZZERS:
        print(f"{name}, seed {options.seed}", flush=True)
        runs.append(FUZZERS[name](options))
    print("\n".join(run.summary() for run in runs))
    return int(any(run.failed for run in runs))


if __name__ == "__main__":
    sys.exit(main())
