"""Definitions as Python objects: parsing and order."""

from __future__ import annotations

import pytest

from dcread.basins import BasinDefinition, sort_definitions
from dcread.errors import BasinError

FILE = {"name": "n", "type": "file", "format": "hdf5", "paths": ["a.rtdc"]}


def test_all_fields_are_taken_over() -> None:
    raw = {
        **FILE,
        "description": "d",
        "features": ["image", "deform"],
        "mapping": "basinmap3",
        "identifier": "id",
        "perishable": True,
        "extra": 1,
    }
    definition = BasinDefinition.parse(raw, "k")
    assert definition.name == "n"
    assert definition.description == "d"
    assert definition.paths == ("a.rtdc",)
    assert definition.features == ("image", "deform")
    assert definition.mapping == "basinmap3"
    assert definition.identifier == "id"
    assert definition.perishable is True
    assert definition.key == "k"
    assert definition.raw["extra"] == 1


@pytest.mark.parametrize("mapping", [None, "same"])
def test_same_and_null_mean_unmapped(mapping: str | None) -> None:
    assert BasinDefinition.parse({**FILE, "mapping": mapping}).mapping is None


@pytest.mark.parametrize(
    ("raw", "type_", "format_"),
    [
        ({"type": "file"}, "file", "hdf5"),
        ({"type": "internal"}, "internal", "h5dataset"),
        ({"format": "hdf5"}, "file", "hdf5"),
        ({"format": "s3"}, "remote", "s3"),
        ({"type": "own"}, "own", ""),
    ],
)
def test_type_and_format_complete_each_other(
    raw: dict[str, object], type_: str, format_: str
) -> None:
    definition = BasinDefinition.parse(raw)
    assert (definition.type, definition.format) == (type_, format_)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": 3}, "'type'"),
        ({"type": None, "format": None}, "'type'"),
        ({"format": []}, "'format'"),
        ({"paths": "a.rtdc"}, "'paths'"),
        ({"paths": [1]}, "'paths'"),
        ({"urls": {"a": 1}}, "'urls'"),
        ({"features": "image"}, "'features'"),
        ({"features": [["image"]]}, "'features'"),
        ({"mapping": 0}, "'mapping'"),
        ({"mapping": "../deform"}, "'mapping'"),
        ({"mapping": ""}, "'mapping'"),
        ({"identifier": 5}, "'identifier'"),
    ],
)
def test_wrong_types_are_refused_by_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(BasinError, match=named):
        BasinDefinition.parse({**FILE, **change})


@pytest.mark.parametrize("raw", [[], "text", 3, None])
def test_only_objects_are_definitions(raw: object) -> None:
    with pytest.raises(BasinError, match="object"):
        BasinDefinition.parse(raw)


def test_wrong_types_of_texts_for_people_do_no_harm() -> None:
    definition = BasinDefinition.parse(
        {**FILE, "name": 7, "description": [], "perishable": "yes", "key": 1}, "k"
    )
    assert definition.name is None
    assert definition.description is None
    assert definition.perishable is False
    assert definition.label == "k"


def test_signatures_in_urls_stay_out_of_the_repr() -> None:
    definition = BasinDefinition.parse(
        {"type": "remote", "format": "http", "urls": ["https://h/x?sig=secret"]}
    )
    assert definition.urls == ("https://h/x?sig=secret",)
    assert "secret" not in repr(definition)


def test_order_is_type_then_unmapped_then_name() -> None:
    wanted = [
        {"type": "internal", "name": "z"},
        {"type": "internal", "name": "a", "mapping": "basinmap0"},
        {"type": "file", "name": "b"},
        {"type": "file", "name": "c", "mapping": "same"},
        {"type": "file", "name": "a", "mapping": "basinmap1"},
        {"type": "remote", "name": "a"},
        {"type": "unheard of", "name": "a"},
    ]
    assert sort_definitions(reversed(wanted)) == wanted


def test_order_of_equals_is_kept_and_odd_values_sort() -> None:
    odd = [
        {"type": "file", "name": None, "id": 1},
        {"type": "file", "id": 2},
        {"type": "file", "name": 5, "mapping": 5},
        {"type": ["x"], "format": {}},
    ]
    assert sort_definitions(odd) == odd


def test_sorting_leaves_the_input_alone() -> None:
    first, second = {"type": "file"}, {"type": "internal"}
    given = [first, second]
    result = sort_definitions(given)
    assert given == [first, second]
    assert result[0] == second
    assert result[0] is not second
