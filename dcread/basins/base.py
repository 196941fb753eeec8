"""The contract: what a basin format has to be able to do."""

from __future__ import annotations

import abc
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from .definition import BasinDefinition

if TYPE_CHECKING:
    import h5py

    from .scope import BasinContext

Features: TypeAlias = "Mapping[str, Any] | h5py.Group"
"""Features by name. Each is array-like (``shape``, ``dtype``, slicing along the
first axis, which counts the events); ``trace`` is a mapping of such arrays."""


class Basin(abc.ABC):
    """One place from which a measurement takes features.

    A class stands for a *format*, an instance for one *location* of one
    definition. The framework makes an instance for each location in turn and
    takes the first whose `available` is not False, whose `open` succeeds and
    whose `identifier` fits; it applies index maps, checks lengths, follows the
    basins of basins and closes. A method may raise anything: the basin is passed
    over, and the reason shows up in ``HDF5Data.basin_status()``.

    Attributes
    ----------
    format : str
        What a stored definition says under ``"format"``; unique among plugins.
    type : str
        What it says under ``"type"``: ``"internal"``, ``"file"``, ``"remote"``,
        or a plugin's own. Only ``"remote"`` basins are left alone until
        nothing local has a feature.
    priority : int
        Place among the plugins' own types (smaller comes first); the three
        documented types come before.
    definition : BasinDefinition
        The definition, unknown keys included (`BasinDefinition.raw`).
    location : str
        The location that this instance stands for.
    context : BasinContext
        What the basin may know of its referrer, and how it opens files.
    """

    format: ClassVar[str]
    type: ClassVar[str]
    priority: ClassVar[int] = 100

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
        """Return the locations to try, in order, without contacting them."""
        if cls.type == "file":
            return context.paths_for(definition.paths)
        return definition.urls or definition.paths

    def available(self) -> bool | None:
        """Tell cheaply whether the location is there; None if that is not cheap."""
        if self.type == "file":
            return self.context.is_file(self.location)
        return None

    @abc.abstractmethod
    def open(self) -> Features:
        """Open the location and return the features that it stores itself."""

    def identifier(self) -> str | None:
        """Return the measurement identifier of the open basin, None if unknown."""
        return None

    def identity(self) -> Hashable | None:
        """Return what tells this source from others, to find cycles.

        The same for two ways to the same source (device and inode of a file,
        URL and ETag of a resource); None if nothing is known.
        """
        return None

    def length(self) -> int | None:
        """Return the number of events of the open basin, None if unknown."""
        return None

    def definitions(self) -> list[dict[str, Any]]:
        """Return the basin definitions that the open basin has itself."""
        return []

    def close(self) -> None:  # noqa: B027  (an optional method, not a forgotten one)
        """Free what `open` took, also after it failed; may be called twice."""
