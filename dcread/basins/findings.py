"""What was noticed about one basin, for errors, problems and the status."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import BasinError
from ..problems import Problem, one_line, placed

_SHOWN = 6
_MAX_PROBLEMS = 1000


class ProblemLog:
    """Adds what is wrong with basins to the problems of a file, each once.

    Parameters
    ----------
    problems : list of Problem
        The problems of the file.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self._known: set[Problem] = set()

    def add(self, name: str, reason: str) -> None:
        """Record a reason why the basin `name` is not usable."""
        problem = Problem("basin", name, one_line(reason))
        if problem not in self._known and len(self._known) < _MAX_PROBLEMS:
            self._known.add(problem)
            self.problems.append(problem)


class Findings:
    """Why a basin, or a feature of it, is not usable, and what else was noticed.

    Parameters
    ----------
    noun : str
        What is missing where a location is: ``"file"`` or ``"data"``.
    report : callable
        Called with each new reason.

    Attributes
    ----------
    temporary : bool
        Whether a location that could not be used may be usable later.
    nested_failures : list of str
        Why the basins of the basin cannot be followed.
    """

    def __init__(self, noun: str, report: Callable[[str], None]) -> None:
        self._noun = noun
        self._report = report
        self._missing: list[str] = []
        self._failures: list[str] = []
        self._notes: list[str] = []
        self._absent: dict[str, str] = {}
        self._refusals: dict[str, BasinError] = {}
        self.nested_failures: list[str] = []
        self.temporary = False

    def missing(self, location: str) -> None:
        """Keep that there is nothing at a location."""
        self._missing.append(one_line(location))
        self.temporary = True

    def failed(
        self, reason: object, location: str = "", *, temporary: bool = False
    ) -> None:
        """Keep why a location, or all of them, cannot be used."""
        place = one_line(location) if location else ""
        self._failures.append(placed(place, reason))
        self.temporary |= temporary

    def fail(self, reason: str) -> None:
        """Keep why no location can be used, and record it among the problems."""
        self.failed(reason)
        self._report(reason)

    def forget_failures(self) -> None:
        """Forget why locations could not be used: they are tried again."""
        self._missing, self._failures, self.temporary = [], [], False

    def note(self, text: str) -> None:
        """Keep something that does no harm."""
        if text and text not in self._notes:
            self._notes.append(text)

    def nested_failed(self, reason: str) -> None:
        """Keep why the basins of the basin cannot be followed."""
        if reason not in self.nested_failures:
            self.nested_failures.append(reason)
            self._report(reason)

    def record_missing(self, feature: str, reason: object) -> bool:
        """Keep why a feature could not be taken; tell whether that is new."""
        if type(reason) is BasinError:
            # Its rows, or its map, do not fit: there is no next one to wait for.
            self._refusals[feature] = reason
        known, text = self._absent.get(feature), one_line(reason)
        if known is not None and text in known:
            return False
        self._absent[feature] = f"{known}; {text}" if known else text
        return True

    def forget(self, feature: str) -> None:
        """Forget why a feature could not be taken."""
        self._absent.pop(feature, None)
        self._refusals.pop(feature, None)

    def refusal(self, feature: str) -> BasinError | None:
        """Return the error that says why rows or map of a feature do not fit."""
        return self._refusals.get(feature)

    def report(self, reason: str) -> None:
        """Record a reason among the problems of the file."""
        self._report(reason)

    def reason(self, feature: str | None = None) -> str:
        """Return why the basin, or a feature of it, is not usable."""
        parts = []
        if self._missing:
            more = len(self._missing) - _SHOWN
            places = " or ".join(self._missing[:_SHOWN])
            parts.append(
                f"no {self._noun} at {places}{f' or {more} more places' * (more > 0)}"
            )
        parts += self._failures[:_SHOWN]
        if feature is not None:
            parts += [self.lacking(feature)] * (feature in self._absent)
        return "; ".join(dict.fromkeys(parts))

    def lacking(self, feature: str) -> str:
        """Return why a feature could not be taken; empty if that is not known."""
        return self._absent.get(feature, "")

    def remarks(self) -> str:
        """Return all that was noticed."""
        parts = [self.reason(), *self._notes, *self.nested_failures]
        parts += self._absent.values()
        return "; ".join(dict.fromkeys(part for part in parts if part))
