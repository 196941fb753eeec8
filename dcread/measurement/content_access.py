"""Metadata, logs and tables of `HDF5Data`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .arguments import as_pixel_size
from .contents import NAMES, PIXEL_SIZE, Contents, nest

if TYPE_CHECKING:
    from ..file.measurement_file import Referrer
    from ..file.tables import Table
    from ..problems import Problem


class ContentAccess:
    """What goes with the features; each is read when it is asked for."""

    _referrer: Referrer
    _contents: Contents
    _problems: list[Problem]

    if TYPE_CHECKING:

        @property
        def closed(self) -> bool: ...  # noqa: D102
        @property
        def _content(self) -> Contents: ...
        def _basins_changed(self) -> None: ...

    @property
    def meta(self) -> dict[str, Any]:
        """The metadata: Python values by ``section:name``; may be changed."""
        return cast("dict[str, Any]", self._content.get("meta"))

    @meta.setter
    def meta(self, meta: dict[str, Any]) -> None:
        self._content.put("meta", meta)

    @property
    def meta_nest(self) -> dict[str, Any]:
        """The metadata as a dictionary of sections, as dclab has them.

        A key without a colon, or with several, is kept under its own full name.
        """
        return nest(self.meta)

    @property
    def logs(self) -> dict[str, list[str]]:
        """The logs: lists of lines by name; empty ones are left out."""
        return cast("dict[str, list[str]]", self._content.get("logs"))

    @logs.setter
    def logs(self, logs: dict[str, list[str]]) -> None:
        self._content.put("logs", logs)

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name: 1-D columns by name, or an array without columns."""
        return cast("dict[str, Table]", self._content.get("tables"))

    @tables.setter
    def tables(self, tables: dict[str, Table]) -> None:
        self._content.put("tables", tables)

    @property
    def basins(self) -> list[dict[str, Any]]:
        """The basin definitions in the order in which basins are asked."""
        return cast("list[dict[str, Any]]", self._content.get("basins"))

    @basins.setter
    def basins(self, basins: list[dict[str, Any]]) -> None:
        self._content.put("basins", basins)
        self._basins_changed()

    @property
    def pixel_size(self) -> float:
        """The pixel size in µm, 0 if unknown; setting it keeps 8 decimals."""
        return cast("float", self.meta.get(PIXEL_SIZE, 0))

    @pixel_size.setter
    def pixel_size(self, pixel_size: float) -> None:
        self.meta[PIXEL_SIZE] = as_pixel_size(pixel_size)

    @property
    def problems(self) -> list[Problem]:
        """What could not be used of the file, and why; [] if all is well.

        Asking for it looks at all parts of the file but the values of features;
        basins are reported as far as they were asked for something. After `close`
        it tells what was known.
        """
        if not self.closed:
            self._referrer.events.look_at_all()  # what is wrong is noted
            for name in NAMES:
                self._contents.get(name)
        return list(self._problems)
