"""``dcread salvage``: what is left of a damaged measurement, and what is told."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pathlib
import shutil
import warnings
from collections.abc import Callable

import h5py
import hdf5plugin  # noqa: F401  (registers the filter)
import numpy as np
import pytest

import dcread
from dcread.cli import main as cli
from dcread.demo import generate
from dcread.errors import FormatError
from dcread.tools.salvage import salvage

Capture = pytest.CaptureFixture[str]
Damage = Callable[..., None]


def log_of(path: pathlib.Path) -> dict[str, object]:
    with dcread.HDF5Data(path) as hd:
        facts: dict[str, object] = json.loads("\n".join(hd.logs["dcread-salvage"]))
    return facts


def test_events_of_damaged_chunks_are_left_out(
    made: generate.DemoFiles, tmp_path: pathlib.Path, damage: Damage, capsys: Capture
) -> None:
    bad = pathlib.Path(shutil.copy(made.recording, tmp_path / "bad.rtdc"))
    damage(bad, "events/image", 1)
    digest = hashlib.sha256(bad.read_bytes()).digest()
    target = tmp_path / "saved.rtdc"
    assert cli.main(["salvage", str(bad), str(target)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == f"{target}: 80 of 120 events kept, 40 lost"
    assert out[0].startswith("feature 'image': 40 events cannot be read: ")
    assert hashlib.sha256(bad.read_bytes()).digest() == digest
    kept = np.r_[0:40, 80:120]
    with dcread.HDF5Data(made.recording) as hd, dcread.HDF5Data(target) as saved:
        assert saved.problems == []
        assert len(saved) == 80
        assert list(saved) == list(hd)
        for name in hd:
            assert np.array_equal(
                np.asarray(saved[name][:]), np.asarray(hd[name][:])[kept]
            )
        assert saved.tables.keys() == hd.tables.keys()
        assert (
            saved.logs["dcread-demo-acquisition"] == hd.logs["dcread-demo-acquisition"]
        )
        changed = {k for k in hd.meta if hd.meta[k] != saved.meta[k]}
        assert changed == {"experiment:event count", "experiment:run identifier"}
        own = dcread.get_measurement_identifier(hd)
        assert dcread.get_measurement_identifier(saved) == f"{own}_dcread-salvage"
    facts = log_of(target)
    assert facts["source"] == str(bad)
    assert facts["lost_events"] == [[40, 79]]
    assert facts["costs"]["image"]["events"] == 40
    assert "checksum" in facts["costs"]["image"]["reason"]
    assert cli.main(["verify", str(target)]) == 0


def test_names_that_are_not_text_stay_as_they_are(tmp_path: pathlib.Path) -> None:
    path, target = tmp_path / "m.rtdc", tmp_path / "saved.rtdc"
    places = [b"events/tilt\xff", b"events/trace/\xfe", b"tables/\xff", b"logs/\xff"]
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(4.0)
        for place in places:
            h5[place] = np.full(4, b"one") if b"logs" in place else np.arange(4) * 3
    assert salvage(path, target).lost == {}
    with h5py.File(path) as h5, h5py.File(target) as saved:
        for place in places:
            assert saved[place][:].tolist() == h5[place][:].tolist(), place


def test_claimed_events_without_contours_are_not_looked_for(
    tmp_path: pathlib.Path,
) -> None:
    path, target = tmp_path / "m.rtdc", tmp_path / "saved.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 10**7
        for name in ("2", "7", "07", "x", "10000000"):
            h5[f"events/contour/{name}"] = np.full((3, 2), len(name))
    found = salvage(path, target)
    assert (found.kept, found.lost_events[0]) == (2, (0, 1))
    assert found.costs["contour"]["reason"] == "'events/contour/0': there is none"
    with dcread.HDF5Data(target) as saved:
        assert saved["contour"][1].tolist() == [[1, 1]] * 3
    with h5py.File(path, "a") as h5:
        h5.attrs["experiment:event count"] = 2**40
    with pytest.raises(FormatError, match=r"m\.rtdc: claims .* events"):
        salvage(path, target, overwrite=True)


def test_what_is_whole_stays_equal(
    made: generate.DemoFiles, tmp_path: pathlib.Path, capsys: Capture
) -> None:
    target = tmp_path / "saved.rtdc"
    assert cli.main(["salvage", str(made.events), str(target)]) == 0
    capsys.readouterr()
    assert cli.main(["diff", str(made.events), str(target)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "logs only in B: dcread-salvage"
    assert lines[1].startswith("1 difference in ")
    with dcread.HDF5Data(made.events) as hd, dcread.HDF5Data(target) as saved:
        own = dcread.get_measurement_identifier(hd)
        assert dcread.get_measurement_identifier(saved) == own


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_measurements_stay_equal(
    real_file: pathlib.Path, tmp_path: pathlib.Path, capsys: Capture
) -> None:
    target = tmp_path / "saved.rtdc"
    assert cli.main(["salvage", str(real_file), str(target), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    with h5py.File(real_file, locking=False) as h5:
        extra = set(h5) - {"events", "logs", "tables", "basins", "basin_events"}
    assert set(facts["lost"]) == extra
    assert cli.main(["diff", str(real_file), str(target)]) == 1
    assert capsys.readouterr().out.splitlines()[0] == "logs only in B: dcread-salvage"


@pytest.mark.filterwarnings("ignore")
def test_the_peers_read_it(
    data_dir: pathlib.Path, tmp_path: pathlib.Path, damage: Damage
) -> None:
    read = pytest.importorskip("dcnum.read")
    dclab = pytest.importorskip("dclab")
    bad = tmp_path / "bad.rtdc"
    shutil.copy(data_dir / "fl_wide-channel_2023.rtdc", bad)
    with h5py.File(bad, "a") as h5:
        del h5["events/contour/3"]
        values = h5["events/deform"][:]
        del h5["events/deform"]
        h5["events"].create_dataset("deform", data=values, chunks=(2,), fletcher32=True)
    damage(bad, "events/deform", 3)
    target = tmp_path / "saved.rtdc"
    found = salvage(bad, target)
    assert found.lost_events == [(3, 3), (6, 7)]
    kept = [0, 1, 2, 4, 5, 8, 9]
    with dcread.HDF5Data(data_dir / "fl_wide-channel_2023.rtdc") as hd:
        images, deform = np.asarray(hd.image[:])[kept], np.asarray(hd["deform"])[kept]
        trace = np.asarray(hd["trace"]["fl1_raw"][:])[kept]
        contours = [np.asarray(hd["contour"][i]) for i in kept]
    with read.HDF5Data(target) as hd:
        assert np.array_equal(hd.image[:], images)
        assert np.array_equal(hd["deform"], deform)
    with dclab.new_dataset(target) as ds:
        assert len(ds) == found.kept
        assert np.array_equal(ds["image"][:], images)
        assert np.array_equal(ds["deform"][:], deform)
        assert np.array_equal(ds["trace"]["fl1_raw"][:], trace)
        for i, contour in enumerate(contours):
            assert np.array_equal(ds["contour"][i], contour)
        assert "dcread-salvage" in ds.logs


def test_basins_lead_to_the_right_events(
    made: generate.DemoFiles, tmp_path: pathlib.Path, damage: Damage
) -> None:
    bad = pathlib.Path(shutil.copy(made.events, tmp_path / "bad.rtdc"))
    damage(bad, "events/mask", 0)
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "saved.rtdc"
    found = salvage(bad, target)
    assert 0 < found.kept < found.events == 118
    lost = np.zeros(118, bool)
    for first, last in found.lost_events:
        lost[first : last + 1] = True
    with dcread.HDF5Data(made.events) as hd, dcread.HDF5Data(target) as saved:
        assert [b.available for b in saved.basin_status()] == [True, True]
        for name in ("image", "image_bg", "mask"):
            assert np.array_equal(saved[name][:], np.asarray(hd[name][:])[~lost])
        assert saved.problems == []


def test_an_unmapped_basin_gets_a_map(
    made: generate.DemoFiles, tmp_path: pathlib.Path, damage: Damage
) -> None:
    raw = pathlib.Path(shutil.copy(made.recording, tmp_path / "raw.rtdc"))
    bad = tmp_path / "bad.rtdc"
    with h5py.File(raw) as h5, h5py.File(bad, "w") as new:
        new.attrs.update(h5.attrs)
        values = np.arange(120.0)
        new.create_dataset(
            "events/userdef1", data=values, chunks=(10,), fletcher32=True
        )
        text = {"type": "file", "format": "hdf5", "name": "raw", "paths": ["raw.rtdc"]}
        text |= {"mapping": "same", "features": ["image", "frame"]}
        new["basins/x"] = np.array([json.dumps(text).encode()])
    damage(bad, "events/userdef1", 3)
    target = tmp_path / "saved.rtdc"
    assert salvage(bad, target).lost_events == [(30, 39)]
    kept = np.r_[0:30, 40:120]
    with dcread.HDF5Data(raw) as hd, dcread.HDF5Data(target) as saved:
        assert np.array_equal(saved["userdef1"], values[kept])
        assert np.array_equal(saved["frame"], np.asarray(hd["frame"])[kept])
        assert np.array_equal(saved["image"][:], hd["image"][:][kept])


def test_a_damaged_internal_basin_costs_its_events(
    made: generate.DemoFiles, tmp_path: pathlib.Path, damage: Damage
) -> None:
    bad = pathlib.Path(shutil.copy(made.events, tmp_path / "bad.rtdc"))
    with h5py.File(bad, "a") as h5:  # one background image a chunk
        images = h5["basin_events/image_bg"][:]
        del h5["basin_events/image_bg"]
        h5["basin_events"].create_dataset(
            "image_bg", data=images, chunks=(1, *images.shape[1:]), fletcher32=True
        )
        mapping = h5["events/basinmap0"][:]
    damage(bad, "basin_events/image_bg", 0)
    target = tmp_path / "saved.rtdc"
    found = salvage(bad, target)
    kept = np.flatnonzero(mapping != 0)
    assert found.kept == len(kept)
    assert found.costs["image_bg"]["events"] == 118 - len(kept)
    with dcread.HDF5Data(made.events) as hd, dcread.HDF5Data(target) as saved:
        assert np.array_equal(saved["image_bg"][:], np.asarray(hd["image_bg"][:])[kept])
        assert np.array_equal(saved["image"][:], np.asarray(hd["image"][:])[kept])
    whole = salvage(bad, target, ["deform", "mask", "basinmap1"], overwrite=True)
    assert whole.kept == 118
    with dcread.HDF5Data(target) as saved:
        assert set(saved) == {"deform", "mask", "basinmap1", "image"}


def test_fewer_features_keep_more_events(
    made: generate.DemoFiles, tmp_path: pathlib.Path, damage: Damage, capsys: Capture
) -> None:
    bad = pathlib.Path(shutil.copy(made.recording, tmp_path / "bad.rtdc"))
    damage(bad, "events/image", 0, 2)
    target = tmp_path / "saved.rtdc"
    words = ["salvage", str(bad), str(target), "--json"]
    assert cli.main([*words, "--features", "frame,time"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 120
    with dcread.HDF5Data(target) as saved:
        assert list(saved) == ["frame", "time"]
    assert cli.main(words) == 1
    assert "already exists" in capsys.readouterr().err
    assert cli.main([*words, "--overwrite"]) == 0
    assert json.loads(capsys.readouterr().out)["lost_events"] == [[0, 39], [80, 119]]
    assert cli.main([*words, "--overwrite", "--features", "nonsense"]) == 1
    assert "'nonsense' is not stored" in capsys.readouterr().err


def test_a_feature_that_is_lost_as_a_whole_costs_no_events(
    made: generate.DemoFiles, tmp_path: pathlib.Path, damage: Damage
) -> None:
    bad = pathlib.Path(shutil.copy(made.events, tmp_path / "bad.rtdc"))
    damage(bad, "events/deform", 0)
    damage(bad, "logs/dcread-demo", 0)
    with h5py.File(bad, "a") as h5:
        h5["events/far"] = h5py.ExternalLink("elsewhere.h5", "/x")
        h5["calib/x"] = [1]
    target = tmp_path / "saved.rtdc"
    found = salvage(bad, target)
    assert found.kept == found.events == 118
    assert set(found.lost) == {
        "events/deform",
        "events/far",
        "logs/dcread-demo",
        "calib",
    }
    with dcread.HDF5Data(target) as saved:
        assert "deform" not in saved
        assert list(saved.logs) == ["dcread-demo-recipe", "dcread-salvage"]


def test_a_recording_that_broke_off(tmp_path: pathlib.Path) -> None:
    bad = tmp_path / "bad.rtdc"
    with h5py.File(bad, "w") as h5:
        h5.attrs["experiment:event count"] = 10
        h5["events/deform"] = np.arange(10.0)
        h5["events/area_um"] = np.arange(10.0)
        h5["events/image"] = np.arange(7 * 6, dtype=np.uint8).reshape(7, 2, 3)
    found = salvage(bad, tmp_path / "saved.rtdc")
    assert found.lost_events == [(7, 9)]
    with dcread.HDF5Data(tmp_path / "saved.rtdc") as saved:
        assert len(saved) == 7
        assert np.array_equal(saved["image"][:].ravel(), np.arange(42))


@pytest.mark.parametrize("libver", ["earliest", "v110"])
def test_a_file_whose_end_is_missing(
    libver: str, made: generate.DemoFiles, tmp_path: pathlib.Path, capsys: Capture
) -> None:
    whole = tmp_path / "whole.rtdc"
    with h5py.File(made.recording) as h5, h5py.File(whole, "w", libver=libver) as new:
        new.attrs["experiment:event count"] = 120
        for name in ("frame", "image"):  # the images come last
            h5.copy(f"events/{name}", new.require_group("events"), name)
        chunks = [
            new["events/image"].id.get_chunk_info(i)
            for i in range(new["events/image"].id.get_num_chunks())
        ]
        ends = [chunk.byte_offset + chunk.size for chunk in chunks]
    for keep in (1, 2):
        cut = tmp_path / "cut.rtdc"
        cut.write_bytes(whole.read_bytes()[: ends[keep - 1] + 100])
        target = tmp_path / f"saved{keep}.rtdc"
        assert cli.main(["salvage", str(cut), str(target)]) == 0
        out = capsys.readouterr().out
        assert "the file is cut short: " in out
        assert f"{40 * keep} of 120 events kept" in out
        with dcread.HDF5Data(made.recording) as hd, dcread.HDF5Data(target) as saved:
            assert np.array_equal(saved["image"][:], hd["image"][: 40 * keep])
            assert np.array_equal(saved["frame"], hd["frame"][: 40 * keep])
        assert log_of(target)["torn"].startswith("the file is cut short")


def test_what_cannot_be_saved_leaves_nothing(
    made: generate.DemoFiles, tmp_path: pathlib.Path, damage: Damage, capsys: Capture
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    target = str(place / "saved.rtdc")
    text = tmp_path / "notes.rtdc"
    text.write_text("this is no measurement")
    cut = tmp_path / "cut.rtdc"
    cut.write_bytes(made.recording.read_bytes()[:200])
    other = tmp_path / "other.rtdc"
    with h5py.File(other, "w") as h5:
        h5["x"] = [1]
    none = pathlib.Path(shutil.copy(made.recording, tmp_path / "none.rtdc"))
    damage(none, "events/image", 0)
    with h5py.File(none, "a") as h5:
        values = h5["events/frame"][:]
        del h5["events/frame"]
        h5["events"].create_dataset("frame", data=values, chunks=(40,), fletcher32=True)
    damage(none, "events/frame", 1, 2)
    for path, about in (
        (text, "HDF5 signature"),
        (cut, "cut short"),
        (other, "no group 'events'"),
        (tmp_path / "missing.rtdc", "no file at"),
        (none, "no event is left; 'frame' cannot be read for 80 of 120"),
    ):
        assert cli.main(["salvage", str(path), target]) == 1, path
        (line,) = capsys.readouterr().err.splitlines()
        assert about in line
        assert list(place.iterdir()) == []
    before = made.recording.read_bytes()
    words = ["salvage", str(made.recording), str(made.recording), "--overwrite"]
    assert cli.main(words) == 1
    assert "choose another name" in capsys.readouterr().err
    assert made.recording.read_bytes() == before


def test_a_salvage_of_a_salvage_keeps_both_logs(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    salvage(made.recording, tmp_path / "one.rtdc")
    salvage(tmp_path / "one.rtdc", tmp_path / "two.rtdc")
    with dcread.HDF5Data(tmp_path / "two.rtdc") as hd:
        assert {"dcread-salvage", "dcread-salvage-1"} <= set(hd.logs)


def test_no_link_is_followed(made: generate.DemoFiles, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "linked.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(120.0)
        h5["events/trace"] = h5py.ExternalLink(str(made.recording), "/events")
        h5["logs"] = h5py.ExternalLink(str(made.recording), "/logs")
        h5["tables"] = h5py.SoftLink("/events")
    found = salvage(path, tmp_path / "saved.rtdc")
    assert set(found.lost) == {"events/trace"}
    with h5py.File(tmp_path / "saved.rtdc") as h5:
        assert list(h5["logs"]) == ["dcread-salvage"]
        assert "tables" not in h5


@pytest.fixture
def cropped(data_dir: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A real measurement whose images dclab cropped, ten of them to a chunk."""
    pytest.importorskip("dclab")
    from dclab.cli import compress

    path = tmp_path / "cropped.rtdc"
    source = data_dir / "cytoshot_full-features_2023.rtdc"
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        compress(path_in=source, path_out=path, crop_event_images=True)
    with h5py.File(path, "a") as h5:
        group = h5["basin_events/image"]
        pieces = group["0"][:]
        del group["0"]
        group.create_dataset(
            "0", data=pieces, chunks=(10, *pieces.shape[1:]), fletcher32=True
        )
    return path


