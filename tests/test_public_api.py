"""The public names, what importing costs, and the error family as it is drawn."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import dcread
from dcread import errors

HEAVY = ("h5py", "hdf5plugin", "pluggy", "numpy", "dcread_ext")


@pytest.fixture
def run(run_python: Callable[..., Any]) -> Callable[[str], str]:
    """A function that returns what code prints that runs in a process of its own."""
    return lambda code: run_python(code).stdout


@pytest.mark.parametrize("name", dcread.__all__)
def test_names_can_be_imported(name: str) -> None:
    assert getattr(dcread, name) is not None
    home = dcread._HOME[name]
    assert getattr(importlib.import_module(f"dcread.{home}"), name) is getattr(
        dcread, name
    )


def test_the_list_of_names_is_complete() -> None:
    assert sorted(dcread.__all__) == sorted(dcread._HOME)
    assert len(set(dcread.__all__)) == len(dcread.__all__)
    assert set(dcread.__all__) <= set(dir(dcread))
    with pytest.raises(AttributeError, match="no attribute 'HDF6Data'"):
        dcread.HDF6Data  # noqa: B018


def test_the_names_of_dcnum_read_are_there() -> None:
    peer = pytest.importorskip("dcnum.read")
    names = [name for name in dir(peer) if not name.startswith("_")]
    assert {"HDF5Data", "md5sum", "cache", "const", "mapped"} <= set(names)
    for name in names:
        ours = getattr(dcread, name)
        if not inspect.ismodule(ours):
            continue
        theirs = getattr(peer, name)
        public = [
            member
            for member, value in vars(theirs).items()
            if getattr(value, "__module__", None) == theirs.__name__
            and not member.startswith("_")
        ]
        assert [member for member in public if not hasattr(ours, member)] == []


@pytest.mark.parametrize(
    "name",
    [
        "HDF5Data",
        "HDF5ImageCache",
        "md5sum",
        "detect_flickering",
        "get_measurement_identifier",
        "concatenated_hdf5_data",
        "get_mapping_indices",
        "get_mapped_object",
    ],
)
def test_arguments_keep_name_order_and_default(name: str) -> None:
    peer = pytest.importorskip("dcnum.read")
    theirs = inspect.signature(getattr(peer, name)).parameters
    ours = inspect.signature(getattr(dcread, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for argument, parameter in theirs.items():
        assert ours[argument].default == parameter.default
        assert ours[argument].kind == parameter.kind
    for argument in list(ours)[len(theirs) :]:
        assert ours[argument].default is not inspect.Parameter.empty


def test_members_of_hdf5data_of_dcnum_are_there() -> None:
    peer = pytest.importorskip("dcnum.read")
    members = {name for name in vars(peer.HDF5Data) if not name.startswith("__")}
    members |= {"__contains__", "__getitem__", "__getstate__", "__setstate__"}
    assert {name for name in members if not hasattr(dcread.HDF5Data, name)} == set()
    for name in ("extract_basin_dicts", "get_ppid_index_mapping", "get_ppkw_from_ppid"):
        assert isinstance(inspect.getattr_static(dcread.HDF5Data, name), staticmethod)
    for name in ("get_ppid_code", "get_ppid_from_ppkw"):
        assert isinstance(inspect.getattr_static(dcread.HDF5Data, name), classmethod)


def test_importing_loads_next_to_nothing(run: Callable[[str], str]) -> None:
    code = "import sys, dcread; print(*sorted(m.split('.')[0] for m in sys.modules))"
    loaded = set(run(code).split())
    assert loaded.isdisjoint(HEAVY)
    assert run("import sys, dcread; print(*sys.modules)").count(" dcread.") == 0


def test_errors_and_constants_load_nothing_else(run: Callable[[str], str]) -> None:
    code = (
        "import sys, dcread.errors, dcread.const, dcread.problems;"
        "print(*(m for m in sys.modules if m.startswith('dcread.')))"
    )
    assert set(run(code).split()) == {
        "dcread.errors",
        "dcread.const",
        "dcread.problems",
    }


def test_rooms_can_be_reached_without_importing_them(run: Callable[[str], str]) -> None:
    code = "import dcread; print(dcread.cache.EmptyDatasetWarning.__name__)"
    assert run(code).strip() == "EmptyDatasetWarning"


def _drawn() -> dict[str, tuple[str, set[str]]]:
    """Read the tree in the docstring: name -> (parent, further bases)."""
    found: dict[str, tuple[str, set[str]]] = {"DCReadError": ("Exception", set())}
    parents = {0: "DCReadError"}
    pattern = re.compile(r"^ {4}([| ]*)\|-- (\w+)(?: +\((.*)\))?$", re.MULTILINE)
    for match in pattern.finditer(errors.__doc__ or ""):
        depth = len(match[1]) // 4 + 1
        further = set(match[3].split(", ")) if match[3] else set()
        found[match[2]] = (parents[depth - 1], further)
        parents[depth] = match[2]
    return found


def test_the_drawn_error_family_is_the_code() -> None:
    drawn = _drawn()
    assert set(drawn) == set(errors.__all__)
    for name, (parent, further) in drawn.items():
        bases = {base.__name__ for base in getattr(errors, name).__bases__}
        assert bases == {parent, *further}
        assert getattr(dcread, name) is getattr(errors, name)


def test_all_errors_are_listed() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)
    assert errors.__all__ == sorted(errors.__all__)


def test_a_missing_feature_is_named_without_quotes() -> None:
    assert str(errors.FeatureNotFoundError("no 'x' here")) == "no 'x' here"


def test_userdef_features_are_protected() -> None:
    peer = pytest.importorskip("dcnum.read")
    userdef = [f"userdef{number}" for number in range(10)]
    assert set(dcread.PROTECTED_FEATURES) == {*peer.PROTECTED_FEATURES, *userdef}
