"""What the framework promises to plugins, and keeps from users."""

from __future__ import annotations

import pathlib
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dcread
from dcread.basins import Basin, BasinManager, Opened, entry, in_time
from dcread.basins.plugins import using_manager
from dcread.errors import BasinError, BasinNotAvailableError, ClosedError, PolicyError

RAMP = np.arange(5) * 1.5
Write = Callable[..., pathlib.Path]


class Counted:
    """An array that keeps what it was asked for."""

    def __init__(self, data: Any, chunks: Any = None) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.chunks = chunks
        self.asked: list[Any] = []

    def __getitem__(self, rows: slice) -> Any:
        self.asked.append(rows)
        return self.data[rows]


class WithRows(Counted):
    def read_rows(self, rows: Any) -> Any:
        self.asked.append(rows)
        return self.data[rows]


@pytest.fixture
def opened(
    write_file: Write,
    plugin: Callable[..., types.ModuleType],
    memory_basin: Callable[..., type[Basin]],
) -> Iterator[Callable[..., dcread.HDF5Data]]:
    """Open a measurement with a basin of a class with the attributes given."""
    found: list[dcread.HDF5Data] = []
    with using_manager(BasinManager()) as manager:

        def open_(
            definition: dict[str, Any] | None = None,
            policy: dcread.Policy | None = None,
            rows: Any = None,
            **attributes: Any,
        ) -> dcread.HDF5Data:
            made = memory_basin(**attributes)
            if manager.find(made.type, made.format) is None:
                manager.register(plugin(made), "checked", "dist-checked 2.1")
            basic = {"name": "m", "type": made.type, "format": made.format}
            events = {"frame": np.arange(5 if rows is None else len(rows))}
            if rows is not None:
                events["basinmap0"] = rows
                basic["mapping"] = "basinmap0"
            path = write_file(
                f"ref{len(found)}.rtdc",
                events,
                [{**basic, **(definition or {})}],
                count=len(events["frame"]),
            )
            found.append(dcread.HDF5Data(path, policy=policy))
            return found[-1]

        yield open_
        for hd in found:
            hd.close()


def gives(features: Any) -> Callable[[Any], Opened]:
    return lambda _: Opened(features)


class Held:
    """An `open` that waits until it is let go."""

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()
        self.contexts: list[Any] = []

    def open(self, basin: Any) -> Any:
        self.contexts.append(basin.context)
        self.entered.set()
        self.let_go.wait(30)
        return Opened({"deform": RAMP})

    def as_method(self) -> Callable[[Any], Any]:
        def open_(basin: Any) -> Any:
            return self.open(basin)

        return open_


@pytest.mark.parametrize("listed", [["deform"], None])
def test_hanging_open_holds_up_only_who_needs_it(
    listed: Any, opened: Callable[..., dcread.HDF5Data], running: Callable[..., Any]
) -> None:
    held = Held()
    closed: list[Any] = []
    hd = opened(
        {"features": listed},
        open=held.as_method(),
        close=lambda self: closed.append(self.location),
    )
    with running(lambda: hd["deform"]) as (asked,):
        assert held.entered.wait(20)
        start = time.monotonic()
        assert hd["frame"].tolist() == [0, 1, 2, 3, 4]
        assert hd.keys() == (["deform", "frame"] if listed else ["frame"])
        (record,) = hd.basin_status()
        assert record.available is None
        assert "being opened" in record.reason
        assert not closed
        assert time.monotonic() - start < 10
        held.let_go.set()
    assert asked.result().tolist() == RAMP.tolist()
    assert hd.keys() == ["deform", "frame"]
    assert hd.basin_status()[0].available is True


def test_open_that_ends_after_closing_is_closed(
    opened: Callable[..., dcread.HDF5Data], running: Callable[..., Any]
) -> None:
    held, closed = Held(), threading.Event()
    hd = opened(open=held.as_method(), close=lambda _: closed.set())
    with running(lambda: hd["deform"], until=ClosedError):
        assert held.entered.wait(20)
        hd.close()
        assert held.contexts[0].cancelled
        assert not closed.is_set()
        held.let_go.set()
    assert closed.wait(20)


def test_late_answers_are_closed_and_eight_are_left_behind(
    opened: Callable[..., dcread.HDF5Data],
    monkeypatch: pytest.MonkeyPatch,
    wait_for: Callable[..., Any],
) -> None:
    monkeypatch.setattr(entry, "OPEN_SECONDS", 0.2)
    monkeypatch.setattr(in_time, "_left_behind", set())
    held = Held()
    closed: list[str] = []
    attributes = {
        "open": held.as_method(),
        "close": lambda self: closed.append(self.location),
    }
    for _ in range(in_time.MAX_LEFT_BEHIND):
        with pytest.raises(KeyError, match=r"longer than 0.2 s; plugin dist-checked"):
            opened(**attributes)["deform"]
    with pytest.raises(KeyError, match="8 calls of plugins hang in this process"):
        opened(**attributes)["deform"]
    assert all(context.cancelled for context in held.contexts)
    assert all(context.deadline is not None for context in held.contexts)
    assert closed == []
    held.let_go.set()
    wait_for(lambda: len(closed) == 8)


