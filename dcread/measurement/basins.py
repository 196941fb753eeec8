"""The basins of a measurement: one set, made when it is first asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..basins import BasinDefinition, BasinSet
from ..basins.reports import features_of
from ..errors import ClosedError, DCReadError
from ..file.basin_records import BasinRecord
from ..file.credentials import Credentials
from ..file.measurement_file import MeasurementFile
from ..sync.loading_cache import LoadingCache
from .contents import Contents


class MeasurementBasins:
    """The set of basins that the definitions of a measurement name.

    Parameters
    ----------
    referrer : MeasurementFile
        The open file.
    contents : Contents
        Holds the definitions.
    cache : LoadingCache
        Of the measurement: holds the set.
    credentials : sequence of Credentials
        For remote basins, each for one origin.
    """

    def __init__(
        self,
        referrer: MeasurementFile,
        contents: Contents,
        cache: LoadingCache,
        credentials: Sequence[Credentials] = (),
    ) -> None:
        self._credentials = credentials
        self._referrer = referrer
        self._contents = contents
        self._once = cache
        self._made: list[BasinSet] = []
        self._closed = False

    @property
    def current(self) -> BasinSet:
        """The basins of the definitions as they are now."""
        return self._once.get("set of basins", self._make_current)

    def _make_current(self) -> BasinSet:
        return self.make(*self._contents.basins())

    def make(
        self,
        definitions: Sequence[Mapping[str, Any] | BasinDefinition],
        dropped: Sequence[BasinRecord] = (),
    ) -> BasinSet:
        """Return a set for other definitions; it is closed together with the rest.

        Raises
        ------
        ClosedError
            After `close`.
        """
        referrer = self._referrer
        basins = BasinSet(
            referrer,
            definitions,
            referrer.policy,
            referrer.problems,
            dropped=dropped,
            credentials=self._credentials,
        )
        self._made.append(basins)
        # After that: `close` looks at what was made once it has said so.
        if self._closed:
            basins.close()
            raise ClosedError(
                f"{referrer.handle.label} was closed or refreshed meanwhile; ask again"
            )
        return basins

    @property
    def length(self) -> int:
        """Number of events that the basins have; 0 if they do not tell."""
        return self._once.get("length of basins", self._find_length)

    def _find_length(self) -> int:
        basins = self.current
        with contextlib.suppress(DCReadError):
            for name in sorted(features_of(basins)):
                found = basins.look_up(name)
                if found is not None:
                    return found.rows
        return 0

    def forget(self) -> None:
        """Make a new set at the next request, since the definitions changed."""
        self._once.drop("set of basins", "length of basins")

    def close(self) -> None:
        """Close all basins; twice is fine."""
        self._closed = True
        self.forget()
        made, self._made = self._made, []
        for basins in made:
            basins.close()
