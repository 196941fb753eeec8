"""All basins of one file: which of them has a feature, and for which rows."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ..errors import BasinError, BasinIdentifierMismatchError, ClosedError
from ..file.policy import Policy
from ..problems import Problem, one_line, placed
from ..sync.weak import alive
from .definition import BasinDefinition
from .definitions import DroppedBasin
from .entry import Source
from .findings import ProblemLog
from .index_map import IntArray, compose
from .map_lookup import MapSource
from .open_basin import Ask, Candidate, Found
from .referrer import NestedReferrer, Referrer
from .reports import (
    data_of,
    group_of,
    listed_features,
    reasons_of,
    reasons_of_dropped,
    status_of,
    status_of_dropped,
    status_of_unparsed,
)
from .roster import Roster, Unparsed
from .scope import BasinContext, Session
from .status import BasinStatus

_MAX_REASONS = 20


class BasinSet:
    """The basins of one file, in the order in which they are asked.

    Parameters
    ----------
    referrer : Referrer
        The file with the definitions.
    definitions : sequence of dict or BasinDefinition
        In look-up order (`sort_definitions`, `load_definitions`).
    policy : Policy, optional
        What may be opened; `Policy.default` if not given.
    problems : list of Problem, optional
        Where to record what turns out not to be usable.
    dropped : sequence of DroppedBasin
        Definitions that `load_definitions` left out, for the status.
    session, chain
        Of the set that this one is nested in.
    """

    def __init__(
        self,
        referrer: Referrer,
        definitions: Sequence[Mapping[str, Any] | BasinDefinition],
        policy: Policy | None = None,
        problems: list[Problem] | None = None,
        *,
        dropped: Sequence[DroppedBasin] = (),
        session: Session | None = None,
        chain: tuple[Hashable, ...] = (),
    ) -> None:
        self._referrer = referrer
        handle = referrer.handle
        self._owns_session = session is None
        self._session = session or Session(
            policy or Policy.default(),
            handle,
            remote=bool(getattr(referrer, "remote", False)),
        )
        if not chain and handle is not None and handle.identity is not None:
            chain = (handle.identity[:2],)
        self._chain = chain or (object(),)
        self._log = ProblemLog([] if problems is None else problems)
        self._identifier = functools.cache(referrer.identifier)
        self._context = BasinContext(self._session, handle)
        self._dropped = dropped
        self._closed = False
        self._data: dict[int, tuple[Any, ...]] = {}
        self._roster = Roster(definitions, self._make_source, self._log)
        self._sources = self._roster.sources
        this = weakref.ref(self)
        self._maps = MapSource(referrer, lambda ask: alive(this).search(ask))

    def _make_source(self, definition: BasinDefinition) -> Source:
        # By a weak reference: a forgotten set closes its files at once.
        this = weakref.ref(self)
        return Source(
            definition,
            self._context,
            session=self._session,
            chain=self._chain,
            referrer_identifier=self._identifier,
            nest=lambda candidate: alive(this)._nest(candidate),
            report=functools.partial(self._log.add, definition.label),
        )

    def _nest(self, candidate: Candidate) -> BasinSet | None:
        try:
            return self._make_nested(candidate)
        except BasinError as exc:
            self._log.add(one_line(candidate.basin.definition.label), str(exc))
            raise

    def _make_nested(self, candidate: Candidate) -> BasinSet | None:
        policy = self._session.policy
        if not policy.nested or candidate.basin.type == "internal":
            return None
        definitions = candidate.basin.definitions()
        if not definitions:
            return None
        if len(self._chain) >= policy.max_depth:
            raise BasinError(
                f"{one_line(candidate.basin.location)} has basins beyond "
                f"Policy(max_depth={policy.max_depth})"
            )
        self._session.count_nesting()
        identity = candidate.identity
        return BasinSet(
            NestedReferrer(candidate),
            definitions,
            problems=self._log.problems,
            session=self._session,
            chain=(*self._chain, object() if identity is None else identity),
        )

    def _raise_if_closed(self) -> None:
        handle = self._referrer.handle
        if self._closed or (handle is not None and handle.closed):
            raise ClosedError("the measurement is closed; open it again")

    def find(
        self, feature: str, *, remote: bool = True
    ) -> tuple[Any, IntArray | None] | None:
        """Return where a feature lies, and which of its rows to take.

        Parameters
        ----------
        feature : str
            Its name.
        remote : bool
            Whether remote basins are asked, if no local one has it.

        Returns
        -------
        (obj, mapping) or None
            `obj` is a `Reader`, an array-like, or (for ``trace`` and ``contour``) a
            mapping of them by name; `mapping` holds a row of `obj` for each event,
            the user's index mapping included, or is None if event number n is row
            n. None if no basin has the feature: see `reasons`.

        Raises
        ------
        BasinIdentifierMismatchError
            If only basins of other measurements have it.
        ClosedError
            After `close`.
        """
        ask = Ask(feature)
        found = self.search(ask)
        if found is None and ask.skipped_remote and remote:
            found = self.search(Ask(feature, remote=True))
        if found is None:
            mismatch = self.mismatch(feature)
            if mismatch is not None:
                raise mismatch
            return None
        return found.obj, compose(self._referrer.mapping_indices(), found.mapping)

    def search(self, ask: Ask) -> Found | None:
        """Return where a feature lies for all events of the referrer."""
        for source in self._sources:
            self._raise_if_closed()
            name = source.definition.mapping
            if not source.may_have(ask.feature):
                continue
            if name is not None and (name == ask.feature or name in ask.pending):
                continue
            if source.is_remote and not ask.remote:
                ask.skipped_remote = True
                continue
            found = self._search_source(source, ask)
            if found is not None:
                return found
        return None

    def _search_source(self, source: Source, ask: Ask) -> Found | None:
        try:
            index_map = self._maps.get(source.definition.mapping, ask)
        except ClosedError:
            raise
        except Exception as exc:
            source.lacks(ask.feature, exc)
            return None
        for candidate in source.candidates():
            where = one_line(candidate.basin.location)
            try:
                found = candidate.find(ask)
                if found is not None:
                    return self._maps.fit(found, index_map)
                if source.promised is not None and not ask.skipped_remote:
                    source.lacks(ask.feature, f"{where} has no '{ask.feature}'")
            except Exception as exc:
                # The next location may do; closing concerns all of them.
                self._raise_if_closed()
                source.lacks(ask.feature, placed(where, exc))
        return None

    def mismatch(self, feature: str) -> BasinIdentifierMismatchError | None:
        """Return the refusal that keeps a feature away, if there is one."""
        for source in self._sources:
            if source.refuses(feature):
                return source.refusal()
            if not source.may_have(feature):
                continue
            for candidate in source.opened():
                nested = candidate.nested_if_made()
                found = nested.mismatch(feature) if nested is not None else None
                if found is not None:
                    return found
        return None

    def features(self) -> set[str]:
        """Return the names of all features that basins seem to have.

        Basins that list their features are not opened for it, remote ones are not
        contacted.
        """
        found: set[str] = set()
        for source in self._sources:
            self._raise_if_closed()
            found |= listed_features(source, self._maps)
        return found

    def reasons(self, feature: str) -> list[str]:
        """Return why no basin gives a feature, one line for each that matters."""
        found = reasons_of_dropped(self._dropped, feature)
        found += [f"{item.name}: {item.error}" for item in self._roster.unparsed]
        for source in self._sources:
            if not source.may_have(feature):
                continue
            found += reasons_of(source, feature)
        if len(found) > _MAX_REASONS:
            more = len(found) - _MAX_REASONS
            found[_MAX_REASONS:] = [f"and {more} more basins"]
        return found

    def status(self) -> list[BasinStatus]:
        """Return one record for each basin; local ones are opened to be certain."""
        records = []
        for entry in self._roster:
            self._raise_if_closed()
            records.append(
                status_of_unparsed(entry)
                if isinstance(entry, Unparsed)
                else status_of(entry, self._maps)
            )
        return records + [status_of_dropped(item) for item in self._dropped]

    def get_data(self, index: int) -> tuple[Any, list[str], Any]:
        """Return the documented triple of a basin (``HDF5Data.get_basin_data``).

        Parameters
        ----------
        index : int
            Position in the definitions.

        Returns
        -------
        (group, features, index_mapping)
            The basin's own features by name (an h5py.Group for the built-in
            formats; None for a basin that is not available), the names that may
            be used of it, and the mapping to apply to each of them.

        Raises
        ------
        ValueError
            If the type is unknown, or an internal basin lists no features.
        BasinError
            If its index map or all its features are not usable.
        BasinIdentifierMismatchError
            If it belongs to another measurement.
        """
        self._raise_if_closed()
        position = self._roster.position(index)
        data = self._data.get(position)  # `close` may empty it meanwhile
        if data is None:
            source = self._roster.source(position)
            data = data_of(source, self._maps, self._referrer)
            self._data[position] = data
        group, features, mapping = data
        return group, features, mapping

    def get_group(self, index: int) -> tuple[Any, list[str]]:
        """Return the first two of `get_data`, whatever the lengths are."""
        self._raise_if_closed()
        return group_of(self._roster.source(index))

    def close(self) -> None:
        """Close all that the basins opened; twice is fine."""
        self._closed = True
        for source in self._sources:
            source.close()
        self._data.clear()
        if self._owns_session:
            self._session.close()
