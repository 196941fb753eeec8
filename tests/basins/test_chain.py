"""A chain of five: internal, file, http, s3 and a plugin, mapped and unmapped."""

from __future__ import annotations

import itertools
import pathlib
import pickle
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import dcread
from dcread.basins import Basin, BasinManager
from dcread.engine.metadata_blocks import store

from .conftest import IMAGES, RAMP
from .dcor_server import Server

Write = Callable[..., pathlib.Path]
Make = Callable[..., dict[str, Any]]

FEATURES = ("temp", "deform", "tilt", "bright_avg", "bright_sd")
"""One of each basin, in the order in which they are asked."""
NAMES = ("inside", "disk", "web", "store", "lab")


class Chain(NamedTuple):
    """A measurement whose basins lead to one another, and what it should give."""

    path: pathlib.Path
    policy: dcread.Policy
    credentials: list[dcread.Credentials]
    right: dict[str, Any]

    def open(self, **more: Any) -> dcread.HDF5Data:
        return dcread.HDF5Data(
            self.path, policy=self.policy, credentials=self.credentials, **more
        )


@pytest.fixture(params=[False, True], ids=["unmapped", "mapped"])
def chain(  # noqa: PLR0917
    request: pytest.FixtureRequest,
    server: Server,
    write_file: Write,
    manager: BasinManager,
    plugin: Callable[..., types.ModuleType],
    memory_basin: Callable[..., type[Basin]],
) -> Chain:
    """The referrer, a file beside it, one on a server, one in a store, a plugin's."""
    mapped = bool(request.param)
    maps = [np.random.default_rng(n).permutation(5) for n in range(4)]
    same = np.arange(5)
    values = {name: RAMP + number for number, name in enumerate(FEATURES)}
    manager.register(plugin(memory_basin(features={"bright_sd": values["bright_sd"]})))

    def basin(number: int, type_: str, format_: str, **more: Any) -> dict[str, Any]:
        mapping = "basinmap0" if mapped else "same"
        basic = {"type": type_, "format": format_, "name": NAMES[number]}
        return {**basic, "mapping": mapping, "features": None, **more}

    keys = f"{server.url}/bucket/store.rtdc"
    links = [
        basin(1, "file", "hdf5", paths=["disk.rtdc"]),
        basin(2, "remote", "http", urls=[f"{server.url}/web.rtdc"]),
        basin(3, "remote", "s3", urls=[keys]),
        basin(4, "memory", "memory"),
    ]
    files = ["ref.rtdc", "disk.rtdc", "web.rtdc", "store.rtdc"]
    places: list[pathlib.Path] = []
    for number, name in enumerate(files):
        events: dict[str, Any] = {"basinmap0": maps[number]} if mapped else {}
        basins, inside = [links[number]], {}
        if number:
            events[FEATURES[number]] = values[FEATURES[number]]
            events["image"] = IMAGES if number == 2 else np.zeros((5, 1, 1), np.uint8)
            if number == 1:
                del events["image"]
        else:
            events["area_um"] = RAMP
            inside = {"temp": values["temp"]}
            inner = basin(0, "internal", "h5dataset", features=["temp"])
            basins.insert(0, {**inner, "paths": ["basin_events"]})
        places.append(write_file(name, events, basins, internal=inside))
    server.files["/web.rtdc"] = places[2].read_bytes()
    server.files["/bucket/store.rtdc"] = places[3].read_bytes()
    for place in places[2:]:
        place.unlink()
    rows, right = same, {"area_um": RAMP}
    for number, name in enumerate(FEATURES):
        if number == 0:
            right[name] = values[name][maps[0]] if mapped else values[name]
            continue
        rows = maps[number - 1][rows] if mapped else rows
        right[name] = values[name][rows]
        if number == 2:
            right["image"] = IMAGES[rows]
    secret = dcread.Credentials(server.url, access_key="key", secret_key="Wx5qk")
    policy = dcread.Policy(hosts=[server.url])
    return Chain(places[0], policy, [secret], right)


def test_features_are_right_in_any_order(chain: Chain) -> None:
    for order in (FEATURES, FEATURES[::-1], ("bright_sd", "area_um", "image")):
        store.clear()
        with chain.open() as hd:
            for name in order:
                assert np.array_equal(hd[name][:], chain.right[name]), name
            assert np.array_equal(hd.image[:], chain.right["image"])
            for event in (4, 0):
                assert np.array_equal(hd["image"][event], chain.right["image"][event])


def test_nobody_is_contacted_before_it_has_to_be(chain: Chain, server: Server) -> None:
    with chain.open() as hd:
        for name in ("area_um", "temp", "deform"):
            assert np.array_equal(hd[name], chain.right[name])
        assert {"area_um", "temp", "deform"} <= set(hd.keys())
        hd.basin_status()
        assert server.asked == []
        assert np.array_equal(hd["tilt"], chain.right["tilt"])
        assert not any("bucket" in path for path in server.asked)
        assert np.array_equal(hd["bright_avg"], chain.right["bright_avg"])
        assert any("bucket" in path for path in server.asked)


