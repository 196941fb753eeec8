"""Conditions on events, such as ``area_um < 100 & deform > 0.1``.

The text is parsed by the grammar below and never evaluated as a program::

    condition   = conjunction { ("|" | "or") conjunction }
    conjunction = negation { ("&" | "and") negation }
    negation    = [ "!" | "~" | "not" ] comparison
    comparison  = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ... ]
    sum         = product { ("+" | "-") product }
    product     = factor { ("*" | "/") factor }
    factor      = [ "-" ] ( number | feature | "(" condition ")" )

``a < b < c`` means ``a < b & b < c``. Other than in Python, ``&`` and ``|`` bind less
tightly than comparisons.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_LENGTH = 10_000
"""Characters of a condition."""
MAX_DEPTH = 50
"""Parentheses in one another."""

Values = Mapping[str, NDArray[Any]]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><=|>=|==|!=|[-<>+*/&|!~()]))"
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
_OR, _AND, _NOT = ("|", "or"), ("&", "and"), ("!", "~", "not")


@dataclass(frozen=True)
class _Part:
    """A part of a condition: how to get its values, and whether they are true/false."""

    values: Callable[[Values], Any]
    is_truth: bool


@dataclass(frozen=True)
class Condition:
    """A condition on events.

    Attributes
    ----------
    text : str
        As it was written.
    features : tuple of str
        The features that it needs, sorted.
    """

    text: str
    features: tuple[str, ...]
    _part: _Part

    def __call__(self, values: Values) -> NDArray[np.bool_]:
        """Return for which events it holds; NaN fulfils no comparison but ``!=``.

        Parameters
        ----------
        values : mapping of str to ndarray
            The values of each of `features`.
        """
        with np.errstate(all="ignore"):
            found: NDArray[np.bool_] = np.asarray(self._part.values(values), dtype=bool)
        return found


def parse_condition(text: str) -> Condition:
    """Parse a condition.

    Raises
    ------
    ValueError
        With the place where the text is no condition.

    Examples
    --------
    >>> condition = parse_condition("area_um < 100 & deform > 0.1")
    >>> condition.features
    ('area_um', 'deform')
    >>> import numpy as np
    >>> values = {"area_um": np.array([50, 150]), "deform": np.array([0.2, 0.2])}
    >>> condition(values).tolist()
    [True, False]
    """
    parser = _Parser(text)
    part = parser.condition(0)
    parser.end()
    if not part.is_truth:
        raise ValueError(
            f"'{text}' is a number for each event, not a condition: compare it, as in "
            f"'{text.strip()} > 0'"
        )
    if not parser.names:
        raise ValueError(f"'{text}' names no feature")
    return Condition(text, tuple(sorted(parser.names)), part)


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ValueError(f"a condition has at most {MAX_LENGTH:,} characters")
        self.text = text
        self.names: set[str] = set()
        self._tokens: list[tuple[str, str, int]] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None:
                start = place + len(text[place:]) - len(text[place:].lstrip())
                raise self._error(start)
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind], found.start(kind)))
            place = found.end()
        self._next = 0

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise self._error(self._tokens[self._next][2])

    def condition(self, depth: int) -> _Part:
        if depth > MAX_DEPTH:
            raise ValueError("there are too many parentheses in one another")
        return self._chain(depth, _OR, self._conjunction, np.logical_or)

    def _conjunction(self, depth: int) -> _Part:
        return self._chain(depth, _AND, self._negation, np.logical_and)

    def _chain(
        self,
        depth: int,
        signs: tuple[str, ...],
        inner: Callable[[int], _Part],
        combine: Callable[[Any, Any], Any],
    ) -> _Part:
        part = inner(depth)
        while (sign := self._take(signs)) is not None:
            part = _both(part, inner(depth), combine, sign=sign, truth=True)
        return part

    def _negation(self, depth: int) -> _Part:
        turned = False
        found = None
        while (sign := self._take(_NOT)) is not None:
            turned, found = not turned, sign
        part = self._comparison(depth)
        if found is None:
            return part
        _require(part, found, truth=True)
        return _Part(
            lambda v: np.logical_not(part.values(v)) if turned else part.values(v), True
        )

    def _comparison(self, depth: int) -> _Part:
        left = self._sum(depth)
        whole: _Part | None = None
        while (sign := self._take(tuple(_COMPARE))) is not None:
            right = self._sum(depth)
            one = _both(left, right, _COMPARE[sign], sign=sign, truth=False)
            one = _Part(one.values, True)
            whole = (
                one
                if whole is None
                else _both(whole, one, np.logical_and, sign=sign, truth=True)
            )
            left = right
        return left if whole is None else whole

    def _sum(self, depth: int) -> _Part:
        part = self._product(depth)
        while (sign := self._take(("+", "-"))) is not None:
            right = self._product(depth)
            part = _both(part, right, _ARITHMETIC[sign], sign=sign, truth=False)
        return part

    def _product(self, depth: int) -> _Part:
        part = self._factor(depth)
        while (sign := self._take(("*", "/"))) is not None:
            right = self._factor(depth)
            part = _both(part, right, _ARITHMETIC[sign], sign=sign, truth=False)
        return part

    def _factor(self, depth: int) -> _Part:
        negative = False
        signed = False
        while self._take(("-",)) is not None:
            negative, signed = not negative, True
        part = self._atom(depth)
        if signed:
            _require(part, "-", truth=False)
        if not negative:
            return part
        return _Part(lambda v: np.negative(part.values(v)), False)

    def _atom(self, depth: int) -> _Part:
        if self._take(("(",)) is not None:
            part = self.condition(depth + 1)
            if self._take((")",)) is None:
                raise self._error(self._place(), "a ')'")
            return part
        if self._next >= len(self._tokens):
            raise self._error(len(self.text), "a feature, a number or a '('")
        kind, text, place = self._tokens[self._next]
        if kind == "sign" or text in ("and", "or", "not"):
            raise self._error(place, "a feature, a number or a '('")
        self._next += 1
        if kind == "number":
            number = float(text)
            return _Part(lambda values: number, False)
        self.names.add(text)
        return _Part(lambda values: _as_number(values[text]), False)

    def _take(self, signs: tuple[str, ...]) -> str | None:
        if self._next < len(self._tokens):
            kind, text, _ = self._tokens[self._next]
            if kind != "number" and text in signs:
                self._next += 1
                return text
        return None

    def _place(self) -> int:
        if self._next < len(self._tokens):
            return self._tokens[self._next][2]
        return len(self.text)

    def _error(self, place: int, wanted: str = "a condition") -> ValueError:
        found = f"'{self.text[place : place + 20]}'" if self.text[place:] else "the end"
        return ValueError(
            f"'{self.text}': expected {wanted} at character {place + 1}, found {found}"
        )


def _both(
    left: _Part,
    right: _Part,
    combine: Callable[[Any, Any], Any],
    *,
    sign: str,
    truth: bool,
) -> _Part:
    _require(left, sign, truth=truth)
    _require(right, sign, truth=truth)
    return _Part(lambda v: combine(left.values(v), right.values(v)), truth)


def _require(part: _Part, sign: str, *, truth: bool) -> None:
    if part.is_truth != truth:
        kinds = {True: "conditions", False: "numbers"}
        raise ValueError(f"'{sign}' is for {kinds[truth]}, not for {kinds[not truth]}")


def _as_number(values: NDArray[Any]) -> NDArray[Any]:
    """Return values with which arithmetic cannot wrap."""
    return values.astype(float) if values.dtype.kind in "biu" else values
