"""Mutation fuzzer: damaged files give right data or errors of the family, always."""

from __future__ import annotations

import json
import pathlib
import random
import selectors
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

from . import structures
from .reading import FOREIGN, LOUD, ROWS, SHOWS_DAMAGE, Answers
from .structures import Region

SECONDS = 60
"""How long the answer may take on a busy machine; `reading` bounds its own work."""
ODD = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 2**15, 2**16 - 1, 2**31 - 1, 2**31,
       2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 2)  # fmt: skip


class Child:
    """A process that reads files, with limits; begun anew after it died.

    It reads many files, since starting takes half a second.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._used = 0

    def read(self, reader: str, path: pathlib.Path) -> Answers | str:
        """Return what is in a file, or how the process died of it."""
        if self._process is None or self._used > 500:
            self._end()
            command = [sys.executable, "-m", f"{__package__}.reading"]
            self._log.seek(0)
            self._log.truncate()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        self._used += 1
        process.stdin.write(json.dumps([reader, str(path)]) + "\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            in_time = bool(selector.select(SECONDS))
        line = process.stdout.readline() if in_time else ""
        if line:
            answers: Answers = json.loads(line)
            return answers
        if not in_time:
            process.kill()
        status = process.wait()
        self._log.seek(0)
        stack = [one.strip() for one in self._log if one.lstrip().startswith("File ")]
        self._end()
        what = f"exit status {status}" if in_time else f"no answer in {SECONDS} s"
        return f"{what}: {' < '.join(stack[:6]) or 'no stack'}"

    def close(self) -> None:
        """End the process."""
        self._end()
        self._log.close()

    def _end(self) -> None:
        process, self._process = self._process, None
        self._used = 0
        if process is not None:
            process.kill()
            process.communicate()


@dataclass
class Subject:
    """A file to mutate.

    Attributes
    ----------
    path : pathlib.Path
        The file; what it refers to lies beside it.
    raw : bytes
        Its content.
    regions : list of Region
        Where mutations go, by kind.
    right : dict
        What dcread reads from it.
    faults : list of str
        What h5py reads otherwise.
    """

    path: pathlib.Path
    raw: bytes
    regions: dict[str, list[Region]] = field(default_factory=dict)
    right: Answers = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: pathlib.Path, dcread: Child, h5py: Child) -> Subject:
        """Read a file that is not damaged; dcread and h5py must agree on it."""
        subject = cls(path, path.read_bytes())
        for region in structures.find_regions(path):
            subject.regions.setdefault(region.kind, []).append(region)
        right, judged = dcread.read("dcread", path), h5py.read("h5py", path)
        if isinstance(right, str) or isinstance(judged, str):
            raise RuntimeError(f"{path} cannot be read: {right}, h5py {judged}")
        subject.right = right
        subject.faults = [
            f"{name}: {answer}, h5py {judged.get(name)}"
            for name, answer in right.items()
            if "/" in name and answer != judged.get(name)
        ]
        return subject


def mutate(rng: random.Random, subject: Subject) -> tuple[bytes, list[str]]:
    """Return damaged bytes, and what was done."""
    raw = bytearray(subject.raw)
    done = []
    if rng.random() < 0.02:
        size = rng.randrange(len(raw))
        return bytes(raw[:size]), [f"cut to {size} bytes"]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        kind = rng.choice(sorted(subject.regions))
        region = rng.choice(subject.regions[kind])
        done.append(f"{kind} at {region.start}: {change(rng, raw, region, subject)}")
        if region.seal and rng.random() < 0.8:
            structures.seal(raw, region)
            done.append(f"sealed again ({region.seal})")
    return bytes(raw), done


def change(rng: random.Random, raw: bytearray, region: Region, subject: Subject) -> str:
    """Change some bytes of a region; return what was done."""
    stop = min(region.stop, len(raw))
    place = rng.randrange(region.start, stop)
    style = rng.randrange(7)
    if style <= 1:
        bit = 1 << rng.randrange(8)
        raw[place] ^= bit
        return f"bit {bit} of byte {place}"
    if style == 2:
        raw[place] = rng.randrange(256)
        return f"byte {place} = {raw[place]}"
    width = rng.choice((1, 2, 4, 8, 8))
    place = min(place - (place - region.start) % min(width, 8), stop - width)
    place = max(place, 0)
    old = int.from_bytes(raw[place : place + width], "little")
    if style == 3:
        number = rng.choice((*ODD, len(raw), len(raw) - 1))
    elif style == 4:
        number = old + rng.choice((-1, 1, 8, -8, 2**63, len(raw)))
    elif style == 5:
        others = subject.regions[region.kind]
        other = rng.choice(others)
        source = other.start + place - region.start
        number = int.from_bytes(raw[source : source + width], "little")
    else:
        width = min(rng.choice((8, 24, 100)), stop - place)
        number = 0
    number %= 1 << (8 * width)
    raw[place : place + width] = number.to_bytes(width, "little")
    return f"bytes {place} to {place + width} = {number:#x} (before {old:#x})"


def judge(
    subject: Subject,
    path: pathlib.Path,
    dcread: Child,
    h5py: Child,
    counts: dict[str, int],
) -> list[str]:
    """Return what is wrong with dcread's answers for a damaged file."""
    found = dcread.read("dcread", path)
    if isinstance(found, str):
        alone = h5py.read("h5py", path)
        return [f"{found} (h5py alone: {alone})" if isinstance(alone, str) else found]
    wrong = [f"{n}: {a}" for n, a in found.items() if a.startswith(FOREIGN)]
    doubtful = []
    for name in sorted(subject.right.keys() | found.keys()):
        before, now = subject.right.get(name), found.get(name)
        if before == now or name == "problems" or "/" not in name:
            continue
        if now is None:
            if not told(name, found):
                doubtful.append(name)
        elif now.startswith(LOUD):
            continue
        elif not now.startswith(FOREIGN):
            doubtful.append(name)
    if not doubtful:
        kind = "unharmed" if found == subject.right else "an error or a problem"
        counts[kind] = counts.get(kind, 0) + 1
        return wrong
    judged = h5py.read("h5py", path)
    if isinstance(judged, str):
        counts["h5py died"] = counts.get("h5py died", 0) + 1
        return wrong
    for name in doubtful:
        now, right = found.get(name), judged.get(name)
        if judged.get(name.replace("events/", "index/")) == SHOWS_DAMAGE:
            wrong.append(f"{name}: silently {now}, though it {SHOWS_DAMAGE}")
            continue
        before = subject.right.get(name)
        if as_h5py(name, now, before, right):
            continue
        wrong.append(f"{name}: silently {now}, was {before}, h5py {right}")
    counts["other data, as h5py"] = counts.get("other data, as h5py", 0) + (not wrong)
    return wrong


