"""Where stored paths lead: folders, both kinds of separators, path maps."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from dcread.basins import Policy
from dcread.basins.paths import candidate_paths, folders_of

HERE = pathlib.Path("/data/run")


def tried(*stored: str, path_map: dict[str, str] | None = None) -> list[str]:
    return list(candidate_paths(stored, [HERE], tuple((path_map or {}).items())))


@pytest.mark.skipif(os.name == "nt", reason="expects POSIX paths")
@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("/a/b/src.rtdc", ["/a/b/src.rtdc", "/data/run/src.rtdc"]),
        ("src.rtdc", ["/data/run/src.rtdc"]),
        ("sub/src.rtdc", ["/data/run/sub/src.rtdc", "/data/run/src.rtdc"]),
        ("../src.rtdc", ["/data/run/../src.rtdc", "/data/run/src.rtdc"]),
        (r"C:\d\src.rtdc", ["/data/run/src.rtdc"]),
        (r"C:src.rtdc", ["/data/run/src.rtdc"]),
        (r"\\server\share\d\src.rtdc", ["/data/run/src.rtdc"]),
        (
            r"sub\src.rtdc",
            [
                "/data/run/sub\\src.rtdc",
                "/data/run/sub/src.rtdc",
                "/data/run/src.rtdc",
            ],
        ),
        ("C://d//src.rtdc", ["/data/run/src.rtdc"]),
        ("", []),
        ("a\0b", []),
        ("..", ["/data/run/.."]),
        ("https://example.org/a/src.rtdc?sig=1", []),
        ("~/src.rtdc", ["/data/run/~/src.rtdc", "/data/run/src.rtdc"]),
    ],
)
def test_candidates_in_order(stored: str, expected: list[str]) -> None:
    assert tried(stored) == expected


@pytest.mark.skipif(os.name == "nt", reason="expects POSIX paths")
def test_stored_paths_are_taken_in_order_without_repeats() -> None:
    assert tried("/x/a.rtdc", "b.rtdc", "a.rtdc") == [
        "/x/a.rtdc",
        "/data/run/a.rtdc",
        "/data/run/b.rtdc",
    ]


def test_without_a_folder_only_absolute_paths_remain() -> None:
    absolute = os.path.abspath("src.rtdc")
    assert list(candidate_paths(["src.rtdc", absolute], [])) == [absolute]


@pytest.mark.skipif(os.name == "nt", reason="expects POSIX paths")
@pytest.mark.parametrize(
    ("stored", "path_map", "first"),
    [
        ("/ptmp/a/b.rtdc", {"/ptmp": "/mnt/p"}, "/mnt/p/a/b.rtdc"),
        ("/ptmp/a/b.rtdc", {"/ptmp/": "/mnt/p/"}, "/mnt/p/a/b.rtdc"),
        (r"P:\a\b.rtdc", {"P:\\": "/mnt/p"}, "/mnt/p/a/b.rtdc"),
        (r"p:\A\b.rtdc", {"P:": "/mnt/p"}, "/mnt/p/A/b.rtdc"),
        ("P:/a/b.rtdc", {"P:\\a": "/mnt"}, "/mnt/b.rtdc"),
        (r"\\srv\share\a\b.rtdc", {r"\\srv\share": "/mnt"}, "/mnt/a/b.rtdc"),
        ("/ptmp2/b.rtdc", {"/ptmp": "/mnt"}, "/ptmp2/b.rtdc"),
        ("/ptmp/b.rtdc", {"/other": "/x", "/ptmp": "/y"}, "/y/b.rtdc"),
        ("/ptmp/b.rtdc", {"/ptmp": "relative"}, "/ptmp/b.rtdc"),
    ],
)
def test_path_map_rewrites_whole_parts(
    stored: str, path_map: dict[str, str], first: str
) -> None:
    found = tried(stored, path_map=path_map)
    assert found[0] == first
    if stored.startswith("/"):
        assert stored in found


def test_folder_of_a_symlink_and_of_its_target(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    target = tmp_path / "real" / "f.rtdc"
    target.touch()
    link = tmp_path / "links" / "f.rtdc"
    link.symlink_to(target)
    assert folders_of(link) == [tmp_path / "links", tmp_path / "real"]
    assert folders_of(target) == [tmp_path / "real"]
    assert folders_of(None) == []


def test_basin_beside_the_target_of_a_symlink_is_found(
    write_file: Callable[..., pathlib.Path],
    open_basins: Callable[..., Any],
    file_basin: Callable[..., Any],
    tmp_path: pathlib.Path,
) -> None:
    write_file("real/src.rtdc", {"deform": [1.0] * 5})
    target = write_file("real/ref.rtdc", basins=[file_basin(r"C:\d\src.rtdc")])
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "ref.rtdc"
    link.symlink_to(target)
    assert list(open_basins(link).values("deform")) == [1.0] * 5


def test_working_directory_is_never_asked(
    write_file: Callable[..., pathlib.Path],
    open_basins: Callable[..., Any],
    file_basin: Callable[..., Any],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_file("cwd/src.rtdc", {"deform": [1.0] * 5})
    referrer = write_file("ref/ref.rtdc", basins=[file_basin("src.rtdc")])
    monkeypatch.chdir(tmp_path / "cwd")
    opened = open_basins(referrer)
    assert opened.values("deform") is None
    assert opened.features() == set()


def test_path_map_of_the_policy_leads_to_data_that_moved(
    write_file: Callable[..., pathlib.Path],
    open_basins: Callable[..., Any],
    file_basin: Callable[..., Any],
    tmp_path: pathlib.Path,
) -> None:
    write_file("mnt/a/src.rtdc", {"deform": [2.0] * 5})
    referrer = write_file("ref/ref.rtdc", basins=[file_basin(r"P:\a\src.rtdc")])
    policy = Policy(path_map={"P:\\": str(tmp_path / "mnt")})
    assert list(open_basins(referrer, policy).values("deform")) == [2.0] * 5
    assert open_basins(referrer).values("deform") is None


def test_paths_that_cannot_exist_lead_nowhere(
    write_file: Callable[..., pathlib.Path],
    open_basins: Callable[..., Any],
    file_basin: Callable[..., Any],
) -> None:
    paths = ["/" + "x" * 5000, "\ud800.rtdc", "a\0b", "", "/" + "d/" * 3000]
    referrer = write_file("ref.rtdc", basins=[file_basin(*paths, features=["deform"])])
    opened = open_basins(referrer)
    assert opened.features() == set()
    assert opened.values("deform") is None
    (reason,) = opened.reasons("deform")
    assert "no file at" in reason
    assert len(reason) < 3000


def test_number_of_locations_is_bounded(
    write_file: Callable[..., pathlib.Path],
    open_basins: Callable[..., Any],
    file_basin: Callable[..., Any],
) -> None:
    source = write_file("src/src.rtdc", {"deform": [1.0] * 5})
    paths = [f"/nowhere/{number}" for number in range(20)] + [source]
    referrer = write_file("ref/ref.rtdc", basins=[file_basin(*paths)])
    assert open_basins(referrer).values("deform") is not None
    assert open_basins(referrer, Policy(max_locations=20)).values("deform") is None


def test_folder_that_must_not_be_looked_into_is_told(
    write_file: Callable[..., pathlib.Path],
    file_basin: Callable[..., dict[str, Any]],
    open_basins: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stat = os.stat

    def denied(path: Any, *args: Any, **kwargs: Any) -> Any:
        if "secret" in os.fspath(path):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return stat(path, *args, **kwargs)

    path = write_file("ref.rtdc", basins=[file_basin("secret/src.rtdc")])
    opened = open_basins(path)
    monkeypatch.setattr(os, "stat", denied)
    assert opened.features() == set()
    monkeypatch.undo()
    assert "Permission denied" in opened.status("raw data").reason


@pytest.mark.parametrize(
    "paths", [[], [""], ["https://example.org/src.rtdc"]], ids=["none", "empty", "url"]
)
def test_definition_without_a_place_is_told(
    paths: list[str],
    write_file: Callable[..., pathlib.Path],
    file_basin: Callable[..., dict[str, Any]],
    open_basins: Callable[..., Any],
) -> None:
    opened = open_basins(write_file("ref.rtdc", basins=[file_basin(*paths)]))
    assert opened.features() == set()
    (problem,) = opened.problems
    assert "names no location" in problem.reason
    assert "names no location" in opened.status("raw data").reason
