"""Basins of basins: features flow down, circles end, numbers are bounded."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dcread.basins import Policy
from dcread.errors import BasinIdentifierMismatchError

Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., dict[str, Any]]

RAMP = np.arange(5) * 1.5


def test_features_flow_down(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    top = write_file("top.rtdc", {"deform": RAMP, "area_um": -RAMP})
    mid = write_file("mid.rtdc", {"aspect": RAMP + 1}, [file_basin(top)])
    ref = write_file("ref.rtdc", {}, [file_basin(mid)])
    opened = open_basins(ref)
    assert opened.features() == {"deform", "area_um", "aspect"}
    assert np.array_equal(opened.values("deform"), RAMP)
    # The documented triple tells the basin's own features only.
    group, features, _ = opened.get_data(0)
    assert features == ["aspect"]
    assert list(group) == ["aspect"]


def test_flat_like_the_peer_on_request(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    top = write_file("top.rtdc", {"deform": RAMP})
    mid = write_file("mid.rtdc", {"aspect": RAMP}, [file_basin(top)])
    opened = open_basins(
        write_file("ref.rtdc", {}, [file_basin(mid)]), Policy(nested=False)
    )
    assert opened.features() == {"aspect"}
    assert opened.values("deform") is None


def test_maps_compose_through_three_files(
    write_file: Write, open_basins: Open, file_basin: Make, internal_basin: Make
) -> None:
    data = np.arange(50) * 2.0
    backgrounds = np.arange(4 * 6, dtype="u1").reshape(4, 2, 3)
    inside = np.arange(50) % 4
    map1, map2 = np.array([40, 7, 7, 21]), np.array([3, 3, 0, 1, 2])
    top = write_file(
        "top.rtdc",
        {"deform": data, "basinmap0": inside},
        [internal_basin("image_bg", mapping="basinmap0")],
        internal={"image_bg": backgrounds},
        identifier="A",
        count=50,
    )
    mid = write_file(
        "mid.rtdc",
        {"basinmap0": map1},
        [file_basin(top, mapping="basinmap0", features=["deform", "image_bg"])],
        identifier="A_b",
        count=4,
    )
    ref = write_file(
        "ref.rtdc",
        {"basinmap0": map2},
        [file_basin(mid, mapping="basinmap0")],
        identifier="A_b_c",
    )
    rows = map1[map2]
    opened = open_basins(ref)
    assert np.array_equal(opened.values("deform"), data[rows])
    assert np.array_equal(opened.values("image_bg"), backgrounds[inside[rows]])
    chosen = open_basins(ref, index_mapping=[4, 0])
    assert np.array_equal(chosen.values("deform"), data[rows[[4, 0]]])
    # A map of the basin's own basins is no feature of ours.
    assert "image_bg" in opened.features()


def test_relative_paths_start_at_the_file_that_says_them(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    write_file("a/b/top.rtdc", {"deform": RAMP})
    write_file("a/mid.rtdc", {}, [file_basin("b/top.rtdc")])
    ref = write_file("ref.rtdc", {}, [file_basin("a/mid.rtdc")])
    assert np.array_equal(open_basins(ref).values("deform"), RAMP)


def test_list_of_features_is_enforced_on_nested_ones(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    top = write_file("top.rtdc", {"deform": RAMP, "area_um": RAMP})
    mid = write_file("mid.rtdc", {}, [file_basin(top)])
    ref = write_file("ref.rtdc", {}, [file_basin(mid, features=["deform"])])
    opened = open_basins(ref)
    assert np.array_equal(opened.values("deform"), RAMP)
    assert opened.values("area_um") is None
    assert opened.status("raw data").features == ("deform",)


def test_reasons_reach_down(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    mid = write_file("mid.rtdc", {}, [file_basin("/no/where.rtdc", name="far")])
    opened = open_basins(write_file("ref.rtdc", {}, [file_basin(mid, name="near")]))
    assert opened.values("image") is None
    (reason,) = opened.reasons("image")
    assert reason.startswith("in basin 'near', basin 'far': no file at /no/where.rtdc")


def test_mismatch_further_up_is_told(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    top = write_file("top.rtdc", {"deform": RAMP}, identifier="B")
    mid = write_file("mid.rtdc", {}, [file_basin(top, identifier="A")])
    opened = open_basins(write_file("ref.rtdc", {}, [file_basin(mid)]))
    with pytest.raises(BasinIdentifierMismatchError, match="does not match"):
        opened.basins.find("deform")


@pytest.mark.parametrize("way", ["path", "symlink", "hard link"])
def test_self_reference_is_harmless(
    way: str,
    write_file: Write,
    open_basins: Open,
    file_basin: Make,
    tmp_path: pathlib.Path,
) -> None:
    ref = write_file("ref.rtdc", {"deform": RAMP}, [file_basin("self.rtdc")])
    other = tmp_path / "self.rtdc"
    if way == "path":
        ref = ref.rename(other)
    elif way == "symlink":
        other.symlink_to(ref)
    else:
        os.link(ref, other)
    opened = open_basins(ref)
    assert opened.features() == set()
    assert opened.basins.find("image") is None
    assert opened.basins.find("deform") is None
    group, features, _ = opened.get_data(0)
    assert features == ["deform"]
    assert np.array_equal(group["deform"][:], RAMP)
    assert "leads back" in opened.status("raw data").reason


def test_self_reference_that_promises_features(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    ref = write_file("ref.rtdc", {}, [file_basin("ref.rtdc", features=["image"])])
    opened = open_basins(ref)
    assert opened.features() == set()
    assert opened.values("image") is None


def test_circles_end(write_file: Write, open_basins: Open, file_basin: Make) -> None:
    # Each name differs, so that only the files themselves tell the circle.
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        basin = file_basin(f"{other}.rtdc", name=f"from {name}")
        write_file(f"{name}.rtdc", {f"of_{name}": RAMP}, [basin])
    start = time.monotonic()
    opened = open_basins(write_file("ref.rtdc", {}, [file_basin("a.rtdc")]))
    assert opened.features() == {"of_a", "of_b", "of_c"}
    assert np.array_equal(opened.values("of_c"), RAMP)
    assert opened.values("image") is None
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("depth", [1, 3])
def test_depth_is_bounded(
    depth: int, write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    write_file("f0.rtdc", {"of_0": RAMP})
    for number in range(1, 6):
        below = file_basin(f"f{number - 1}.rtdc")
        write_file(f"f{number}.rtdc", {f"of_{number}": RAMP}, [below])
    opened = open_basins(
        write_file("ref.rtdc", {}, [file_basin("f5.rtdc")]), Policy(max_depth=depth)
    )
    wanted = {f"of_{number}" for number in range(6 - depth, 6)}
    for name in wanted:
        assert np.array_equal(opened.values(name), RAMP)
    assert opened.values(f"of_{5 - depth}") is None
    assert opened.features() == wanted
    assert f"max_depth={depth}" in str(opened.problems)


def test_fans_of_basins_cost_little(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    width = 12
    for level in range(6):
        basins = [
            file_basin(f"l{level + 1}_{n}.rtdc", name=f"{n}") for n in range(width)
        ]
        for number in range(width):
            write_file(f"l{level}_{number}.rtdc", {}, basins if level < 5 else [])
    ref = write_file("ref.rtdc", {}, [file_basin("l0_0.rtdc")])
    opened = open_basins(ref)
    start = time.process_time()
    assert opened.values("image") is None
    assert opened.features() == set()
    assert time.process_time() - start < 10