def as_h5py(name: str, now: str | None, before: str | None, right: str | None) -> bool:
    """Tell whether an answer that is not that from before is what h5py has."""
    if now is None and right == "[]" and name.startswith("logs/"):
        return True  # a log without lines is left out
    return (
        now == right
        or (now is None and (right or FOREIGN).startswith(FOREIGN))
        or row_by_row(now, before, right)
    )


def row_by_row(now: str | None, before: str | None, right: str | None) -> bool:
    """Tell whether each row of an array is as before, or as h5py has it.

    An array is read piece by piece, and of a damaged one h5py may read less.
    """
    shapes, rows = [], []
    for answer in (now, before, right):
        what, _, digests = (answer or "").partition(ROWS)
        shapes.append(what.rpartition(" ")[0])
        rows.append(digests.split())
    if not rows[0] or len(set(shapes)) > 1:
        return False
    return all(row in others for row, *others in zip(*rows, strict=True))


def told(name: str, found: Answers) -> bool:
    """Tell whether an error or a problem says why something is missing."""
    kind, _, rest = name.partition("/")
    parent = name.rpartition("/")[0]
    places = ("open", kind, parent, "features", "len")
    if any(found.get(place, "").startswith((LOUD, FOREIGN)) for place in places):
        return True
    names = {rest, rest.partition("/")[0], f"/{kind}", "(all)", "basins", "basin"}
    return any(f"{one}" in found.get("problems", "") for one in names)
