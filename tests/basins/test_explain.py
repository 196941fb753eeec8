"""``HDF5Data.explain``: where a feature comes from, and what reading it costs."""

from __future__ import annotations

import pathlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

import dcread
from dcread.basins import Basin, BasinManager
from dcread.engine.metadata_blocks import store

from .conftest import IMAGES, PHASES, RAMP
from .dcor_server import Server
from .test_cropped import by_dclab

Write = Callable[..., pathlib.Path]
Make = Callable[..., dict[str, Any]]
FRAMES = np.random.default_rng(3).integers(0, 255, (40, 30, 50)).astype(np.uint8)


@pytest.fixture
def frames(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file whose images are compressed, 8 in a chunk."""
    path = tmp_path / "frames.rtdc"
    with h5py.File(path, "w") as h5:
        options = {"chunks": (8, 30, 50), "fletcher32": True, **hdf5plugin.Zstd(5)}
        h5.create_dataset("events/image", data=FRAMES, **options)
        h5["events/deform"] = np.arange(40) * 0.1
        h5.attrs["experiment:event count"] = 40
    return path


def stored_sizes(path: pathlib.Path, name: str) -> list[int]:
    with h5py.File(path) as h5:
        found = h5[name].id
        return [found.get_chunk_info(i).size for i in range(found.get_num_chunks())]


def test_own_feature(frames: pathlib.Path) -> None:
    with dcread.HDF5Data(frames) as hd:
        found = hd.explain("image")
        deform = hd.explain("deform")
    sizes = stored_sizes(frames, "events/image")
    assert found.available
    assert found.basins == ()
    assert found.mapping == ()
    assert found.source == "the file itself"
    assert found.location == f"{frames}: /events/image"
    assert (found.shape, found.dtype) == (FRAMES.shape, FRAMES.dtype)
    assert found.storage is not None
    assert found.storage.layout == "chunked"
    assert found.storage.chunks == (8, 30, 50)
    assert sorted(found.storage.filters) == ["fletcher32", "zstd"]
    assert found.storage.nbytes == sum(sizes)
    assert found.storage.reader == "dcread"
    assert found.one == dcread.engine.ReadCost(1, sizes[20 // 8])
    assert found.all == dcread.engine.ReadCost(len(sizes), sum(sizes))
    assert deform.storage is not None
    assert deform.storage.layout == "contiguous"
    assert deform.all == dcread.engine.ReadCost(1, 40 * 8)
    text = str(found)
    for part in ("image: the file itself", str(frames), "chunks (8, 30, 50)", "zstd"):
        assert part in text
    assert repr(found) == "<Explanation of 'image': the file itself>"


def test_cost_of_mapped_feature_is_that_of_the_chunks_it_needs(
    frames: pathlib.Path, write_file: Write, file_basin: Make
) -> None:
    rows = np.array([0, 0, 39, 1, 38])
    path = write_file(
        "ref.rtdc",
        {"basinmap0": rows},
        [file_basin(frames, mapping="basinmap0", name="raw")],
    )
    sizes = stored_sizes(frames, "events/image")
    with dcread.HDF5Data(path) as hd:
        found = hd.explain("image")
        assert np.array_equal(hd.image[:], FRAMES[rows])
    assert found.basins == ("raw",)
    assert (found.type, found.format) == ("file", "hdf5")
    assert found.location == f"{frames}: /events/image"
    assert found.mapping == ("basinmap0",)
    assert found.shape == (5, 30, 50)
    assert found.storage is not None
    assert found.storage.shape == (40, 30, 50)
    assert found.one == dcread.engine.ReadCost(1, sizes[4])
    assert found.all == dcread.engine.ReadCost(2, sizes[0] + sizes[4])
    with dcread.HDF5Data(path, index_mapping=[0, 1]) as hd:
        found = hd.explain("image")
    assert found.mapping == ("index_mapping", "basinmap0")
    assert found.all == dcread.engine.ReadCost(1, sizes[0])
    assert "mapped by  index_mapping, then basinmap0" in str(found)


def test_reasons_of_those_that_are_passed_over(
    write_file: Write, file_basin: Make, internal_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP, "image": IMAGES}, identifier="A")
    path = write_file(
        "ref.rtdc",
        {"area_um": RAMP},
        [
            internal_basin("tilt", name="inside"),
            file_basin("gone.rtdc", name="a gone"),
            file_basin(source, name="b other", identifier="B"),
            file_basin(source, name="c good"),
            file_basin(source, name="d too"),
            {"type": "remote", "format": "http", "name": "web", "urls": ["https://h"]},
            {"type": "file", "features": "image", "name": "broken"},
        ],
        internal={"tilt": RAMP},
    )
    with dcread.HDF5Data(path) as hd:
        found = hd.explain("image")
        others = dict(found.passed_over)
        assert found.basins == ("c good",)
        assert list(others) == ["inside", "a gone", "b other", "d too", "web", "broken"]
        assert others["inside"] == "it does not list 'image'"
        assert "no file at" in others["a gone"]
        assert "does not match" in others["b other"]
        assert others["d too"] == others["web"] == "not asked: 'c good' comes first"
        assert "'features' should be a list" in others["broken"]
        tilt = hd.explain("tilt")
        assert tilt.basins == ("inside",)
        assert tilt.type == "internal"
        assert tilt.location == f"{path}: /basin_events/tilt"
        own = dict(hd.explain("area_um").passed_over)
        assert own["d too"] == "not asked: the file has 'area_um' itself"


def test_feature_that_nobody_has(
    write_file: Write, file_basin: Make, server: Server
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    web = {"type": "remote", "format": "http", "name": "web"}
    path = write_file(
        "ref.rtdc",
        {"area_um": RAMP},
        [
            file_basin(source, name="near"),
            file_basin(source, name="liar", features=["tilt"]),
            {**web, "urls": [f"{server.url}/none.rtdc"]},
            {**web, "urls": ["http://10.0.0.1/x.rtdc?Signature=secret"], "name": "lan"},
        ],
    )
    with dcread.HDF5Data(path, policy=dcread.Policy(hosts=[server.url])) as hd:
        found = hd.explain("tilt")
        assert not found.available
        assert found.reason == "neither the file nor a basin of it has it"
        assert found.storage is None
        assert found.one is None
        assert found.basins == ()
        reasons = dict(found.passed_over)
        assert reasons["near"] == "it has no 'tilt'"
        assert "has no 'tilt'" in reasons["liar"]
        assert "none.rtdc" in reasons["web"]
        assert "private" in reasons["lan"]
        for text in (str(found), found._repr_html_()):
            assert "none.rtdc" in text
            assert "secret" not in text
        with pytest.raises(KeyError):
            hd["tilt"]


def test_feature_that_cannot_be_used(write_file: Write, file_basin: Make) -> None:
    source = write_file("src.rtdc", {"tilt": RAMP}, identifier="A")
    path = write_file(
        "ref.rtdc",
        {"deform": np.arange(3), "area_um": RAMP, "bright_avg": RAMP, "image": RAMP},
        [file_basin(source, identifier="B")],
    )
    with dcread.HDF5Data(path) as hd:
        assert "3 events, expected 5" in hd.explain("deform").reason
        assert "expected images" in hd.explain("image").reason
        assert "does not match" in hd.explain("tilt").reason
        assert not hd.explain("tilt").available
        assert hd["area_um"].tolist() == RAMP.tolist()
    with pytest.raises(dcread.ClosedError):
        hd.explain("area_um")


def test_promised_requests_and_bytes_are_those_of_the_server(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    for picks in (slice(None), slice(2, 3)):
        store.clear()
        hd = measurement(f"{server.url}/signed.rtdc".replace("signed", "large"))
        found = hd.explain("qpi_pha")
        assert found.basins == ("web",)
        assert found.format == "http"
        assert found.location == f"{server.url}/large.rtdc: /events/qpi_pha"
        before = len(server.asked)
        assert np.array_equal(hd["qpi_pha"][picks], PHASES[picks])
        cost = found.all if picks == slice(None) else found.one
        assert cost is not None
        assert cost.requests is not None
        assert len(server.asked) - before == cost.requests
        assert sum(server.sent[before:]) == cost.nbytes
        assert cost.requests >= 1
        hd.close()


@pytest.fixture(autouse=True)
def large_file(server: Server) -> None:
    """The file behind ``/signed.rtdc``, without a signature."""
    server.files["/large.rtdc"] = server.files["/signed.rtdc"]


def test_nested_remote_basins(
    server: Server, measurement: Callable[..., dcread.HDF5Data]
) -> None:
    server.signature = "top-secret"
    url = f"{server.url}/signed.rtdc?Signature=top-secret"
    behind = {"type": "remote", "format": "http", "name": "resource", "urls": [url]}
    server.basins = lambda: [{**behind, "perishable": True}]
    rows = np.array([4, 0, 1, 1, 2])
    hd = measurement(server.resource, "dcor", mapping="basinmap0", rows=rows)
    found = hd.explain("image")
    assert found.basins == ("web", "resource")
    assert found.source == "basin 'web > resource' (remote, http)"
    assert found.mapping == ("basinmap0",)
    assert "top-secret" not in f"{found} {found!r} {found._repr_html_()}"
    nobody = dict(hd.explain("tilt").passed_over)
    assert nobody["web > resource"] == "it has no 'tilt'"


def test_cropped_images(
    data_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = "cytoshot_full-features_2023.rtdc"
    folder = tmp_path_factory.mktemp("cropped")
    path, images = by_dclab(data_dir / name, folder / name)
    with dcread.HDF5Data(path) as hd:
        found = hd.explain("image")
        background = hd.explain("image_bg")
    assert (found.type, found.format) == ("internal", "h5datasetchop")
    assert found.shape == images["image"].shape
    assert found.storage is not None
    assert found.storage.reader == "dcread"
    with h5py.File(path) as h5:
        group = h5["basin_events/image"]
        parts = [item for key, item in group.items() if key != "index"]
        count = sum(item.id.get_num_chunks() for item in parts)
        nbytes = sum(item.id.get_storage_size() for item in parts)
        has_background = "inverse_background_feature" in group.attrs
    assert found.all is not None
    assert background.all is not None
    if has_background:
        assert background.all.requests is not None
        assert background.all.nbytes is not None
        count += background.all.requests
        nbytes += background.all.nbytes
    assert found.all == dcread.engine.ReadCost(count, nbytes)
    assert found.one is not None
    assert found.one.requests
    assert found.one.requests <= found.all.requests


def test_joined_file(frames: pathlib.Path, tmp_path: pathlib.Path) -> None:
    joined = tmp_path / "joined.rtdc"
    dcread.concatenated_hdf5_data([frames, frames], path_out=joined)
    sizes = stored_sizes(frames, "events/image")
    with dcread.HDF5Data(joined) as hd:
        found = hd.explain("image")
        assert found.shape == (80, 30, 50)
        assert found.storage is not None
        assert found.storage.layout == "virtual"
        assert found.storage.chunks == (8, 30, 50)
        assert found.one == dcread.engine.ReadCost(1, sizes[0])
        assert found.all == dcread.engine.ReadCost(2 * len(sizes), 2 * sum(sizes))


def test_what_h5py_has_to_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "odd.rtdc"
    with h5py.File(path, "w") as h5:
        h5.create_dataset(
            "events/image", data=FRAMES, chunks=(8, 30, 50), **hdf5plugin.Blosc()
        )
    with dcread.HDF5Data(path) as hd:
        found = hd.explain("image")
    assert found.storage is not None
    assert found.storage.filters == ("blosc",)
    assert found.storage.reader.startswith("h5py (filter 32001")
    assert found.one == dcread.engine.ReadCost(None, None)
    assert "? reads, ? bytes" in str(found)


def test_traces_and_contours(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "groups.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = RAMP
        for name in ("fl1_raw", "fl2_raw"):
            h5.create_dataset(f"events/trace/{name}", data=IMAGES[:, 0], chunks=(2, 4))
        for event in range(5):
            h5[f"events/contour/{event}"] = np.zeros((7, 2), np.int16)
    with dcread.HDF5Data(path) as hd:
        traces, contours = hd.explain("trace"), hd.explain("contour")
    assert traces.members == ("fl1_raw", "fl2_raw")
    assert traces.shape == (5, 4)
    assert traces.location == f"{path}: /events/trace"
    assert traces.one == dcread.engine.ReadCost(2, 2 * 8)
    assert traces.all == dcread.engine.ReadCost(6, 6 * 8)
    assert contours.one == dcread.engine.ReadCost(1, 7 * 2 * 2)
    assert contours.all == dcread.engine.ReadCost(None, None)


def test_what_costs_only_itself(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "parts.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = RAMP
        h5["events/trace/fl1_raw"] = IMAGES[:, 0]
        h5["events/trace/fl2_raw"] = IMAGES[:3, 0]
        for event in (0, 1, 3, 4):
            h5[f"events/contour/{event}"] = np.zeros((7, 2), np.int16)
        h5["events/contour/2"] = h5py.SoftLink("/nowhere")
    with dcread.HDF5Data(path) as hd:
        contours, traces = hd.explain("contour"), hd.explain("trace")
        assert len(hd["contour"][0]) == 7
    unknown = dcread.engine.ReadCost(None, None)
    assert contours.available
    assert contours.one == contours.all == unknown
    assert traces.available
    assert traces.members == ("fl1_raw", "fl2_raw")
    assert traces.all == unknown


def test_plugin(
    manager: BasinManager,
    plugin: Callable[..., types.ModuleType],
    memory_basin: Callable[..., type[Basin]],
    write_file: Write,
) -> None:
    class Priced:
        shape, dtype = (5,), np.dtype(float)

        def __getitem__(self, rows: slice) -> Any:
            return RAMP[rows]

        def read_cost(self, rows: Any) -> tuple[int | None, int | None]:
            return len(rows), None

    class Broken(Priced):
        def read_cost(self, rows: Any) -> tuple[int | None, int | None]:
            raise RuntimeError("no idea")

    features = {"deform": RAMP, "tilt": Priced(), "temp": Broken()}
    manager.register(plugin(memory_basin(features=features)))
    memory = {"name": "m", "type": "memory", "format": "memory"}
    with dcread.HDF5Data(write_file("ref.rtdc", {}, [memory])) as hd:
        found = hd.explain("deform")
        assert (found.basins, found.type, found.format) == (("m",), "memory", "memory")
        assert found.location == "memory: deform"
        assert found.storage is not None
        assert found.storage.reader.startswith("plugin ")
        assert found.one == dcread.engine.ReadCost(1, None)
        assert found.all == dcread.engine.ReadCost(1, None)
        assert hd.explain("tilt").all == dcread.engine.ReadCost(5, None)
        broken = hd.explain("temp")
        assert broken.available
        assert broken.all == dcread.engine.ReadCost(None, None)
        assert hd["temp"].tolist() == RAMP.tolist()


@pytest.mark.parametrize("priced", [False, True])
def test_plugin_that_claims_very_many_rows(
    manager: BasinManager,
    plugin: Callable[..., types.ModuleType],
    memory_basin: Callable[..., type[Basin]],
    write_file: Write,
    *,
    priced: bool,
) -> None:
    class Endless:
        shape, dtype = (2**62,), np.dtype(float)

        def __getitem__(self, rows: slice) -> Any:
            return np.zeros(rows.stop - rows.start)

    if priced:
        Endless.read_cost = lambda *_: (1, 1)  # type: ignore[attr-defined]
    manager.register(plugin(memory_basin(features={"deform": Endless()})))
    memory = {"name": "m", "type": "memory", "format": "memory"}
    with dcread.HDF5Data(write_file("ref.rtdc", {}, [memory], count=2**62)) as hd:
        found = hd.explain("deform")
        assert found.one == dcread.engine.ReadCost(1, 1 if priced else None)
        assert found.all == dcread.engine.ReadCost(None if priced else 2**41, None)
        assert hd.view("deform")[-3:].tolist() == [0, 0, 0]


def test_html_is_escaped(write_file: Write, file_basin: Make) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    evil = "<script>alert(1)</script>"
    path = write_file("ref.rtdc", {}, [file_basin(source, name=evil)])
    with dcread.HDF5Data(path) as hd:
        for feature in ("deform", "tilt"):
            page = hd.explain(feature)._repr_html_()
            assert "<script>" not in page
            assert "&lt;script&gt;" in page


@pytest.fixture
def many(write_file: Write, file_basin: Make) -> Iterator[dcread.HDF5Data]:
    """A measurement with more basins than a text shows."""
    gone = [file_basin(f"gone{i}.rtdc", name=f"gone {i:03}") for i in range(50)]
    with dcread.HDF5Data(write_file("ref.rtdc", {"deform": RAMP}, gone)) as hd:
        yield hd


def test_texts_stay_short(many: dcread.HDF5Data) -> None:
    found = many.explain("deform")
    assert len(found.passed_over) == 50
    assert "and 30 more" in str(found)
    assert str(found).count("\n") < 30
