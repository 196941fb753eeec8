"""A file is opened only if it lies in given folders, wherever links lead on the way."""

from __future__ import annotations

import os
import pathlib

import pytest

from dcread.file import confined_open
from dcread.file.confined_open import Folder, open_inside

INSIDE = [
    "in/sub/file",
    "in/./sub/../sub/file",
    "in/there_and_back/file",
    "out/back/sub/file",
    "in/linked_file",
]
OUTSIDE = ["out/file", "in/link/file", "in/link_to_file", "in/../out/file"]
NOWHERE = ["in/none", "in/none/file", "in/sub/file/x", "in/dangling", "in/round"]


@pytest.fixture(params=[True, False], ids=["by folders", "by path"])
def folder(
    request: pytest.FixtureRequest,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> pathlib.Path:
    if request.param and not confined_open.BY_FOLDERS:
        pytest.skip("this system opens no names in open folders")
    monkeypatch.setattr(confined_open, "BY_FOLDERS", request.param)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "sub" / "file").write_text("inside")
    (tmp_path / "out" / "file").write_text("outside")
    for name, target in (
        ("in/link", tmp_path / "out"),
        ("in/link_to_file", "../out/file"),
        ("in/there_and_back", "../out/../in/sub"),
        ("in/linked_file", "sub/file"),
        ("in/dangling", "nothing"),
        ("in/round", "round"),
        ("out/back", tmp_path / "in"),
    ):
        (tmp_path / name).symlink_to(target)
    return tmp_path


@pytest.mark.parametrize("name", INSIDE)
def test_a_file_inside_is_opened(name: str, folder: pathlib.Path) -> None:
    found, real = open_inside(folder / name, [Folder.at(folder / "in")], os.O_RDONLY)
    assert found is not None
    try:
        assert os.read(found, 10) == b"inside"
        assert real == (folder / "in" / "sub" / "file").resolve()
    finally:
        os.close(found)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_file_outside_is_not_opened(name: str, folder: pathlib.Path) -> None:
    inside = [Folder.at(folder / "in")]
    found, real = open_inside(folder / name, inside, os.O_RDONLY)
    assert (found, real) == (None, (folder / "out" / "file").resolve())


@pytest.mark.parametrize("name", NOWHERE)
def test_a_file_that_is_not_there(name: str, folder: pathlib.Path) -> None:
    with pytest.raises(OSError, match=r"No such|Not a dir|Too many"):
        open_inside(folder / name, [Folder.at(folder / "in")], os.O_RDONLY)


def test_no_descriptor_is_left_open(folder: pathlib.Path) -> None:
    before = os.open(folder, os.O_RDONLY)
    os.close(before)
    for name in (*OUTSIDE, *NOWHERE):
        try:
            open_inside(folder / name, [Folder.at(folder / "in")], os.O_RDONLY)
        except OSError:
            continue
    after = os.open(folder, os.O_RDONLY)
    os.close(after)
    assert after == before


def test_a_folder_that_was_exchanged_is_another(folder: pathlib.Path) -> None:
    inside = Folder.at(folder / "in")
    (folder / "in").rename(folder / "moved")
    (folder / "in").symlink_to(folder / "out")
    assert open_inside(folder / "in" / "file", [inside], os.O_RDONLY)[0] is None
