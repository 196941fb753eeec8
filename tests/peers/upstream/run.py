"""Run the tests of dcnum 0.31.0 with dcread in the place of ``dcnum.read``.

usage: python run.py FOLDER [--reader dcnum.read] [PART OF A NAME ...]

The source distribution of dcnum is fetched into FOLDER, and its tests for reading,
writing, backgrounds, and the pipeline are run. They pass, but for those of
``exceptions.py``, which fail. With ``--reader dcnum.read``, the genuine reader runs
them, without exceptions.

dcnum's pipeline starts its workers from two threads at once and now and then never
gets going, with its own reader as with ours. A test whose processes do next to nothing
for a minute is therefore ended, with all that it started, and gets another attempt; how
often that was needed is told at the end. A test that is only slow gets its time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from typing import Any

from exceptions import EXCEPTIONS, NEED_TORCH

HERE = pathlib.Path(__file__).resolve().parent
NAME = "dcnum-0.31.0"
REQUIREMENT = (
    "dcnum==0.31.0 --hash=sha256:"
    "db50c48bf78f8dd8e7f3e35c3289490d692c43474e3bb010fb5fcb907f07972b"
)
PARTS = ("test_read_*", "test_write_*", "test_feat_background_*", "test_logic_*")
PAUSE = 60
"""Seconds in which a test that works uses the processor for `BUSY` seconds at least."""

BUSY = 2.0
LIMIT = 1200
"""Seconds that one test may take at the most; the slowest takes about 40 alone."""

ATTEMPTS = 3


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--reader", default="dcread")
    args = parser.parse_args()
    tests = fetch(args.folder.resolve())
    with tempfile.TemporaryDirectory(prefix="peer-tests-") as name:
        results = Results(tests, pathlib.Path(name), args.reader)
        files = sorted(path.name for part in PARTS for path in tests.glob(f"{part}.py"))
        for file in files:
            if not args.parts or any(part in file for part in args.parts):
                results.run(file)
        return results.tell(complete=not args.parts)


def fetch(folder: pathlib.Path) -> pathlib.Path:
    """Return the folder of the tests, unpacked from the source distribution."""
    tests = folder / NAME / "tests"
    if not tests.exists():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = folder / "requirements.txt"
        wanted.write_text(REQUIREMENT + "\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", "dcnum", "--require-hashes"]
        command += ["--dest", str(folder), "--requirement", str(wanted)]
        subprocess.run(command, check=True)
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        with (
            tempfile.TemporaryDirectory(dir=folder) as name,
            tarfile.open(folder / f"{NAME}.tar.gz") as archive,
        ):
            archive.extractall(name, **safely)  # type: ignore[arg-type]
            shutil.move(pathlib.Path(name) / NAME, folder / NAME)
    return tests


class Watch:
    """Tells whether a run of tests hangs.

    Parameters
    ----------
    events : pathlib.Path
        The file that grows whenever a test begins or ends.
    session : int
        Number of the session that all processes of the run belong to.
    """

    def __init__(self, events: pathlib.Path, session: int) -> None:
        self._events = events
        self._session = session
        self._since, self._used = time.time(), 0.0

    def hangs(self) -> bool:
        now = time.time()
        last = self._events.stat().st_mtime
        if now - max(last, self._since) < PAUSE:
            return False
        used = self._processor_time()
        idle = used is not None and used - self._used < BUSY
        self._since, self._used = now, used or 0.0
        return idle or now - last > LIMIT

    def _processor_time(self) -> float | None:
        """Return the seconds that all processes used so far; None if unknown."""
        processes = pathlib.Path("/proc")
        if not (processes / "self" / "stat").exists():
            return None
        ticks = 0
        for stat in processes.glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                # (a name in parentheses comes first, and may hold anything)
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self._session:
                    ticks += sum(map(int, fields[11:15]))  # and of ended children
        return ticks / os.sysconf("SC_CLK_TCK")


class Results:
    """Outcomes of the tests, and who read for them."""

    def __init__(self, tests: pathlib.Path, place: pathlib.Path, reader: str) -> None:
        self.tests = tests
        self.place = place
        self.genuine = reader == "dcnum.read"
        self.witness = place / "witness"
        self.witness.mkdir()
        self.events = place / "events"
        self.settings = place / "pytest.ini"  # not those of this project
        self.settings.write_text("[pytest]\n")
        self.outcomes: dict[str, tuple[str, str]] = {}
        self.hung: list[str] = []
        paths = [str(HERE), str(HERE / "startup"), os.environ.get("PYTHONPATH", "")]
        self.env = {
            **os.environ,
            "DROPIN_READER": reader,
            "DROPIN_WITNESS": str(self.witness),
            "PEER_TESTS_EVENTS": str(self.events),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }

    def run(self, file: str) -> None:
        """Run the tests of a file; those that hang again."""
        start = time.monotonic()
        left: list[str] = [file]
        attempts: dict[str, int] = {}
        while left:
            collected, stuck = self._attempt(left)
            if left == [file] and not collected:
                self.outcomes[file] = ("failed", "no tests were collected")
                return
            left = [one for one in collected if one not in self.outcomes]
            if stuck is None and left:
                stuck = left[0]  # the process ended before it was through
            if stuck is not None:
                self.hung.append(stuck)
                attempts[stuck] = attempts.get(stuck, 0) + 1
                if attempts[stuck] == ATTEMPTS:
                    text = f"{ATTEMPTS} attempts did not end"
                    self.outcomes[stuck] = ("failed", text)
                    left.remove(stuck)
        print(f"{file}: {time.monotonic() - start:.0f} s", flush=True)

    def _attempt(self, wanted: list[str]) -> tuple[list[str], str | None]:
        """Return the tests that were to be run, and the one that hung."""
        self.events.write_text("")
        folder = self.place / "tmp"
        folder.mkdir()
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p"]
        command += ["reporting", "-p", "no:cacheprovider", "--tb=short"]
        command += ["-c", str(self.settings), "--rootdir", str(self.tests), *wanted]
        with (self.place / "output").open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=self.tests,
                env=self.env | {"TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        watch = Watch(self.events, process.pid)
        while process.poll() is None and not watch.hangs():
            time.sleep(0.5)
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        collected, running = self._read_events()
        if not collected:
            print((self.place / "output").read_text())
        shutil.rmtree(folder, ignore_errors=True)
        return collected, None if ended else running

    def _read_events(self) -> tuple[list[str], str | None]:
        collected: list[str] = []
        running = None
        for line in self.events.read_text().splitlines():
            event = json.loads(line)
            collected = event.get("collected", collected)
            running = event.get("start", running)
            if "end" in event:
                earlier = self.outcomes.get(event["end"], ("", ""))[0]
                if earlier != "failed":  # a failing teardown comes after the call
                    self.outcomes[event["end"]] = (event["outcome"], event["text"])
                running = None
        return collected, running

    def tell(self, *, complete: bool) -> int:
        """Print the outcomes; return the exit status."""
        outcomes = {one: found for one, (found, _) in self.outcomes.items()}
        wrong = [one for one, found in outcomes.items() if found == "failed"]
        for name in wrong:
            print(f"\n--- {name}\n{self.outcomes[name][1]}")
        print()
        for outcome in ("excepted", "skipped"):
            for name, (found, text) in self.outcomes.items():
                if found == outcome:
                    print(f"{outcome}: {name}: {text.splitlines()[-1]}")
        for name in self.hung:
            print(f"hung, run again: {name}")
        if complete and not self.genuine:
            gone = sorted({*EXCEPTIONS, *NEED_TORCH} - set(self.outcomes))
            wrong += gone
            for name in gone:
                print(f"an exception for a test that is not there: {name}")
        wrong += self._foreign_readers()
        passed = sum(found == "passed" for found in outcomes.values())
        print(f"{passed} passed, {len(wrong)} failed, of {len(outcomes)}")
        return 1 if wrong or not passed else 0

    def _foreign_readers(self) -> list[str]:
        """Return what was read by another reader than the one to be tested."""
        if self.genuine:
            return []
        seen: list[dict[str, Any]] = [
            json.loads(line)
            for path in self.witness.glob("*.jsonl")
            for line in path.read_text().splitlines()
        ]
        foreign = {str(one["genuine"]) for one in seen if one["genuine"]}
        for one in sorted(foreign):
            print(f"the genuine reader was at work: {one}")
        workers = sum(bool(one["worker"]) for one in seen)
        print(f"dcread answered {len(seen)} calls, {workers} of them in workers")
        return sorted(foreign) if seen else ["nobody read anything"]


if __name__ == "__main__":
    sys.exit(main())
