"""The fuzzers notice what they are there for, and keep what reproduces it."""

from __future__ import annotations

import argparse
import importlib
import pathlib
import random
import struct
import subprocess
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def fuzz(monkeypatch):
    """The modules of the fuzzers (test folders are not packages)."""
    monkeypatch.syspath_prepend(str(ROOT))
    names = ("__main__", "differential", "known", "mutation", "reading", "structures")
    return SimpleNamespace(
        **{name: importlib.import_module(f"tests.fuzz.{name}") for name in names}
    )


@pytest.mark.parametrize("fuzzer", ["differential", "mutation"])
def test_one_case_runs_from_the_shell(fuzzer):
    command = [sys.executable, "-m", "tests.fuzz", fuzzer, "--seed=4", "--case=2"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 cases" in done.stdout


class Wrong:
    """A view that is wrong in one value, or raises."""

    def __init__(self, array, error=None):
        self.array = array.copy()
        self.array[2] += 1
        self.error = error

    def __getitem__(self, expr):
        if self.error is not None:
            raise self.error
        return self.array[expr]


def test_wrong_values_and_wrong_exceptions_are_noticed(fuzz):
    array = np.arange(5)
    check, target = fuzz.differential.check, fuzz.differential.Target
    wrong = fuzz.differential.WrongAnswerError
    check(target("right", array.copy(), array), slice(1, 3))
    check(target("right", array.copy(), array), 7)
    check(target("partly right", Wrong(array), array), slice(0, 2))
    with pytest.raises(wrong, match=r"wrong at \[\[1\]\]"):
        check(target("wrong", Wrong(array), array), slice(1, 3))
    with pytest.raises(wrong, match="int32, expected"):
        check(target("wrong type", array.astype("i4"), array), slice(1, 3))
    with pytest.raises(wrong, match="OSError, expected NoneType"):
        check(target("raises", Wrong(array, OSError()), array), 1)
    with pytest.raises(wrong, match="ValueError, expected IndexError"):
        check(target("raises", Wrong(array, ValueError()), array), 9)


def test_memory_that_others_see_is_noticed(fuzz):
    """What was read is overwritten: a later reader must not see that."""
    array = np.arange(5)
    target = fuzz.differential.Target("shared", array.copy(), array)
    with pytest.raises(fuzz.differential.WrongAnswerError):
        fuzz.differential.read_at_random("seed", [target], 50)


def outcome(fuzz, before, after, judged):
    """Judge a damaged file by what the two readers are said to read."""
    subject = fuzz.mutation.Subject(pathlib.Path("x"), b"", right={"events/f": before})

    def reader(answer):
        return SimpleNamespace(
            read=lambda *_: (
                answer if isinstance(answer, str) else {"events/f": answer[0]}
            )
        )

    return fuzz.mutation.judge(
        subject, pathlib.Path("x"), reader(after), reader(judged), {}
    )


def test_only_right_data_and_the_family_are_accepted(fuzz):
    foreign = f"{fuzz.reading.FOREIGN}KeyError at a.py:f"
    assert outcome(fuzz, "data", ["data"], ["-"]) == []
    assert outcome(fuzz, "data", [f"{fuzz.reading.LOUD}FormatError"], ["-"]) == []
    assert outcome(fuzz, "data", ["other"], ["other"]) == []
    for after, judged in (
        (["other"], ["data"]),
        (["other"], [foreign]),
        ([foreign], [foreign]),
        ("exit status -11", ["data"]),
    ):
        assert len(outcome(fuzz, "data", after, judged)) == 1


def test_rows_are_judged_one_by_one(fuzz):
    digest = fuzz.reading.digest
    whole = np.arange(12).reshape(4, 3)
    lost, mixed, wrong = whole.copy(), whole.copy(), whole.copy()
    lost[1:3] = 0  # what h5py has; it reads less of what is whole
    mixed[2] = 0
    wrong[2] = 1
    swapped = whole[[0, 2, 1, 3]]
    for after, faults in ((mixed, 0), (wrong, 1), (swapped, 1), (mixed[:3], 1)):
        found = outcome(fuzz, digest(whole), [digest(after)], [digest(lost)])
        assert len(found) == faults


@pytest.mark.parametrize("is_told", [False, True])
def test_logs_that_are_left_out_are_judged(fuzz, tmp_path, is_told):
    """One without lines may be, others only with a problem, however late it comes."""
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w") as h5:
        h5["logs/none"] = np.zeros(0, "S9")
        h5["logs/some"] = np.array(["a line"], "S9")
    subject = fuzz.mutation.Subject(path, b"", right=fuzz.reading.read_by_dcread(path))
    assert subject.right["logs/some"] == "['a line']"
    subject.right["logs/none"] = "['another']"
    found = {**subject.right, "problems": 6000 * "x" + "; log 'some'" * is_told}
    del found["logs/none"], found["logs/some"]
    readers = [
        SimpleNamespace(read=lambda *_, a=a: a)
        for a in (found, fuzz.reading.read_by_h5py(path))
    ]
    wrong = fuzz.mutation.judge(subject, path, *readers, {})
    assert [fault.partition(":")[0] for fault in wrong] == ["logs/some"] * (not is_told)


def test_no_problem_is_cut_off(fuzz, tmp_path):
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w") as h5:
        for number in range(100):
            h5[f"logs/{number:03}{'x' * 100}"] = np.zeros(2)
    told = fuzz.reading.read_by_dcread(path)["problems"]
    assert all(f"{number:03}xxx" in told for number in range(100))


def test_errors_beyond_the_family_are_foreign(fuzz):
    answers = {}
    for name, error in {"a": KeyError("x"), "b": MemoryError()}.items():
        with fuzz.reading.noting(answers, name):
            raise error
    assert answers["a"].startswith("FOREIGN: KeyError at ")
    assert answers["b"].startswith("FOREIGN: MemoryError at ")


def test_a_process_that_dies_says_so_and_is_replaced(fuzz, tmp_path):
    with h5py.File(tmp_path / "good.h5", "w") as h5:
        h5["events/deform"] = np.arange(3.0)
    child = fuzz.mutation.Child()
    try:
        assert child.read("no such reader", tmp_path).startswith("exit status 1")
        assert "events/deform" in child.read("dcread", tmp_path / "good.h5")
    finally:
        child.close()


def test_checksums_of_structures(fuzz):
    text = b"Four score and seven years ago"
    total = fuzz.structures.lookup3(text, np.array([len(text)]))
    assert total.tolist() == [0x17770551]  # as the comment in lookup3.c says


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_mutations_reach_structures_and_stay_sealed(fuzz, tmp_path, libver):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver) as h5:
        h5.create_dataset(
            "x", data=np.arange(99), chunks=(10,), maxshape=(None,), fletcher32=True
        )
    regions = fuzz.structures.find_regions(path)
    kinds = {region.kind for region in regions}
    index = {"TREE", "object header"} if libver == "earliest" else {"OHDR", "EADB"}
    assert kinds >= index | {"chunk", "chunk record"}
    for region in regions:
        raw = bytearray(path.read_bytes())
        fuzz.structures.seal(raw, region)
        assert raw == path.read_bytes(), region


