"""A measurement opens no other file that its policy does not allow."""

from __future__ import annotations

import ctypes
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread import DCReadError, HDF5Data, Policy, PolicyError
from dcread.survey.verify import verify
from dcread.tools.salvage import salvage

FOREIGN = np.full(50, 77.0)
POLICIES = [Policy(), Policy(local=False), Policy(local="beside")]


@pytest.fixture
def foreign(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "foreign" / "foreign.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as h5:
        h5["x"] = FOREIGN
        h5["events/x"] = FOREIGN
        h5["group/map"] = np.arange(50)[::-1]
        h5["lines"] = np.array([b"secret", b"lines"] * 25)
    return path


@pytest.fixture
def own(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "own" / "measurement.rtdc"
    path.parent.mkdir()
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 50
        h5["events/deform"] = np.zeros(50)
    return path


def virtual(
    group: h5py.Group,
    name: str,
    source: str,
    *,
    file: str = ".",
    dtype: str = "f8",
    step: int = 1,
) -> None:
    """Write a virtual dataset; with a step, HDF5 itself would read it."""
    layout = h5py.VirtualLayout((50,), dtype)
    count = 50 // step
    layout[0 : count * step : step] = h5py.VirtualSource(file, source, shape=(count,))
    group.create_virtual_dataset(name, layout)


def growing(group: h5py.Group, name: str, file: str, source: str) -> None:
    """Write a virtual dataset that ends where its source ends."""
    unlimited = h5py.h5s.UNLIMITED
    rows = h5py.h5s.create_simple((5,), (unlimited,))
    rows.select_hyperslab((0,), (unlimited,))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(rows, file.encode(), source.encode(), rows)
    space = h5py.h5s.create_simple((5,), (unlimited,))
    kind = h5py.h5t.NATIVE_DOUBLE
    h5py.h5d.create(group.id, name.encode(), kind, space, dcpl=plist)


def over_the_leaf(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["leaf"] = h5py.ExternalLink(str(foreign), "/x")
    virtual(h5["events"], "bright_avg", "leaf")


def over_a_group(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["over"] = h5py.ExternalLink(str(foreign), "/")
    virtual(h5["events"], "bright_avg", "over/x")


def behind_a_soft_link(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["over"] = h5py.ExternalLink(str(foreign), "/")
    h5["soft"] = h5py.SoftLink("/over/x")
    virtual(h5["events"], "bright_avg", "soft")


def by_its_own_name(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["over"] = h5py.ExternalLink(str(foreign), "/")
    virtual(h5["events"], "bright_avg", "over/x", file=h5.filename)


def with_gaps(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["over"] = h5py.ExternalLink(str(foreign), "/")
    virtual(h5["events"], "bright_avg", "over/x", step=2)


def rows_within_gaps(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["over"] = h5py.ExternalLink(str(foreign), "/")
    virtual(h5, "inner", "over/x")
    virtual(h5["events"], "bright_avg", "inner", step=2)


def a_plain_link(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["events/bright_avg"] = h5py.ExternalLink(str(foreign), "/x")


def a_linked_group(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["events/trace"] = h5py.ExternalLink(str(foreign), "/events")


def a_member_of_a_group(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["events/trace/fl1_raw"] = h5py.ExternalLink(str(foreign), "/x")
    h5["events/contour/0"] = h5py.ExternalLink(str(foreign), "/x")


def external_storage(h5: h5py.File, foreign: pathlib.Path) -> None:
    h5["events"].create_dataset(
        "bright_avg", (50,), "f8", external=[(str(foreign), 0, 400)]
    )


WAYS = [
    over_the_leaf,
    over_a_group,
    behind_a_soft_link,
    by_its_own_name,
    with_gaps,
    rows_within_gaps,
    a_plain_link,
    a_linked_group,
    a_member_of_a_group,
    external_storage,
]


def read_all(hd: HDF5Data) -> list[str]:
    """Ask for all that there is; return what was refused."""
    refused = []
    asked: list[Callable[[], object]] = [lambda n=name: hd[n][:] for name in list(hd)]
    asked += [lambda n=name: hd["trace"][n][:] for name in ("x", "fl1_raw")]
    asked += [lambda: hd["contour"][0]]
    for ask in asked:
        try:
            found = np.asarray(ask())
        except DCReadError as exc:
            refused.append(str(exc))
        except TypeError:  # traces are no sequence
            continue
        else:
            assert not (found == 77).any()
    return refused


@pytest.mark.parametrize("policy", POLICIES, ids=["default", "False", "beside"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_name_leads_to_a_foreign_file(
    way: Callable[[h5py.File, pathlib.Path], None],
    policy: Policy,
    own: pathlib.Path,
    foreign: pathlib.Path,
) -> None:
    with h5py.File(own, "a") as h5:
        way(h5, foreign)
    with HDF5Data(own, policy=policy) as hd:
        assert hd["deform"].tolist() == [0] * 50
        assert "foreign.h5" in " ".join(read_all(hd)) + " ".join(map(str, hd.problems))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_commands_open_no_foreign_file(
    way: Callable[[h5py.File, pathlib.Path], None],
    own: pathlib.Path,
    foreign: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    with h5py.File(own, "a") as h5:
        way(h5, foreign)
    with HDF5Data(own) as hd:
        assert "foreign.h5" in str(verify(hd)["problems"])
    salvage(own, tmp_path / "saved.rtdc")
    with h5py.File(tmp_path / "saved.rtdc") as h5:
        for name, item in h5["events"].items():
            assert not isinstance(item, h5py.Dataset) or not (item[:] == 77).any(), name


@pytest.mark.parametrize("file", [".", "measurement.rtdc", "{foreign}"])
def test_a_virtual_value_leads_nowhere(
    file: str, own: pathlib.Path, foreign: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """HDF5 would open its source, which is not looked at by rows."""
    with h5py.File(foreign, "a") as h5:
        h5["value"] = np.bytes_(b"secret")
    with h5py.File(own, "a") as h5:
        h5["over"] = h5py.ExternalLink(str(foreign), "/")
        source = "value" if "foreign" in file else "over/value"
        value = h5py.h5s.create(h5py.h5s.SCALAR)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.VIRTUAL)
        name = file.format(foreign=foreign)
        plist.set_virtual(value, name.encode(), source.encode(), value)
        kind = h5py.h5t.py_create(np.dtype("S6"))
        for group in ("logs", "tables", "events", "calib"):
            place = h5.require_group(group)
            h5py.h5d.create(place.id, b"value", kind, value, dcpl=plist)
    with HDF5Data(own) as hd:
        assert hd.logs == {}
        assert hd.tables == {}
        with pytest.raises((DCReadError, KeyError)):
            hd["value"]
        problems = verify(hd)["problems"]
        assert "secret" not in str(problems)
        assert str(problems).count("copy the value into this file") == 4
    salvage(own, tmp_path / "saved.rtdc")
    assert b"secret" not in (tmp_path / "saved.rtdc").read_bytes()


def test_rows_of_a_foreign_file_within_gaps(
    own: pathlib.Path, foreign: pathlib.Path
) -> None:
    """HDF5 would open the source of the source, whatever the policy says."""
    with h5py.File(own, "a") as h5:
        virtual(h5, "inner", "x", file=str(foreign))
        virtual(h5["events"], "bright_avg", "inner", step=2)
    for local in (False, "beside"):
        with HDF5Data(own, policy=Policy(local=local)) as hd:  # type: ignore[arg-type]
            assert "foreign.h5" in " ".join(read_all(hd))


def test_maps_logs_and_tables_come_from_the_file_itself(
    own: pathlib.Path, foreign: pathlib.Path
) -> None:
    definition = (
        '{"name": "b", "type": "internal", "format": "h5dataset", "features": '
        '["area_um"], "mapping": "basinmap0", "paths": ["basin_events"]}'
    )
    with h5py.File(own, "a") as h5:
        h5["over"] = h5py.ExternalLink(str(foreign), "/group")
        h5["top"] = h5py.ExternalLink(str(foreign), "/")
        virtual(h5["events"], "basinmap0", "over/map", dtype="i8")
        h5["basin_events/area_um"] = np.arange(50.0)
        h5["basins/b"] = np.array([definition.encode()])
        for group, source in (("logs", "top/lines"), ("tables", "top/x")):
            dtype = "S6" if group == "logs" else "f8"
            virtual(h5.require_group(group), "virtual", source, dtype=dtype)
            h5[f"{group}/linked"] = h5py.ExternalLink(str(foreign), source[3:])
    with HDF5Data(own) as hd:
        assert hd.logs == {}
        assert hd.tables == {}
        with pytest.raises(DCReadError):
            hd["area_um"]
        assert "secret" not in repr(hd.problems)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
@pytest.mark.parametrize("links", [False, True])
def test_a_fifo_is_not_waited_for(
    links: bool, own: pathlib.Path, tmp_path: pathlib.Path, running: Callable[..., Any]
) -> None:
    fifo = tmp_path / "fifo.h5"
    os.mkfifo(fifo)
    with h5py.File(own, "a") as h5:
        h5["over"] = h5py.ExternalLink(str(fifo), "/")
        virtual(h5["events"], "bright_avg", "over/x")
        virtual(h5["events"], "bright_sd", "over/x", step=2)
        virtual(h5["events"], "area_um", "x", file=str(fifo))
        growing(h5["events"], "bright_max", str(fifo), "x")
        growing(h5["events"], "bright_min", ".", "over/x")
        growing(h5.require_group("tables"), "growing", ".", "over/x")
        growing(h5, "circle", ".", "circle")
        h5["events/size_x"] = h5py.SoftLink("/circle")
        h5["events/pos_x"] = h5py.ExternalLink(str(fifo), "/x")
        h5["events/trace/fl1_raw"] = h5py.ExternalLink(str(fifo), "/x")
        h5["logs"] = h5py.ExternalLink(str(fifo), "/x")
        h5["tables/x"] = h5py.ExternalLink(str(fifo), "/x")
        h5["events"].create_dataset("pos_y", (5,), "f8", external=[(str(fifo), 0, 40)])

    def read() -> tuple[Any, ...]:
        with HDF5Data(own, policy=Policy(links=links)) as hd:
            counts = len(read_all(hd)), len(verify(hd)["problems"])
            others = hd.logs, hd.tables
        lost = salvage(own, tmp_path / "saved.rtdc").lost
        return *counts, len(lost), *others

    with running(read) as (reading,):
        pass
    *counts, logs, tables = reading.result()
    assert min(counts) >= 5
    assert (logs, tables) == ({}, {})


SWAP = """
import ctypes, sys
swap = ctypes.CDLL(None).renameat2
print("swapping", flush=True)
while True:
    swap(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="exchanges two names at once")
def test_a_folder_that_becomes_a_link_leads_nowhere(tmp_path: pathlib.Path) -> None:
    inside, link, outside = (tmp_path / name for name in ("in/sub", "in/link", "out"))
    for place, value in ((inside, 1.0), (outside, 77.0)):
        place.mkdir(parents=True)
        with h5py.File(place / "source.rtdc", "w") as h5:
            h5["events/bright_avg"] = np.full(50, value)
    link.symlink_to(outside)
    path = tmp_path / "in" / "measurement.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.zeros(50)
        h5["basins/b"] = np.array(
            [b'{"type": "file", "format": "hdf5", "paths": ["sub/source.rtdc"]}']
        )
        virtual(h5["events"], "area_um", "events/bright_avg", file="sub/source.rtdc")
    names = str(inside), str(link)
    if ctypes.CDLL(None).renameat2(-100, names[0].encode(), -100, names[1].encode(), 2):
        pytest.skip("names cannot be exchanged in this folder")
    values = set()
    with subprocess.Popen(
        [sys.executable, "-c", SWAP, *names], stdout=subprocess.PIPE
    ) as swapper:
        try:
            assert swapper.stdout is not None
            swapper.stdout.readline()
            for _ in range(200):
                with HDF5Data(path, policy=Policy(local="beside")) as hd:
                    for name in ("bright_avg", "area_um"):
                        try:
                            values.add(float(hd[name][0]))
                        except DCReadError:
                            continue
        finally:
            swapper.kill()
    assert 77.0 not in values


def test_links_are_followed_only_under_the_roots(
    own: pathlib.Path, foreign: pathlib.Path
) -> None:
    with h5py.File(own, "a") as h5:
        h5["events/bright_avg"] = h5py.ExternalLink(str(foreign), "/x")
    with HDF5Data(own, policy=Policy(links=True)) as hd:
        assert hd["bright_avg"].tolist() == FOREIGN.tolist()
    roots = Policy(links=True, local="roots", roots=(foreign.parent,))
    with HDF5Data(own, policy=roots) as hd:
        assert hd["bright_avg"].tolist() == FOREIGN.tolist()
    beside = Policy(links=True, local="beside")
    match = r"foreign\.h5.*pass another"
    with HDF5Data(own, policy=beside) as hd, pytest.raises(PolicyError, match=match):
        hd["bright_avg"]


def test_sources_are_looked_for_where_hdf5_does(
    own: pathlib.Path, foreign: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(own, "a") as h5:
        virtual(h5["events"], "bright_avg", "x", file="foreign.h5")
    with HDF5Data(own) as hd, pytest.raises(dcread.FileMissingError):
        hd["bright_avg"]
    for prefix in (str(foreign.parent), "/nowhere:${ORIGIN}/../foreign"):
        monkeypatch.setenv("HDF5_VDS_PREFIX", prefix)
        with HDF5Data(own) as hd:
            assert hd["bright_avg"].tolist() == FOREIGN.tolist()
        beside = Policy(local="beside")
        with HDF5Data(own, policy=beside) as hd, pytest.raises(PolicyError):
            hd["bright_avg"]


def test_bytes_of_other_files_are_not_shown(
    own: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "own" / "shadow").write_bytes(b"root:TOPSECRET:1:0:::")
    with h5py.File(own, "a") as h5:
        virtual(h5["events"], "bright_avg", "x", file="shadow")
        h5["basins/b"] = np.array(
            [b'{"type": "file", "format": "hdf5", "paths": ["shadow"]}']
        )
    with HDF5Data(own, policy=Policy(links=True)) as hd:
        shown = [*read_all(hd), repr(hd.problems), repr(hd.basin_status())]
    assert "shadow" in " ".join(shown)
    assert "root" not in " ".join(shown).replace("pytest-of-root", "")