@pytest.mark.filterwarnings("ignore")
def test_cropped_images_become_whole_ones(
    cropped: pathlib.Path, damage: Damage, tmp_path: pathlib.Path
) -> None:
    with h5py.File(cropped) as h5:
        index = h5["basin_events/image/index"][:]
    rings = {event: {event} for event in range(len(index))}
    for event, ring in rings.items():
        other = int(index[event, 4])
        while other != event:
            ring.add(other)
            other = int(index[other, 4])
    lost = [e for e, ring in rings.items() if any(10 <= index[o, 1] < 20 for o in ring)]
    kept = [event for event in rings if event not in lost]
    assert 10 <= len(lost) < len(index)
    with dcread.HDF5Data(cropped) as hd:
        images, deform = np.asarray(hd.image[:]), np.asarray(hd["deform"])
    damage(cropped, "basin_events/image/0", 1)
    target = tmp_path / "saved.rtdc"
    found = salvage(cropped, target)
    assert found.costs["image"]["events"] == len(lost)
    assert "checksum" in found.costs["image"]["reason"]
    assert found.lost == {}
    dclab = pytest.importorskip("dclab")
    with dcread.HDF5Data(target) as hd, dclab.new_dataset(target) as ds:
        assert hd.basins == []
        assert hd.h5["events/image"].attrs["CLASS"] == b"IMAGE"
        for one in (hd, ds):
            assert np.array_equal(one["image"][:], images[kept])
            assert np.array_equal(one["deform"][:], deform[kept])


