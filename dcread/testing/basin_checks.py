"""What is asked of a basin format, one small check after the other."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import h5py
import numpy as np

from ..basins import Basin, BasinManager, Policy, plugins
from ..basins.hookspecs import hookimpl
from ..errors import BasinError, ClosedError, DCReadError
from ..measurement.data import HDF5Data

_ROWS = 64
"""How many rows of a feature are compared at the most."""


def check_basin(
    basin_class: type[Basin],
    definition: Mapping[str, Any],
    *,
    referrer: str | os.PathLike[str] | None = None,
    policy: Policy | None = None,
) -> None:
    """Check that a basin format keeps to the contract.

    Parameters
    ----------
    basin_class : type of Basin
        The class to be checked. It need not be installed.
    definition : dict
        A definition that leads to something with at least two events.
    referrer : path, optional
        A measurement to copy and to put the definition in, for formats that read from
        the referrer itself; a small new one if not given. A format that has no
        features itself, only names basins, needs one that tells the event count.
    policy : Policy, optional
        What may be opened; the default if not given.

    Raises
    ------
    AssertionError
        If the class does something else than the contract says; the message tells
        what.

    Examples
    --------
    >>> import numpy as np
    >>> class Numbers(Basin):
    ...     format, type, reach = "numbers", "numbers", "inside"
    ...     def open(self):
    ...         return {"deform": np.arange(4.0)}
    >>> definition = {"type": "numbers", "format": "numbers", "paths": ["here"]}
    >>> check_basin(Numbers, definition)
    """
    _require(
        isinstance(basin_class, type) and issubclass(basin_class, Basin),
        f"expected a subclass of dcread.Basin, got {basin_class!r}",
    )
    source = None if referrer is None else pathlib.Path(referrer)
    with tempfile.TemporaryDirectory() as folder:
        suite = _Suite(
            pathlib.Path(folder), basin_class, dict(definition), source, policy
        )
        with _registered(basin_class):
            for check in (
                suite.it_declares_what_it_reads,
                suite.its_features_are_arrays,
                suite.rows_are_as_numpy_gives_them,
                suite.rows_by_number_are_those_asked_for,
                suite.costs_can_be_told,
                suite.threads_get_the_same,
                suite.a_mapped_basin_gives_mapped_rows,
                suite.a_closed_basin_says_so,
                suite.a_closed_policy_is_kept,
                suite.a_place_that_is_not_there_is_passed_over,
            ):
                check()
        for wrapped, check in (
            (_counting(basin_class), suite.it_is_closed_once_and_not_while_it_is_read),
            (_failing(basin_class, suite.events), suite.a_failing_store_is_told),
            (_slow(basin_class), suite.a_slow_store_does_not_block_others),
        ):
            with _registered(wrapped):
                check()


@contextlib.contextmanager
def _registered(basin_class: type[Basin]) -> Iterator[None]:
    """Have a manager of our own that knows a class in the place of any other."""

    class Plugin:
        @staticmethod
        @hookimpl
        def dcread_register_basins() -> type[Basin]:
            return basin_class

    with plugins.using_manager(BasinManager(built_in=False)) as manager:
        manager.register(Plugin(), "checked", f"{basin_class.__module__} (checked)")
        manager.register_built_ins()
        troubles = [str(problem) for problem in manager.problems]
        ours = (basin_class.type, basin_class.format)
        troubles = [text for text in troubles if "registered twice" not in text]
        _require(not troubles, "; ".join(troubles))
        found = manager.find(*ours)
        _require(found is not None, f"no class is registered for {ours}")
        yield


def _failing(basin_class: type[Basin], events: int) -> type[Basin]:
    """Return the class with a store whose arrays fail."""

    class Failing(basin_class):  # type: ignore[misc, valid-type]
        def open(self) -> Any:
            return {name: _Broken(name, events) for name in ("deform", "area_um")}

    return Failing


def _counting(basin_class: type[Basin]) -> type[Basin]:
    """Return the class with a note of each call of `close`, and how it failed."""

    class Counting(basin_class):  # type: ignore[misc, valid-type]
        closed: ClassVar[list[str]] = []
        failures: ClassVar[list[str]] = []

        def close(self) -> None:
            self.closed.append(self.location)
            try:
                super().close()
            except Exception as exc:
                self.failures.append(f"{type(exc).__name__}: {exc}")
                raise

    return Counting


class _Broken:
    dtype = np.dtype("f8")

    def __init__(self, name: str, events: int) -> None:
        self.name = name
        self.shape = (events,)

    def __getitem__(self, rows: slice) -> Any:
        raise ConnectionResetError(f"{self.name} went away")


def _slow(basin_class: type[Basin]) -> type[Basin]:
    """Return the class with a store that takes until it is let go."""

    class Slow(basin_class):  # type: ignore[misc, valid-type]
        entered, let_go = threading.Event(), threading.Event()

        def open(self) -> Any:
            self.entered.set()
            self.let_go.wait(20)
            return super().open()

    return Slow


def _require(fine: object, otherwise: str) -> None:
    if not fine:
        raise AssertionError(otherwise)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Have an error of the class tell what was asked for."""
    try:
        yield
    except Exception as exc:
        raise AssertionError(f"{what} raised {type(exc).__name__}: {exc}") from exc


