"""Runs of chunks that threads take from each other: each once, errors by name."""

from __future__ import annotations

import io

import numpy as np
import pytest

from dcread import engine
from dcread.engine import decode as execute
from dcread.engine import open_dataset
from dcread.errors import ChecksumError
from dcread_ext.decode import Decoder, take_turn

DATA = np.random.default_rng(6).integers(0, 50, (640, 40, 50)).astype("u1")
FILTERS = (32015, 3)


@pytest.fixture
def path(tools, tmp_path):
    return tools.make_dataset(tmp_path / "a.rtdc", DATA, (16, 40, 50), FILTERS)


@pytest.fixture
def damage(tools, path):
    """Flip a bit of the chunk that begins at a row."""

    def flip(row):
        part = DATA[row : row + 16].tobytes()
        stored = bytearray(tools.encode(part, FILTERS, 1))
        stored[9] ^= 1
        tools.write_chunk(path, (row, 0, 0), bytes(stored))

    return flip


@pytest.fixture(params=["path", "file object"])
def reader(request, path):
    """Give a reader of the file as it is now."""
    handles = []

    def make():
        target = path
        if request.param == "file object":
            target = io.BytesIO(path.read_bytes())
        handles.append(engine.open_file(target))
        return open_dataset(handles[-1], "x")

    yield make
    for handle in handles:
        handle.close()


def test_a_turn_hands_out_each_number_once(in_threads):
    turn = np.zeros(1, np.int64)

    def take(_thread):
        seen = []
        while (number := take_turn(turn)) < 4000:
            seen.append(number)
        return seen

    seen = in_threads(take, range(8))
    assert sorted(n for numbers in seen for n in numbers) == list(range(4000))


@pytest.mark.parametrize("length", [0, 2])
def test_a_turn_is_one_number(length):
    with pytest.raises(ValueError, match="one number"):
        take_turn(np.zeros(length, np.int64))


@pytest.mark.parametrize("runs", [1, 3, 100])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_short_runs_and_short_calls(reader, monkeypatch, runs, count):
    """However the work is cut, all of it is done."""
    monkeypatch.setattr(execute, "MOST", 1)
    monkeypatch.setattr(execute, "LEAST", 1)
    monkeypatch.setattr(execute, "RUNS", runs)
    engine.set_num_threads(count)
    try:
        found = reader()
        np.testing.assert_array_equal(found.read(slice(0, 640)), DATA)
        rows = np.random.default_rng(count).permutation(640)
        np.testing.assert_array_equal(found.read(rows), DATA[rows])
    finally:
        engine.set_num_threads(None)


@pytest.mark.parametrize("row", [0, 16, 320, 624])
def test_the_bad_chunk_is_named(reader, damage, threads, row):
    damage(row)
    with pytest.raises(ChecksumError, match=rf"chunk at \({row}, 0, 0\)"):
        reader().read(slice(0, 640))
    with pytest.raises(ChecksumError, match=rf"chunk at \({row}, 0, 0\)"):
        reader().read(np.arange(639, -1, -7) // 16 * 16)


def test_after_a_failure_nobody_takes_a_run():
    """The kernel: a plan that leads out of its bytes is refused, and ends the turn."""
    decoder, turn = Decoder(), np.zeros(1, np.int64)
    task = [0, 8, 0, 8, 0, 0, 1, 0, 1]
    tasks = np.array([task, [4, *task[1:]], task], np.int64)
    runs = np.array([[0, 1], [1, 2], [2, 3]], np.int64)
    out = np.zeros(8, np.uint8)
    lines, empty = np.array([[0, 0, 8]], np.int64), np.empty((0, 2), np.int64)
    steps = np.empty((0, 3), np.int64)

    def run(most):
        arguments = (tasks, runs, turn, most, steps, 8, lines, empty, out, 8)
        return decoder.run(-1, b"abcdefgh", *arguments)

    assert run(1) is None
    assert out.tobytes() == b"abcdefgh"
    assert turn.tolist() == [1]
    assert run(5) == (1, "plan", 0)
    assert turn.tolist() == [3]
    assert run(5) is None


@pytest.mark.parametrize("runs", [[[-1, 1]], [[0, 4]], [[7, 9]]])
def test_runs_beyond_the_plan_are_refused(runs):
    tasks = np.array([[0, 8, 0, 8, 0, 0, 1, 0, 1]] * 3, np.int64)
    failure = Decoder().run(
        -1,
        b"abcdefgh",
        tasks,
        np.array(runs, np.int64),
        np.zeros(1, np.int64),
        1,
        np.empty((0, 3), np.int64),
        8,
        np.array([[0, 0, 8]], np.int64),
        np.empty((0, 2), np.int64),
        np.zeros(8, np.uint8),
        8,
    )
    assert failure is not None
    assert failure[1] == "plan"
