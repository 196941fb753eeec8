"""All basins of one file: which of them has a feature, and for which rows."""

from __future__ import annotations

import contextlib
import functools
import operator
import weakref
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..arrays.dataset_view import FeatureView
from ..arrays.mapped_dataset import get_mapped_object
from ..errors import BasinError, ClosedError
from ..file.basin_records import BasinRecord
from ..file.credentials import Credentials
from ..file.policy import Policy
from ..problems import Problem, one_line, pass_on, placed
from ..sync.loading_cache import LoadingCache
from .context import BasinContext
from .definition import BasinDefinition, TextBudget
from .definitions import sort_definitions
from .entry import Entry
from .findings import ProblemLog
from .index_map import IntArray, compose
from .map_lookup import MapLookup
from .open_basin import FeatureQuery, Found, OpenBasin
from .opened import Array
from .referrer import Referrer
from .refusals import mismatch_of
from .scope import Scope


class Unparsed(NamedTuple):
    """A definition that is none, and why."""

    name: str
    error: BasinError


class Step(NamedTuple):
    """One basin on the way to a feature.

    Attributes
    ----------
    entry : Entry
        As it is defined.
    candidate : OpenBasin
        The location in use.
    """

    entry: Entry
    candidate: OpenBasin


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
    dropped : sequence of BasinRecord
        Definitions that `load_definitions` left out, for the status.
    credentials : sequence of Credentials
        The caller's, each for one origin.
    scope, chain
        Of the set that this one is nested in.

    Attributes
    ----------
    entries : list of Entry or Unparsed
        The definitions by number, those that cannot be understood included.
    dropped : sequence of BasinRecord
        As given.
    maps : MapLookup
        The index maps of the file.
    referrer : Referrer
        As given.
    triples : dict
        What `data_of` found out about entries.
    """

    _nested: LoadingCache | None = None
    """The sets of basins of basins, by the open basin; made by who needs it first."""

    def __init__(
        self,
        referrer: Referrer,
        definitions: Sequence[Mapping[str, Any] | BasinDefinition],
        policy: Policy | None = None,
        problems: list[Problem] | None = None,
        *,
        dropped: Sequence[BasinRecord] = (),
        credentials: Sequence[Credentials] = (),
        scope: Scope | None = None,
        chain: tuple[Hashable, ...] = (),
    ) -> None:
        self.referrer = referrer
        self.dropped = dropped
        handle = referrer.handle
        if not chain and handle is not None and handle.identity is not None:
            chain = (handle.identity[:2],)
        self._chain = chain or (object(),)
        self.maps = MapLookup(referrer)
        self.triples: dict[Entry, tuple[Any, list[str], Any]] = {}
        self._closed = False
        self._own_scope: Scope | None = None
        self.entries: list[Entry | Unparsed] = []
        self._entries: list[Entry] = []
        if definitions:  # (a file without basins does without the rest)
            if scope is None:
                log = ProblemLog([] if problems is None else problems)
                policy = policy or Policy.default()
                scope = Scope(policy, handle, log, credentials=credentials)
                self._own_scope = scope
            self._scope = scope
            self._make_entries(definitions)

    def _make_entries(
        self, definitions: Sequence[Mapping[str, Any] | BasinDefinition]
    ) -> None:
        referrer, scope, budget = self.referrer, self._scope, TextBudget()
        # By a weak reference, since instances of basins hold the context for as long as
        # they like, and the set holds them: a forgotten set closes its files at once.
        this = weakref.ref(self)
        context = BasinContext(scope, referrer.handle, this, far=referrer.is_far)
        identifier = functools.cache(referrer.identifier)
        for number, raw in enumerate(definitions):
            try:
                definition = (
                    raw
                    if isinstance(raw, BasinDefinition)
                    else BasinDefinition.parse(raw, budget=budget)
                )
            except BasinError as exc:
                scope.log.add(f"basin {number}", str(exc))
                self.entries.append(Unparsed(f"basin {number}", exc))
            else:
                made = Entry(definition, context, scope, self._chain, identifier)
                self.entries.append(made)
                self._entries.append(made)

    @property
    def is_of_resource(self) -> bool:
        """Whether the referrer is a resource on a server, and no file."""
        handle = self.referrer.handle
        return handle is not None and handle.resource is not None

    @property
    def version(self) -> int:
        """Goes up whenever something comes to be known of a basin."""
        return self._scope.version if self._entries else 0

    def raise_if_closed(self) -> None:
        """Raise ClosedError if the file is closed."""
        handle = self.referrer.handle
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
            `obj` is a `Reader`, or (for ``trace`` and ``contour``) a mapping of them
            by name; `mapping` holds a row of `obj` for each event, the user's index
            mapping included, or is None if event number n is row n. None if no basin
            has the feature: see `reasons_of` and `refusal_of`.

        Raises
        ------
        BasinIdentifierMismatchError
            If only basins of other measurements have it.
        ClosedError
            After `close`.
        """
        found, _ = self._looked_up(feature, remote=remote)
        if found is None:
            mismatch = mismatch_of(self, feature)
            if mismatch is not None:
                raise mismatch
            return None
        return found.obj, compose(self.referrer.mapping_indices(), found.mapping)

    def look_up(self, feature: str, *, remote: bool = True) -> Found | None:
        """Return where a feature lies for all events of the file; remote ones last."""
        return self._looked_up(feature, remote=remote)[0]

    def way_to(self, feature: str) -> list[Step]:
        """Return the basins that lead to a feature, the outermost first.

        It is looked for as `look_up` does. Empty if no basin has it.
        """
        return self._looked_up(feature, remote=True)[1]

    def _looked_up(
        self, feature: str, *, remote: bool
    ) -> tuple[Found | None, list[Step]]:
        query = FeatureQuery(feature)
        found = self.search(query)
        if found is None and query.skipped_remote and remote:
            query = FeatureQuery(feature, remote=True)
            found = self.search(query)
        return found, [] if found is None else query.way

    def search(self, query: FeatureQuery) -> Found | None:
        """Return where a feature lies for all events of the referrer."""
        self.raise_if_closed()
        for entry in self._entries:
            name = entry.definition.mapping
            if not entry.may_have(query.feature) or entry.token in query.opening:
                continue
            if name is not None and (name == query.feature or name in query.pending):
                continue
            if entry.is_remote and not query.remote:
                query.skipped_remote = True
                continue
            found = self._search_entry(entry, query)
            if found is not None:
                return found
            self.raise_if_closed()
        return None

    def _search_entry(self, entry: Entry, query: FeatureQuery) -> Found | None:
        try:
            index_map = self.maps.get(entry.definition.mapping, query, self.search)
        except ClosedError:
            raise
        except Exception as exc:
            pass_on(exc)
            entry.record_missing(query.feature, exc)
            return None
        entry.findings.forget(query.feature)
        for candidate in entry.candidates():
            query.way.clear()
            try:
                found = self._search_candidate(entry, candidate, query)
                if found is not None:
                    fitting = self.maps.fit(found, index_map)
                    query.way.insert(0, Step(entry, candidate))
                    return fitting
                if entry.promised is not None and not query.skipped_remote:
                    where = candidate.origin.location
                    entry.record_missing(
                        query.feature, f"{where} has no '{query.feature}'"
                    )
            except Exception as exc:
                pass_on(exc)
                # The next location may do; closing concerns all of them.
                self.raise_if_closed()
                placed_at = _placed(candidate.origin.location, exc)
                entry.record_missing(query.feature, placed_at)
        return None

    def _search_candidate(
        self, entry: Entry, candidate: OpenBasin, query: FeatureQuery
    ) -> Found | None:
        """Return a feature of an open basin, or of the basins that it has itself."""
        if candidate.cyclic:
            return None
        failure: Exception | None = None
        try:
            found = candidate.own(query.feature)
        except Exception as exc:
            pass_on(exc)
            found, failure = None, exc
        if found is None:
            nested = self.nested(entry, candidate)
            if nested is not None:
                # The maps of the basin are none of those looked for outside.
                inner = replace(query, pending=frozenset())
                found = nested.search(inner)
                query.skipped_remote |= inner.skipped_remote
        if found is None and failure is not None:
            raise failure
        return found

    def nested(self, entry: Entry, candidate: OpenBasin) -> BasinSet | None:
        """Return the basins of an open basin; None if there are none to follow."""
        # (in one step, since several threads may come)
        sets = self._nested or vars(self).setdefault("_nested", LoadingCache())
        return sets.get(candidate, lambda: self._follow(entry, candidate))

    def nested_if_made(self, candidate: OpenBasin) -> BasinSet | None:
        """Return the basins of an open basin if they were needed so far."""
        return None if self._nested is None else self._nested.peek(candidate)

    def _follow(self, entry: Entry, candidate: OpenBasin) -> BasinSet | None:
        policy = self._scope.policy
        inside = candidate.basin.type == "internal"
        if candidate.cyclic or inside or not policy.nested:
            return None
        try:
            return self._make_nested(candidate)
        except ClosedError:
            raise
        except Exception as exc:
            pass_on(exc)
            # Its own features are as good as before.
            reason = f"its own basins: {one_line(exc)}"
            entry.findings.nested_failed(reason)
            return None

    def _make_nested(self, candidate: OpenBasin) -> BasinSet | None:
        policy, log = self._scope.policy, self._scope.log
        most = policy.max_definitions
        found = candidate.definitions(most)
        if not found:
            return None
        where = candidate.origin.location
        if len(found) > most:
            log.add(where, f"it has more than {most} basins; the rest is left out")
            del found[most:]
        usable = [raw for raw in found if isinstance(raw, Mapping)]
        if len(usable) < len(found):
            log.add(where, f"{len(found) - len(usable)} of its basins are not objects")
        if len(self._chain) >= policy.max_depth:
            raise BasinError(
                f"{where} has basins beyond Policy(max_depth={policy.max_depth})"
            )
        self._scope.count_nesting()
        identity = candidate.identity
        return BasinSet(
            candidate,
            sort_definitions(usable),
            scope=self._scope,
            chain=(*self._chain, object() if identity is None else identity),
        )

    def feature_for(self, token: object, name: str) -> Array:
        """Return a feature of the file for a basin of it (`BasinContext.feature`)."""
        own = self.referrer.own_feature(name)
        if own is not None:
            return FeatureView(own)
        found = self.search(FeatureQuery(name, opening=frozenset({token})))
        if found is None:
            raise BasinError(f"there is no '{name}' in the file or in another basin")
        view: Array = get_mapped_object(FeatureView(found.obj), found.mapping)
        return view

    def renewed(self, definition: BasinDefinition) -> BasinDefinition | None:
        """Return a definition as a basin with basins tells it now."""
        for raw in self.referrer.definitions(self._scope.policy.max_definitions):
            with contextlib.suppress(BasinError):
                found = BasinDefinition.parse(raw)
                same_name = (found.name, found.format) == (
                    definition.name,
                    definition.format,
                )
                if found.key == definition.key and (definition.key or same_name):
                    return found
        return None

    def entry(self, index: int) -> Entry:
        """Return the basin of that number.

        Raises
        ------
        BasinError
            If its definition cannot be understood.
        IndexError
            If there is no basin of that number.
        """
        found = self.entries[self.position(index)]
        if isinstance(found, Unparsed):
            raise type(found.error)(*found.error.args)
        return found

    def position(self, index: int) -> int:
        """Return a position from 0 on; negative ones count from the end.

        Raises
        ------
        IndexError
            If there is no basin of that number.
        """
        count = len(self.entries)
        number = operator.index(index)
        if not -count <= number < count:
            raise IndexError(
                f"there is no basin {index}: {count} basins are defined; see "
                "`basin_status()`"
            )
        return number % count

    def close(self) -> None:
        """Close all that the basins opened; twice is fine."""
        self._closed = True
        if self._own_scope is not None:
            self._own_scope.interrupt()
        self.triples.clear()
        for nested in () if self._nested is None else self._nested.clear():
            if nested is not None:
                nested.close()
        for entry in self._entries:
            entry.close()
        if self._own_scope is not None:
            self._own_scope.close()


def _placed(where: str, exc: Exception) -> BasinError | str:
    """Return what is kept of an error: a misfit as it is, others as text."""
    text = placed(where, exc)
    return BasinError(text) if type(exc) is BasinError else text
