"""A basin class that a plugin registered, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ..errors import DCReadError
from ..problems import is_out_of_a_handler, one_line
from .base import Basin
from .in_time import call_in_time, describe

T = TypeVar("T")


class Registered(NamedTuple):
    """A basin class and where it comes from.

    Attributes
    ----------
    basin_class : type of Basin
        The class.
    source : str
        Name and version of its distribution, as far as they are known.
    plugin : str
        Name of the plugin that registered it.
    built_in : bool
        Whether it comes with dcread: it keeps to deadlines itself, so that it needs
        no thread of its own.
    """

    basin_class: type[Basin]
    source: str
    plugin: str
    built_in: bool = False

    @property
    def reach(self) -> str:
        """What its locations are: ``"local"``, ``"remote"`` or ``"inside"``."""
        remote = self.basin_class.type == "remote"
        return "remote" if remote else self.basin_class.reach

    def ask(self, func: Callable[[], T], seconds: float, what: str) -> T:
        """Ask the class something, in a thread of its own unless it is ours."""
        return func() if self.built_in else call_in_time(func, seconds, what)

    def is_no_answer(self, exc: BaseException) -> bool:
        """Tell whether an exception came from outside, while the class was asked.

        Out of the handler of a signal, or thrown into the thread from another one.
        """
        ours = self.built_in and not isinstance(exc, Exception)
        return ours or is_out_of_a_handler(exc)

    def told(self, exc: BaseException) -> str:
        """Return what the status tells of an error of the class."""
        ours = isinstance(exc, DCReadError)
        text = one_line(exc) if ours else describe(exc)
        return text if self.built_in else f"{text}; plugin {self.source}"


@dataclass(frozen=True, slots=True)
class PluginRow:
    """One line of the list of plugins.

    Attributes
    ----------
    format, type : str
        What the class reads; empty for a plugin that registers none.
    basin_class : str
        Module and name of the class.
    source : str
        Distribution and version.
    problem : str
        What went wrong; may be empty.
    """

    format: str
    type: str
    basin_class: str
    source: str
    problem: str = ""