def test_cropped_images_that_cannot_be_found_are_told(
    cropped: pathlib.Path, damage: Damage, tmp_path: pathlib.Path
) -> None:
    damage(cropped, "basin_events/image/index", 0)
    target = tmp_path / "saved.rtdc"
    found = salvage(cropped, target)
    assert "index" in found.lost.pop("events/image")
    assert found.lost == {}
    assert found.kept == found.events == 40
    narrow = tmp_path / "narrow.rtdc"
    with pytest.raises(ValueError, match="'tilt_x' is not stored"):
        salvage(cropped, narrow, ["tilt_x"])
    assert salvage(cropped, narrow, ["deform"]).kept == 40
    with dcread.HDF5Data(narrow) as hd:
        assert list(hd) == ["deform"]


def test_basins_of_other_features_are_left_alone(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what was asked for is opened, and told of."""
    inside = {"type": "internal", "mapping": "same", "paths": ["basin_events"]}
    basins = {
        "rows": inside | {"format": "h5dataset", "features": ["image_bg"]},
        "all rows": inside | {"format": "h5dataset"},
        "cropped": inside | {"format": "h5datasetchop", "features": ["mask"]},
        "listless": inside | {"format": "h5datasetchop"},
    }
    path, target = tmp_path / "basins.rtdc", tmp_path / "saved.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = h5["events/area_um"] = np.arange(5.0)
        h5["basin_events/image_bg"] = np.zeros((5, 2, 2), "u1")
        for name, text in basins.items():
            h5[f"basins/{name}"] = np.array([json.dumps(text | {"name": name})], "S")
    assert set(salvage(path, tmp_path / "everything.rtdc").lost) == {
        "events/mask",
        "basin listless",
    }

    def fail(*_: object) -> None:
        raise AssertionError("a basin was opened")

    monkeypatch.setattr(dcread.HDF5Data, "get_basin_data", fail)
    assert salvage(path, target, ["deform"]).lost == {}
    assert salvage(path, target, ["image_bg"], overwrite=True).lost == {}
    with h5py.File(target) as h5:
        assert len(h5["basins"]) == 2
        assert list(h5["basin_events"]) == ["image_bg"]


@pytest.mark.parametrize(
    "wrong", [{"features": 5}, {"features": "deform"}, {"mapping": ["x"]}, {"type": 5}]
)
def test_a_definition_that_is_none_is_told_once(
    wrong: dict[str, object], tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "basins.rtdc"
    text = {"type": "internal", "format": "h5dataset", "paths": ["basin_events"]}
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(5.0)
        h5["basin_events/image_bg"] = np.zeros((5, 2, 2), "u1")
        h5["basins/key"] = np.array([json.dumps(text | wrong)], "S")
    found = salvage(path, tmp_path / "saved.rtdc")
    assert found.lost == {"basins/key": "its definition cannot be read"}
    assert found.kept == 5


def test_definitions_that_rely_on_what_is_usual(tmp_path: pathlib.Path) -> None:
    path, target = tmp_path / "basins.rtdc", tmp_path / "saved.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(5.0)
        h5["basin_events/image_bg"] = np.ones((5, 2, 2), "u1")
        text = {"format": "h5dataset", "features": ["image_bg"]}  # type, paths: usual
        h5["basins/key"] = np.array([json.dumps(text)], "S")
    assert salvage(path, target).lost == {}
    with dcread.HDF5Data(path) as hd, dcread.HDF5Data(target) as saved:
        assert np.array_equal(saved["image_bg"][:], hd["image_bg"][:])