def test_temporary_failure_is_tried_again(
    opened: Callable[..., dcread.HDF5Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "RETRY_SECONDS", (0.05, 0.05))
    calls: list[int] = []

    def open_(_: Any) -> Opened:
        calls.append(1)
        if len(calls) < 3:
            raise BasinNotAvailableError("not there yet")
        return Opened({"deform": RAMP, "image": np.zeros((5, 2, 2), "u1")})

    hd = opened(open=open_)
    for _ in range(50):
        if hd.image is not None:
            break
        time.sleep(0.02)
    assert hd["deform"].tolist() == RAMP.tolist()
    assert len(calls) == 3
    assert "not there yet" not in hd.basin_status()[0].reason


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError("gone"), KeyError("key"), SystemExit(3), BasinError("no")],
    ids=lambda error: type(error).__name__,
)
def test_errors_while_reading_name_all(
    error: BaseException, opened: Callable[..., dcread.HDF5Data]
) -> None:
    class Broken:
        shape, dtype = (5,), np.dtype("f8")

        def __getitem__(self, rows: slice) -> Any:
            raise error

    hd = opened(features={"deform": Broken()})
    with pytest.raises(BasinError) as caught:
        hd["deform"]
    text = str(caught.value)
    assert "memory: 'deform': " in text
    assert "plugin dist-checked 2.1" in text
    assert type(error).__name__ in text or str(error) in text
    assert caught.value.__cause__ is error
    assert "damaged" not in text