def test_what_failed_is_kept_with_its_command(fuzz, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "a.rtdc").write_bytes(b"bytes")
    main = sys.modules["tests.fuzz.__main__"]
    run = main.Run("mutation", argparse.Namespace(seed=3, case=None, seconds=1))
    run.fail(17, "silently wrong", tmp_path / "case")
    assert run.failed == 1
    assert "silently wrong" in capsys.readouterr().out
    kept = tmp_path / "fuzz-failures" / "mutation-3-17"
    assert (kept / "a.rtdc").read_bytes() == b"bytes"
    command = (kept / "report.txt").read_text().splitlines()[0]
    assert command == "python -m tests.fuzz mutation --seed 3 --case 17"
    monkeypatch.setitem(fuzz.known.KNOWN, "as expected", "not mended yet")
    run.fail(18, "as expected", tmp_path / "case")
    assert run.failed == 1
    assert "1 known: not mended yet" in run.summary()


def test_cases_depend_on_their_seed_only(fuzz):
    from tests.fuzz import expressions

    shape = (7, 3, 4)
    first, again = (
        [repr(expressions.expression(rng, shape)) for _ in range(50)]
        for rng in (random.Random("1/2"), random.Random("1/2"))
    )
    assert [e for e in first if "object" not in e] == [
        e for e in again if "object" not in e
    ]


def test_right_answers_for_names_of_any_bytes_and_for_no_elements(fuzz, tmp_path):
    path = tmp_path / "a.rtdc"
    chunked = {"chunks": (2,), "maxshape": (None,)}
    with h5py.File(path, "w", libver="earliest") as h5:
        h5.create_dataset("events/deform", data=np.arange(4.0), **chunked)
        h5["events/trace/fl1_raw"] = np.zeros((0, 9))
        h5["events/odd name"] = np.zeros(0)
    lengths = struct.pack("<BBBB4xQQ", 1, 1, 1, 0, 4, 2**64 - 1)
    raw = path.read_bytes()
    assert raw.count(lengths) == 1
    for old, new in (
        (lengths, lengths.replace(b"\4", b"\0")),  # the chunks stay
        (b"fl1_raw\0", b"fl1_\xffaw\0"),
        (b"odd name", b"odd n\xffme"),
    ):
        raw = raw.replace(old, new)
    path.write_bytes(raw)
    found = fuzz.reading.read_by_dcread(path)
    judged = fuzz.reading.read_by_h5py(path)
    for name in ("deform", "odd n\udcffme", "trace/fl1_\udcffaw"):
        assert found[f"events/{name}"] == judged[f"events/{name}"]
        assert not judged[f"events/{name}"].startswith(fuzz.reading.FOREIGN)
    assert fuzz.reading.SHOWS_DAMAGE not in judged.values()
    subject = fuzz.mutation.Subject(path, raw)
    readers = (SimpleNamespace(read=lambda *_, a=a: a) for a in (found, judged))
    assert fuzz.mutation.judge(subject, path, *readers, {}) == []
