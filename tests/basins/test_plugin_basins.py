"""Basins of plugins: what they may give, and what they may do wrong."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from dcread.basins import Opened
from dcread.errors import BasinError

RAMP = np.arange(5) * 1.5
Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]


class Fails:
    """What a plugin's methods can do wrong; each leaves the file readable."""

    @staticmethod
    def raises(*_: Any) -> Any:
        raise RuntimeError("plugin broke")

    @staticmethod
    def raises_base(*_: Any) -> Any:
        class OddError(BaseException):
            pass

        raise OddError("plugin broke")


NAMED = ("keys", "__getitem__")


@pytest.mark.parametrize("failure", [Fails.raises, Fails.raises_base])
@pytest.mark.parametrize(
    "method", ["__init__", "locations", "available", "open", "names"]
)
def test_basin_that_raises_is_passed_over(
    method: str,
    failure: Callable[..., Any],
    open_memory: Open,
    write_file: Write,
) -> None:
    call = classmethod(failure) if method == "locations" else failure
    if method == "names":
        method, call = "features", type("F", (), dict.fromkeys(NAMED, failure))()
    source = write_file("src.rtdc", {"area_um": RAMP})
    file = {"type": "file", "format": "hdf5", "name": "f", "paths": [str(source)]}
    opened = open_memory(file, **{method: call})
    assert opened.features() == {"area_um"}
    assert opened.values("deform") is None
    assert opened.values("area_um").tolist() == RAMP.tolist()
    record = opened.status("m")
    assert record.available is False
    assert "plugin broke" in record.reason
    assert "plugin broke" in opened.reasons("deform")[0]


def test_failure_of_closing_does_no_harm(open_memory: Open) -> None:
    opened = open_memory(close=Fails.raises)
    assert opened.values("deform").tolist() == RAMP.tolist()
    opened.basins.close()


class BrokenList(Sequence[Any]):
    """Definitions that cannot be listed."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        raise RuntimeError("the list of basins is broken")


def test_failing_list_of_basins_is_told_once(open_memory: Open) -> None:
    def give(self: Any) -> Opened:
        return Opened({"deform": RAMP}, definitions=BrokenList())

    opened = open_memory(open=give)
    assert opened.values("deform").tolist() == RAMP.tolist()
    for _ in range(2):
        assert opened.values("area_um") is None
    telling = "the list of basins is broken"
    assert str(opened.all_status()).count(telling) == 1
    assert str(opened.problems).count(telling) == 1
    assert str(opened.reasons("area_um")).count(telling) == 1


class Lazy(Mapping[str, Any]):
    """Features that break one by one."""

    def __getitem__(self, name: str) -> Any:
        if name == "broken":
            raise OSError("cannot read")
        return {"list": [1, 2, 3, 4, 5], "number": 5, "text": "abcde", "good": RAMP}[
            name
        ]

    def __iter__(self) -> Iterator[str]:
        yield from ("broken", "list", "number", "text", "good", "absent")

    def __len__(self) -> int:
        return 6


def test_wrong_features_are_passed_over(open_memory: Open) -> None:
    opened = open_memory(features=Lazy())
    for name in ("broken", "list", "number", "text", "absent"):
        assert opened.values(name) is None, name
    assert opened.values("good").tolist() == RAMP.tolist()


class Array:
    """An array that may give something else than it tells."""

    shape = (5, 4)
    dtype = np.dtype("i4")
    data = np.arange(20, dtype="i4").reshape(5, 4)

    def __init__(self, answer: Callable[[Any], Any] = lambda data: data) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def __getitem__(self, rows: Any) -> Any:
        self.asked.append(rows)
        return self.answer(self.data[rows])


def test_array_likes_need_slicing_only(open_memory: Open) -> None:
    array = Array()
    trace = {"fl1_raw": array, "fl2_raw": Array()}
    opened = open_memory(features={"userdef1": array, "trace": trace})
    reader, _ = opened.basins.find("userdef1")
    assert np.array_equal(opened.values("userdef1"), Array.data)
    rows = np.array([4, 1, 1, 0])
    window = (slice(1, 3),)
    assert np.array_equal(reader.read(rows, window=window), Array.data[rows, 1:3])
    assert reader.read(rows[:0]).shape == (0, 4)
    assert reader.read(slice(0, 5, 2)).tolist() == Array.data[::2].tolist()
    assert all(isinstance(item, slice) for item in array.asked)
    blocks: list[Any] = []
    reader.map_blocks(slice(1, 5), lambda first, block: blocks.append((first, block)))
    assert np.array_equal(np.concatenate([b for _, b in blocks]), Array.data[1:5])
    traces, _ = opened.basins.find("trace")
    assert traces["fl2_raw"].read(slice(0, 5, 1)).tolist() == Array.data.tolist()


@pytest.mark.parametrize(
    "answer",
    [
        lambda data: data[:1],
        lambda data: data[:, :2],
        lambda data: data.astype(float),
        lambda data: [*data.tolist(), [1, 2, 3, 4]],
        lambda _: None,
    ],
)
def test_array_that_gives_something_else_is_an_error(
    answer: Callable[[Any], Any], open_memory: Open
) -> None:
    opened = open_memory(features={"userdef1": Array(answer)})
    with pytest.raises(BasinError, match="memory: 'userdef1' gave shape"):
        opened.values("userdef1")


def test_shape_that_is_not_whole_is_no_shape(open_memory: Open) -> None:
    broken = Array()
    broken.shape = (5.7, 4)  # type: ignore[assignment]
    opened = open_memory(features={"userdef1": broken})
    assert opened.values("userdef1") is None
    assert "float" in opened.reasons("userdef1")[0]


class Endless(dict[str, Any]):
    """Arrays whose names have no end."""

    def keys(self) -> Any:
        return map(str, itertools.count())

    def __missing__(self, name: str) -> Any:
        return np.zeros((5, 4))


def test_names_without_end_are_refused(
    open_memory: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcread.basins.plugin_arrays.MAX_MEMBERS", 1000)
    opened = open_memory(features={"trace": Endless(), "contour": Endless()})
    for name in ("trace", "contour"):
        assert opened.values(name) is None
        assert "names more than 1000 arrays" in opened.reasons(name)[0]


@pytest.mark.parametrize("features", [None, [1], "text", 3])
def test_open_must_return_a_mapping(features: Any, open_memory: Open) -> None:
    opened = open_memory(features=features)
    assert opened.values("deform") is None
    assert "open should return features by name" in opened.status("m").reason


def test_basin_that_never_opens_stays_closed(
    open_memory: Open,
) -> None:
    closed: list[str] = []
    opened = open_memory(
        open=Fails.raises, close=lambda self: closed.append(self.location)
    )
    assert opened.values("deform") is None
    assert closed == ["memory"]
