"""What a policy allows, and what it looks like."""

from __future__ import annotations

import os
import pathlib
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import dcread
from dcread.basins import Policy
from dcread.errors import PolicyError


def test_defaults_follow_basins_as_documented() -> None:
    policy = Policy()
    assert policy.local is True
    assert policy.remote is True
    assert policy.nested is True
    assert policy.links is False
    assert (policy.max_basins, policy.max_depth) == (64, 8)
    assert policy.max_definition_bytes == 2**20


def test_policy_is_frozen_hashable_and_pickles() -> None:
    policy = Policy(local="roots", roots=["/a"], path_map={"/p": "/q"}, hosts=["h"])
    with pytest.raises(AttributeError):
        policy.local = True  # type: ignore[misc]
    assert hash(policy) == hash(pickle.loads(pickle.dumps(policy)))
    assert policy == pickle.loads(pickle.dumps(policy))
    assert policy.path_map == (("/p", "/q"),)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"local": "everywhere"}, ValueError),
        ({"remote": "some"}, ValueError),
        ({"local": "roots"}, ValueError),
        ({"local": "roots", "roots": "/a"}, TypeError),
        ({"hosts": "example.org"}, TypeError),
        ({"path_map": {"": "/x"}}, ValueError),
        ({"max_basins": -1}, ValueError),
        ({"max_basins": float("nan")}, TypeError),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Policy(**arguments)


@pytest.mark.parametrize("name", ["connect", "read", "total", "grace"])
@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 2e6])
def test_times_that_nobody_can_wait(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        dcread.NetworkLimits(**{name: seconds})


def test_process_default_can_be_set_and_reset() -> None:
    try:
        Policy.set_default(Policy(nested=False))
        assert Policy.default().nested is False
    finally:
        Policy.set_default(None)
    assert Policy.default() == Policy()
    with pytest.raises(TypeError, match="Policy"):
        Policy.set_default("strict")  # type: ignore[arg-type]


def test_process_default_is_used(
    write_file: Callable[..., pathlib.Path],
    open_basins: Callable[..., Any],
    file_basin: Callable[..., Any],
) -> None:
    source = write_file("src.rtdc", {"deform": [1.0] * 5})
    referrer = write_file("ref.rtdc", basins=[file_basin(source)])
    try:
        Policy.set_default(Policy(local=False))
        assert open_basins(referrer).values("deform") is None
    finally:
        Policy.set_default(None)
    assert open_basins(referrer).values("deform") is not None


@pytest.fixture
def places(
    write_file: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> dict[str, pathlib.Path]:
    data = {"deform": [1.0] * 5}
    found = {
        "beside": write_file("ref/src.rtdc", data),
        "below": write_file("ref/sub/src.rtdc", data),
        "outside": write_file("out/src.rtdc", data),
        "sibling": write_file("ref2/src.rtdc", data),
    }
    link = tmp_path / "ref" / "link.rtdc"
    link.symlink_to(found["outside"])
    return {**found, "link": link}


@pytest.mark.parametrize(
    ("make", "allowed"),
    [
        (lambda _: Policy(), {"beside", "below", "outside", "sibling", "link"}),
        (lambda _: Policy(local="beside"), {"beside", "below"}),
        (lambda _: Policy(local=False), set()),
        (
            lambda root: Policy(local="roots", roots=[root / "out"]),
            {"outside", "link"},
        ),
    ],
)
def test_local_files_that_may_be_opened(  # noqa: PLR0917
    make: Callable[[pathlib.Path], Policy],
    allowed: set[str],
    places: dict[str, pathlib.Path],
    write_file: Callable[..., pathlib.Path],
    open_basins: Callable[..., Any],
    file_basin: Callable[..., Any],
    tmp_path: pathlib.Path,
) -> None:
    found = set()
    for place, path in places.items():
        # An absolute path with "..", to see that it is no way round.
        detour = os.path.join(path.parent, "..", path.parent.name, path.name)
        basin = file_basin(detour, name=place, features=["deform"])
        referrer = write_file(f"ref/{place}_ref.rtdc", basins=[basin])
        # Not found by its bare name beside the referrer instead.
        if place not in {"beside", "link"}:
            (tmp_path / "ref" / "src.rtdc").unlink(missing_ok=True)
        opened = open_basins(referrer, make(tmp_path))
        if opened.values("deform") is not None:
            found.add(place)
            assert "deform" in opened.features()
        else:
            assert "deform" not in opened.features()
            reason = opened.status(place).reason
            assert "Policy(local=" in reason
            assert str(path.parent.name) in reason
    assert found == allowed


def test_refusal_names_path_rule_and_remedy(tmp_path: pathlib.Path) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy(local="beside").check_path(tmp_path / "a", tmp_path / "b")
    text = str(caught.value)
    assert str(tmp_path / "a") in text
    assert str(tmp_path / "b") in text
    assert "pass another Policy" in text
    with pytest.raises(PolicyError, match="no folder"):
        Policy(local="beside").check_path(tmp_path / "a", None)


def test_number_of_open_basins_is_bounded_but_shared_files_count_once(
    write_file: Callable[..., pathlib.Path],
    open_basins: Callable[..., Any],
    file_basin: Callable[..., Any],
) -> None:
    sources = [
        write_file(f"src{number}.rtdc", {f"userdef{number}": [1.0] * 5})
        for number in range(4)
    ]
    basins = [
        file_basin(path, name=f"{number}{again}")
        for again in "abc"
        for number, path in enumerate(sources)
    ]
    referrer = write_file("ref.rtdc", basins=basins)
    opened = open_basins(referrer, Policy(max_basins=3))
    names = opened.features()
    assert names == {"userdef0", "userdef1", "userdef2"}
    assert "max_basins" in opened.status("3a").reason
    assert len(open_basins(referrer).features()) == 4