class _Suite:
    """The checks, in the order in which they make sense."""

    def __init__(
        self,
        folder: pathlib.Path,
        basin_class: type[Basin],
        definition: dict[str, Any],
        referrer: pathlib.Path | None,
        policy: Policy | None,
    ) -> None:
        self.folder = folder
        self.basin_class = basin_class
        self.definition = {"name": "checked", **definition}
        self.referrer = referrer
        self.policy = policy
        self.count = 0
        self.features: dict[str, Any] = {}

    @contextlib.contextmanager
    def measurement(
        self,
        policy: Policy | None = None,
        rows: Any = None,
        events: int | None = None,
        **changes: Any,
    ) -> Iterator[HDF5Data]:
        """Open a measurement with the definition, and whatever is changed of it."""
        self.count += 1
        path = self.folder / f"referrer{self.count}.rtdc"
        if self.referrer is not None:
            path.write_bytes(self.referrer.read_bytes())
        definition = {**self.definition, **changes}
        with h5py.File(path, "a") as h5:
            counted = "experiment:event count" in h5.attrs
            if events is not None and (rows is not None or not counted):
                h5.attrs["experiment:event count"] = events
            group = h5.require_group("events")
            if rows is not None:
                if "basinmap0" in group:
                    del group["basinmap0"]
                group["basinmap0"] = rows
            if "basins" in h5:
                del h5["basins"]
            lines = json.dumps(definition, indent=2, default=os.fspath).split("\n")
            h5["basins/checked"] = np.array([line.encode() for line in lines])
        with HDF5Data(path, policy=policy or self.policy) as hd:
            yield hd

    def it_declares_what_it_reads(self) -> None:
        """Check that type and format are those of the definition."""
        for key in ("type", "format"):
            ours, stored = getattr(self.basin_class, key), self.definition.get(key)
            _require(
                ours == stored, f"{key}: the class says {ours!r}, it reads {stored!r}"
            )

    def its_features_are_arrays(self) -> None:
        """Check that it opens and each feature can be read."""
        with self.measurement() as hd:
            with _told("taking its features"):
                group, names, _ = hd.get_basin_data(0)
            status = hd.basin_status()[0]
            _require(group is not None, f"it could not be opened: {status.reason}")
            if not names:  # all that it has lies in the basins that it names
                hd.get("a name that none has")  # so each of them is asked
                names = sorted(set(hd.keys()).difference(hd.h5["events"]))
                group = hd
            _require(
                names,
                "it has no features, nor have the basins that it names; a format that "
                "only names basins needs a `referrer` of as many events",
            )
            for name in names:
                with _told(f"'{name}'"):
                    value = group[name]
                if name in ("trace", "contour"):
                    continue
                for attribute in ("shape", "dtype", "__getitem__"):
                    _require(
                        hasattr(value, attribute), f"'{name}' has no '{attribute}'"
                    )
                most = min(value.shape[0], _ROWS)
                _require(most >= 2, f"'{name}' should have at least two events")
                with _told(f"'{name}'[0:{most}]"):
                    rows = np.array(value[0:most])
                _require(
                    rows.shape == (most, *value.shape[1:])
                    and rows.dtype == value.dtype,
                    f"'{name}' tells shape {tuple(value.shape)} of {value.dtype}, its "
                    f"first {most} rows have {rows.shape} of {rows.dtype}",
                )
                self.features[name] = (rows, value.shape[0])
            _require(self.features, "it has no feature with one array")

    @property
    def key(self) -> tuple[str, str]:
        """Type and format."""
        return self.basin_class.type, self.basin_class.format

    @property
    def events(self) -> int:
        """Number of events."""
        return int(next(iter(self.features.values()))[1])

    def _array(self, hd: HDF5Data, name: str) -> Any:
        value = hd[name]
        return value[:_ROWS] if len(value) > _ROWS else value[:]

    def rows_are_as_numpy_gives_them(self) -> None:
        """Check slices, single rows and scattered rows."""
        with self.measurement(events=self.events) as hd:
            for name, (rows, _) in self.features.items():
                view = hd[name]
                last = len(rows) - 1
                for index in (0, last, slice(1, None), slice(0, last, 2), [last, 0, 0]):
                    stop = len(rows)
                    part = slice(1, stop) if index == slice(1, None) else index
                    _require(
                        _same(view[part], rows[part]),
                        f"'{name}'[{index}] is not what the array holds",
                    )

    def rows_by_number_are_those_asked_for(self) -> None:
        """Check ``read_rows`` of arrays that have it."""
        with self.measurement(events=self.events) as hd:
            group, names, _ = hd.get_basin_data(0)
            for name in names:
                if name not in self.features:
                    continue
                read_rows = getattr(group[name], "read_rows", None)
                if read_rows is None:
                    continue
                rows, _ = self.features[name]
                asked = np.array([0, len(rows) - 1])
                call = f"'{name}': read_rows({asked!r})"
                with _told(call):
                    found = np.asarray(read_rows(asked))
                _require(
                    found.dtype == rows.dtype and _same(found, rows[asked]),
                    f"{call} should return these rows in this order, as slices give "
                    f"them, returned shape {found.shape} of {found.dtype}",
                )

    def costs_can_be_told(self) -> None:
        """Check `HDF5Data.explain`, and ``read_cost`` of arrays that have it."""
        with self.measurement(events=self.events) as hd:
            for name in self.features:
                found = hd.explain(name)
                _require(found.available, f"'{name}' is not explained: {found.reason}")
            group, names, _ = hd.get_basin_data(0)
            for name in names:
                tell = getattr(group[name], "read_cost", None)
                if tell is None:
                    continue
                with _told(f"'{name}': read_cost({np.arange(2)!r})"):
                    told = tell(np.arange(2))
                _require(
                    len(told) == 2
                    and all(one is None or int(one) == one >= 0 for one in told),
                    f"'{name}': read_cost should return two counts, returned {told!r}",
                )

    def threads_get_the_same(self) -> None:
        """Check that eight threads read the same at once."""
        with self.measurement(events=self.events) as hd:
            wrong: list[str] = []

            def read() -> None:
                try:
                    for name, (rows, _) in self.features.items():
                        if not _same(self._array(hd, name)[: len(rows)], rows):
                            wrong.append(f"'{name}' differs between threads")
                except Exception as exc:
                    wrong.append(f"a thread got {type(exc).__name__}: {exc}")

            threads = [threading.Thread(target=read) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            _require(not wrong, "; ".join(wrong[:3]))

    def a_mapped_basin_gives_mapped_rows(self) -> None:
        """Check that an index map picks rows, and one beyond them is refused."""
        if self.basin_class.type == "internal" and self.referrer is not None:
            return  # (its events are those of the referrer)
        rows = np.array([1, 0, 1, 1])
        with self.measurement(rows=rows, events=4, mapping="basinmap0") as hd:
            for name, (values, _) in self.features.items():
                _require(
                    _same(hd[name][:], values[rows]), f"'{name}' is not mapped right"
                )
        beyond = np.array([0, self.events, 0, 0])
        name = next(iter(self.features))
        with self.measurement(rows=beyond, events=4, mapping="basinmap0") as hd:
            _raises(BasinError, lambda: hd[name][:], "a map that leads beyond its rows")

    def it_is_closed_once_and_not_while_it_is_read(self) -> None:
        """Check that what `open` took is freed by one `close`."""
        closed: Any = plugins.get_manager().formats()[self.key].basin_class
        with self.measurement(events=self.events) as hd:
            self._array(hd, next(iter(self.features)))
            _require(not closed.closed, "it was closed while the measurement is open")
        count = len(closed.closed)
        _require(count == 1, f"`close` was called {count} times")
        _require(not closed.failures, f"`close` raised {'; '.join(closed.failures)}")

    def a_closed_basin_says_so(self) -> None:
        """Check that views which outlive the measurement raise ClosedError."""
        with self.measurement(events=self.events) as hd:
            views = [hd[name] for name in self.features]
        for view in views:
            if not isinstance(view, np.ndarray):
                _raises(
                    ClosedError, functools.partial(view.__getitem__, 0), "after closing"
                )

    def a_closed_policy_is_kept(self) -> None:
        """Check that nothing outside is opened if the policy allows nothing."""
        reach = (
            plugins.get_manager()
            .formats()[self.basin_class.type, self.basin_class.format]
            .reach
        )
        if reach == "inside":
            return
        with self.measurement(Policy(local=False, remote=False)) as hd:
            status = hd.basin_status()[0]
            _require(
                status.available is not True,
                "it was opened although Policy(local=False, remote=False) forbids it",
            )

    def a_place_that_is_not_there_is_passed_over(self) -> None:
        """Check that neither the measurement nor `keys` fail for a missing place."""
        if self.basin_class.reach == "inside":
            return
        missing = str(self.folder / "not there")
        changes: dict[str, Any] = {
            key: [missing if key == "paths" else "https://example.invalid/not-there"]
            for key in ("paths", "urls")
            if self.definition.get(key)
        }
        policy = Policy(remote="hosts", hosts=("not.there.example",))
        with self.measurement(policy, **changes) as hd:
            hd.keys()
            status = hd.basin_status()[0]
            _require(
                status.available is not True, "it opened a place that is not there"
            )

    def a_failing_store_is_told(self) -> None:
        """Check that an error while reading names the feature and its kind."""
        with self.measurement(features=["deform"], events=self.events) as hd:
            if "deform" in hd.h5["events"]:
                return
            error = _raises(BasinError, lambda: hd["deform"][:], "a failing store")
            told = "'deform'" in str(error) and "ConnectionResetError" in str(error)
            _require(told, f"the error does not tell what failed: {error}")

    def a_slow_store_does_not_block_others(self) -> None:
        """Check that `keys` and `close` go on while another thread waits for `open`."""
        slow: Any = plugins.get_manager().formats()[self.key].basin_class
        name = next(iter(self.features))
        with self.measurement(events=self.events) as hd:
            waiting = threading.Thread(target=_quiet(lambda: hd[name]), daemon=True)
            waiting.start()
            try:
                _require(slow.entered.wait(20), "`open` was not called")
                start = time.monotonic()
                hd.keys()
                hd.basin_status()
                hd.close()
                _require(time.monotonic() - start < 10, "others wait for a slow store")
            finally:
                slow.let_go.set()
            waiting.join(30)
            _require(not waiting.is_alive(), "the thread that waited never ended")


def _quiet(func: Callable[[], Any]) -> Callable[[], None]:
    def call() -> None:
        with contextlib.suppress(DCReadError):
            func()

    return call


def _same(found: Any, expected: Any) -> bool:
    found = np.asarray(found)
    if found.dtype == bool and np.asarray(expected).dtype != bool:
        expected = np.asarray(expected) != 0
    numbers = np.asarray(expected).dtype.kind in "fc"  # (which may be NaN)
    return bool(np.array_equal(found, expected, equal_nan=numbers))


def _raises(kind: type[Exception], func: Callable[[], Any], when: str) -> Exception:
    try:
        func()
    except kind as exc:
        return exc
    except Exception as exc:
        raise AssertionError(
            f"{when}: expected {kind.__name__}, got {type(exc).__name__}: {exc}"
        ) from exc
    raise AssertionError(f"{when}: expected {kind.__name__}, nothing was raised")
