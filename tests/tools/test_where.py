"""Conditions on events: what they mean, and what is no condition."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread.tools.where import parse_condition

rng = np.random.default_rng(1)
VALUES = {
    "a": rng.integers(-3, 4, 200).astype(np.int16),
    "b": rng.normal(size=200),
    "c": np.where(rng.random(200) < 0.2, np.nan, rng.normal(size=200)),
    "d": rng.integers(0, 4, 200).astype(np.uint8),
}

numbers = st.recursive(
    st.sampled_from(["a", "b", "c", "d", "0", "1", "2.5", ".5", "1e-1"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda text: f"(-{text})"),
    ),
    max_leaves=4,
)
comparisons = st.tuples(
    numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers
).map(lambda t: f"({t[0]}{t[1]}{t[2]})")
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("&|"), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda text: f"(~{text})"),
    ),
    max_leaves=5,
)


@given(conditions)
def test_it_means_what_numpy_means(text: str) -> None:
    values = {name: array.astype(float) for name, array in VALUES.items()}
    with np.errstate(all="ignore"):
        # (our own text of the strategy above, with parentheses everywhere)
        explicit = re.sub(r"(?<![\w.])[\d.]+(e-\d+)?", r"number(\g<0>)", text)
        names = {"__builtins__": {}, "number": np.float64}
        expected = eval(explicit, names, values)
    if not set(text) & set("abcd"):
        with pytest.raises(ValueError, match="names no feature"):
            parse_condition(text)
        return
    found = parse_condition(text)
    assert found.features == tuple(sorted({c for c in text if c in "abcd"}))
    np.testing.assert_array_equal(np.broadcast_to(found(VALUES), 200), expected)


@pytest.mark.parametrize(
    ("text", "explicit"),
    [
        ("a<1 & b>0", "(a<1) & (b>0)"),
        ("a<1 and b>0 or d==2", "((a<1) & (b>0)) | (d==2)"),
        ("d==2 | a<1 & b>0", "(d==2) | ((a<1) & (b>0))"),
        ("not a<1 & b>0", "(~(a<1)) & (b>0)"),
        ("!(a<1 | b>0)", "~((a<1) | (b>0))"),
        ("-1 < a <= 2 < d+2", "((-1<a) & (a<=2)) & (2<(d+2))"),
        ("a*2+b*3 > 1-d/2", "((a*2)+(b*3)) > (1-(d/2))"),
        ("a - -1 > --b", "(a+1) > b"),
        ("~ ~ a>0", "a>0"),
    ],
)
def test_what_binds_tighter(text: str, explicit: str) -> None:
    found = parse_condition(text)(VALUES)
    np.testing.assert_array_equal(found, parse_condition(explicit)(VALUES))


def test_small_integers_do_not_wrap() -> None:
    values = {"d": np.array([0, 200], np.uint8)}
    assert parse_condition("d - 1 < 0")(values).tolist() == [True, False]
    assert parse_condition("d + 100 > 255")(values).tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at character 1, found the end"),
        ("a <", "at character 4, found the end"),
        ("a < 1 b", "expected a condition at character 7, found 'b'"),
        ("a", "not a condition"),
        ("a + 1", "not a condition"),
        ("1 < 2", "names no feature"),
        ("(a < 1", r"expected a '\)' at character 7"),
        ("a & b", "'&' is for conditions, not for numbers"),
        ("(a<1) + 1 > 0", "'\\+' is for numbers, not for conditions"),
        ("-(a<1)", "'-' is for numbers"),
        ("~a", "'~' is for conditions"),
        ("a < 1; import os", "at character 6"),
        ("__import__('os').system('x') > 0", "at character 12"),
        ("a.b < 1", "at character 2"),
        ("a[0] < 1", "at character 2"),
        ("a < 1_0", "at character 5"),
        ("a = 1", "at character 3"),
        ("and < 1", "expected a feature"),
        ("(" * 60 + "a<1" + ")" * 60, "too many parentheses"),
        ("a<1" + " | a<1" * 5000, "at most 10,000 characters"),
    ],
)
def test_what_is_no_condition_is_told(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_condition(text)


@given(st.text(alphabet="ab<>=&|!~()+-*/. 019eandot", max_size=30))
def test_any_text_is_a_condition_or_a_value_error(text: str) -> None:
    try:
        condition = parse_condition(text)
    except ValueError:
        return
    values = {name: np.arange(5.0) for name in condition.features}
    assert condition(values).dtype == bool
