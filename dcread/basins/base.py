"""The contract: what a basin format has to be able to do."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import ClassVar

from .context import BasinContext
from .definition import BasinDefinition
from .opened import Array, Opened

__all__ = ["API", "Array", "Basin", "Opened"]

API = 1
"""The version of the contract."""


class Basin(abc.ABC):
    """One place from which a measurement takes features.

    A class stands for a *format*, an instance for one *location* of one
    definition. For each location in turn the framework checks it against the user's
    policy, makes an instance, asks `available`, calls `open`, and takes the first
    location whose identifier fits. It applies index maps, checks lengths, follows
    the basins of basins, and closes. A method may raise anything: the location is
    passed over, and the reason shows up in ``HDF5Data.basin_status()``.

    Attributes
    ----------
    format, type : str
        What a stored definition says under ``"format"`` and ``"type"``; both
        together are unique. Types are ``"internal"``, ``"file"``, ``"remote"``, or
        a plugin's own. Basins of type ``"remote"`` are left alone until nothing
        local has a feature.
    priority : int
        Place among the plugins' own types (smaller comes first); the three
        documented types come before.
    api : int
        Version of this contract that the class was written for.
    reach : str
        What locations are: ``"local"`` paths, ``"remote"`` addresses, or
        ``"inside"`` the referrer itself (names, or nothing that could be opened).
        What looks like a URL is checked against the policy in any case.
    definition : BasinDefinition
        The definition, unknown keys included (`BasinDefinition.raw`).
    location : str
        The location that this instance stands for.
    context : BasinContext
        What the basin may know of its referrer, and how it opens files.

    Examples
    --------
    A format that computes one feature:

    >>> class Counter(dcread.Basin):
    ...     format, type, reach = "counter", "made-up", "inside"
    ...     def open(self):
    ...         return dcread.Opened({"index": np.arange(self.context.size)})
    """

    format: ClassVar[str]
    type: ClassVar[str]
    priority: ClassVar[int] = 100
    api: ClassVar[int] = API
    reach: ClassVar[str] = "local"

    def __init__(
        self, definition: BasinDefinition, location: str, context: BasinContext
    ) -> None:
        self.definition = definition
        self.location = location
        self.context = context

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.definition.label!r}>"

    @classmethod
    def locations(
        cls, definition: BasinDefinition, context: BasinContext
    ) -> Iterable[str]:
        """Return the locations to try, in order, without contacting them.

        Without an implementation: the stored paths of a file basin as absolute
        paths on this machine, else the stored URLs, else the stored paths.

        Parameters
        ----------
        definition : BasinDefinition
            What the file says.
        context : BasinContext
            The referrer, and what may be opened.

        Returns
        -------
        iterable of str
        """
        if cls.type == "file":
            return context.paths_for(definition.paths)
        return definition.urls or definition.paths

    def available(self) -> bool | None:
        """Tell cheaply whether the location is there.

        Returns
        -------
        bool or None
            None if that is not cheap.
        """
        return self.context.is_file(self.location) if self.type == "file" else None

    @abc.abstractmethod
    def open(self) -> Opened:
        """Open the location and return what it has.

        Called once, in a thread of its own, while no lock of the framework is held.
        Not waited for any longer than ``context.deadline``; what it returns later is
        closed.

        Returns
        -------
        Opened
            Or the bare features: a mapping of names to arrays.
        """

    def close(self) -> None:  # noqa: B027  (an optional method, not a forgotten one)
        """Free what `open` took, also after it failed.

        Called once, never while `open` or a read runs, possibly in another thread.
        """