def test_interrupt_while_reading_passes(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    errors = [KeyboardInterrupt()]

    class Broken(Counted):
        def __getitem__(self, rows: slice) -> Any:
            if errors:
                raise errors.pop()
            return super().__getitem__(rows)

    hd = opened(features={"deform": Broken(RAMP)})
    with pytest.raises(KeyboardInterrupt):
        hd["deform"]
    assert hd["deform"].tolist() == RAMP.tolist()


def test_scattered_rows_are_asked_for_together(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    data = np.arange(30_000.0).reshape(3000, 10)
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 3000, 500)
    plain, chunked = Counted(data), Counted(data, chunks=(100, 10))
    by_number = WithRows(data)
    features = {"userdef1": plain, "userdef2": chunked, "userdef3": by_number}
    hd = opened(features=features, rows=rows)
    for name, most in (("userdef1", 1), ("userdef2", 1), ("userdef3", 1)):
        assert np.array_equal(hd[name][:], data[rows])
        assert len(features[name].asked) <= most
    assert np.array_equal(by_number.asked[0], np.unique(rows))


def test_large_gaps_are_left_out_but_no_chunk_is_read_twice(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    data = np.zeros((4000, 100, 10), "f8")  # 8 kB a row
    data[:] = np.arange(4000)[:, None, None]
    rows = np.array([3999, 0, 5, 1000, 1019, 1000, 1090])
    plain, chunked = Counted(data), Counted(data, chunks=(100, 100, 10))
    hd = opened(features={"userdef1": plain, "userdef2": chunked}, rows=rows)
    for name in ("userdef1", "userdef2"):
        assert np.array_equal(hd[name][:], data[rows])
    spans = [(part.start, part.stop) for part in plain.asked]
    assert spans == [(0, 6), (1000, 1001), (1019, 1020), (1090, 1091), (3999, 4000)]
    spans = [(part.start, part.stop) for part in chunked.asked]
    assert spans == [(0, 6), (1000, 1091), (3999, 4000)]


def test_masked_values_are_refused_and_unmasked_ones_taken(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    some = np.ma.masked_array(RAMP, mask=[0, 1, 0, 0, 0])
    none = np.ma.masked_array(RAMP, mask=False)
    hd = opened(features={"deform": some, "tilt": none})
    assert hd["tilt"].tolist() == RAMP.tolist()
    with pytest.raises(BasinError, match=r"'deform' gave masked values.*dist-checked"):
        hd["deform"]


@pytest.mark.parametrize("type_", ["cloud", "remote", "file"])
@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/m",
        "http://localhost/m",
        "http://[::1]/m",
        "http://10.0.0.1/m",
        "http://0x7f.1/m",
        "weird://192.168.0.1/m",
    ],
)
def test_locations_are_held_against_the_policy_before_an_instance_exists(
    type_: str,
    url: str,
    opened: Callable[..., dcread.HDF5Data],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DCREAD_OFFLINE")
    made: list[str] = []

    def init(self: Any, definition: Any, location: str, context: Any) -> None:
        made.append(location)

    hd = opened(
        type=type_,
        reach="local",
        locations=classmethod(lambda *_: [url]),
        __init__=init,
    )
    with pytest.raises(KeyError, match="not contacted"):
        hd["deform"]
    assert hd.basin_status()[0].available is False
    assert made == []


def test_local_locations_of_own_types_are_held_against_the_policy(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    where = {"reach": "local", "locations": classmethod(lambda *_: ["/etc/x"])}
    hd = opened(policy=dcread.Policy(local="beside"), **where)
    with pytest.raises(KeyError, match='local="beside"'):
        hd["deform"]
    hd = opened(policy=dcread.Policy(local=False), **where)
    with pytest.raises(KeyError, match=r"local=False"):
        hd["deform"]


def test_features_of_the_referrer_are_given_but_not_by_the_basin_itself(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    def open_(self: Any) -> Opened:
        frame = self.context.feature("frame")
        assert self.context.meta("experiment:event count") == 5
        assert self.context.meta("setup:nothing") is None
        with pytest.raises(BasinError, match="no 'deform'"):
            self.context.feature("deform")
        with pytest.raises(PolicyError):
            self.context.check_url("http://localhost/x")
        return Opened({"deform": frame[:] * 1.0})

    assert opened(open=open_)["deform"].tolist() == [0, 1, 2, 3, 4]


def test_of_very_many_definitions_the_first_are_used(
    opened: Callable[..., dcread.HDF5Data],
) -> None:
    many = [
        {"type": "file", "name": f"n{number}", "features": ["x"], "paths": ["gone"]}
        for number in range(200_000)
    ]
    hd = opened(open=lambda _: Opened({"deform": RAMP}, definitions=many))
    assert hd["deform"].tolist() == RAMP.tolist()
    start = time.process_time()
    with pytest.raises(KeyError):
        hd["tilt"]
    assert time.process_time() - start < 3  # (0.8 s, most of it for 10,000 files)
    told = [problem for problem in hd.problems if "more than 10000" in problem.reason]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("attributes", "telling"),
    [
        ({"api": 2}, "written for version 2 of the contract, this dcread knows ve"),
        ({"reach": "elsewhere"}, "should declare 'reach' as one of local, remote, in"),
        ({"priority": "first"}, "should declare 'priority' as an integer"),
    ],
)
def test_classes_that_do_not_fit_are_refused(
    attributes: dict[str, Any],
    telling: str,
    plugin: Callable[..., types.ModuleType],
    memory_basin: Callable[..., type[Basin]],
) -> None:
    manager = BasinManager()
    manager.register(plugin(memory_basin(**attributes)), "p", "dist 1")
    assert manager.find("memory", "memory") is None
    (problem,) = manager.problems
    assert telling in problem.reason
    assert manager.rows()[-1].problem == problem.reason
    assert manager.rows()[-1].source == "dist 1"


def test_plugins_that_register_nothing_are_told() -> None:
    misspelt, bare = types.ModuleType("misspelt"), types.ModuleType("bare")
    misspelt.dcread_register_basin = dcread.hookimpl(lambda: None)  # type: ignore[attr-defined]
    bare.dcread_register_basins = lambda: None  # type: ignore[attr-defined]
    empty = types.ModuleType("empty")
    for what, telling in (
        (misspelt, "there is no hook 'dcread_register_basin'"),
        (bare, "'dcread_register_basins' is not marked with @dcread.hookimpl"),
        (empty, "it implements no hook"),
        (Basin, "it names the class Basin"),
    ):
        manager = BasinManager()
        manager.register(what, "p")
        assert telling in manager.problems[0].reason


def test_one_format_may_have_several_types(
    plugin: Callable[..., types.ModuleType], memory_basin: Callable[..., type[Basin]]
) -> None:
    manager = BasinManager()
    own, file = memory_basin(), memory_basin(type="file")
    manager.register(plugin(own, file), "p")
    assert manager.problems == []
    for made in (own, file):
        found = manager.find(made.type, "memory")
        assert found is not None
        assert found.basin_class is made


def test_status_shows_itself(opened: Callable[..., dcread.HDF5Data]) -> None:
    inner = {"type": "file", "name": "<inner>", "paths": ["gone.rtdc"]}
    hd = opened(open=lambda _: Opened({"deform": RAMP}, definitions=[inner]))
    status = hd.basin_status()
    assert [record.name for record in status[0].basins] == ["<inner>"]
    assert repr(status) == "<BasinStatusList: m (available)>"
    lines = str(status).split("\n")
    assert lines[0] == "m: available, memory (memory) at memory"
    inner_line = "    <inner>: not available, file (hdf5)"
    assert [line for line in lines if line.startswith(inner_line)]
    page = status._repr_html_()
    assert "&lt;inner&gt;" in page
    assert "<inner>" not in page