def test_status_has_one_line_for_each_basin(chain: Chain) -> None:
    with chain.open() as hd:
        assert np.array_equal(hd["bright_sd"], chain.right["bright_sd"])
        status = hd.basin_status()
        lines = str(status).split("\n")
        for depth, name in enumerate(NAMES):
            (line,) = (one for one in lines if one.lstrip().startswith(f"{name}: "))
            assert line.startswith(f"{'    ' * max(0, depth - 1)}{name}: available, ")
        level, found = list(status), []
        while level:
            found += [(one.name, one.available) for one in level]
            level = [inner for one in level for inner in one.basins]
        assert found == [(name, True) for name in NAMES]
        assert set(hd.keys()) >= set(FEATURES)
        explained = hd.explain("bright_sd")
        assert explained.basins == NAMES[1:]
        page = status._repr_html_()
        assert all(page.count(f"{name}</th>") == 1 for name in NAMES)


def test_reasons_say_each_thing_once(chain: Chain, server: Server) -> None:
    del server.files["/bucket/store.rtdc"]
    with chain.open() as hd:
        for _ in range(2):
            with pytest.raises(KeyError) as caught:
                hd["bright_sd"]
            assert str(caught.value).count("bucket/store.rtdc") == 1
        text = str(hd.basin_status())
        assert text.count("bucket/store.rtdc") == 1
        told = [one for one in hd.problems if "bucket/store.rtdc" in one.reason]
        assert len(told) == 1
        assert np.array_equal(hd["tilt"], chain.right["tilt"])
        assert np.array_equal(hd.image[3], chain.right["image"][3])


@pytest.mark.parametrize("rows", [slice(1, 4), [4, 0, 0, 2], slice(None, None, 2)])
def test_index_mapping(chain: Chain, rows: Any) -> None:
    with chain.open(index_mapping=rows) as hd:
        for name, right in chain.right.items():
            assert np.array_equal(hd[name][:], right[rows]), name


def test_pickles_carry_no_secret_and_open_the_same(
    chain: Chain, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chain.open(index_mapping=[3, 1]) as hd:
        assert np.array_equal(hd["bright_avg"], chain.right["bright_avg"][[3, 1]])
        data = pickle.dumps(hd)
    assert b"Wx5qk" not in data
    monkeypatch.setenv("DCREAD_S3_ENDPOINT_URL", server.url)
    monkeypatch.setenv("DCREAD_S3_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("DCREAD_S3_SECRET_ACCESS_KEY", "Wx5qk")
    with pickle.loads(data) as again:
        for name, right in chain.right.items():
            assert np.array_equal(again[name][:], right[[3, 1]]), name


def test_joined_files(chain: Chain, tmp_path: pathlib.Path) -> None:
    dcread.Policy.set_default(chain.policy)
    dcread.set_credentials(*chain.credentials)
    try:
        with dcread.concatenated_hdf5_data(
            [chain.path, chain.path],
            tmp_path / "joined.rtdc",
            compute_frame=False,
            features=["area_um", "temp", "deform", "tilt", "bright_sd", "image"],
        ) as hd:
            for name in ("area_um", "temp", "deform", "tilt", "bright_sd", "image"):
                right = np.concatenate([chain.right[name]] * 2)
                assert np.array_equal(hd[name][:], right), name
    finally:
        dcread.Policy.set_default(None)
        dcread.set_credentials()


def test_slices_as_dask_takes_them(chain: Chain) -> None:
    array = pytest.importorskip("dask.array")
    with chain.open() as hd:
        for name in ("image", "bright_sd", "tilt"):
            view = hd.view(name)
            lazy = array.from_array(view, chunks=(2, *view.shape[1:]), asarray=False)
            assert np.array_equal(lazy.compute(), chain.right[name])
            assert np.array_equal(lazy[1:4].compute(), chain.right[name][1:4])


def circle(server: Server, write_file: Write, count: int) -> Iterator[pathlib.Path]:
    for number in range(count):
        leads_to = (number + 1) % count
        urls = [f"{server.url}/c{leads_to}.rtdc?Signature={number}#x"]
        basin = {"type": "remote", "format": "http", "name": f"b{leads_to}"}
        name = f"c{number}.rtdc"
        events = {f"userdef{number}": RAMP + number}
        place = write_file(name, events, [{**basin, "urls": urls, "features": None}])
        server.files[f"/{name}"] = place.read_bytes()
        yield place


@pytest.mark.parametrize("count", [1, 2, 4])
def test_circles_over_servers_end(
    count: int,
    server: Server,
    write_file: Write,
    measurement: Callable[..., dcread.HDF5Data],
) -> None:
    list(circle(server, write_file, count))
    with dcread.HDF5Data(
        f"{server.url}/c0.rtdc", policy=dcread.Policy(hosts=[server.url])
    ) as direct:
        for hd in (direct, measurement(f"{server.url}/c0.rtdc")):
            for number in range(count):
                values = hd[f"userdef{number}"]
                assert values.tolist() == (RAMP + number).tolist()
            before = len(server.asked)
            for _ in range(2):
                with pytest.raises(KeyError, match="tilt"):
                    hd["tilt"]
            assert len(server.asked) - before < 10 * count
            depth, level = 0, list(hd.basin_status())
            while level:
                depth += 1
                level = list(itertools.chain(*(one.basins for one in level)))
            assert depth <= count + 1
