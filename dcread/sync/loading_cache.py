"""A cache of values by key: each is loaded once, the least recently used leaves first.

Threads share a cache. A value is loaded by one of them, which holds a lock of its own
meanwhile (a *claim*); the others who want the value wait for that lock.

An exception may come between any two instructions, out of a signal handler for
instance, and a fork may stop the other threads for ever at any of theirs. So the
tables can be used as they are after each single instruction: nobody waits for
anything but locks, which such an exception frees; a claim that was left over is
cleared away by the next one who meets it; and a sum is marked as unknown while the
table that it is made from changes.
"""

from __future__ import annotations

import contextlib
import functools
import math
import operator
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeVar

from .background import BackgroundThread
from .locks import BriefLock, PatientLock

__all__ = ["LoadingCache", "this_thread"]

T = TypeVar("T")
_MISSING: Any = object()
_WEIGHT, _LAST = operator.attrgetter("weight"), operator.itemgetter(-1)


class _ThisThread(threading.local):
    """What the current thread is there for.

    Attributes
    ----------
    is_ahead : bool
        Whether nobody waits for what it loads, or not yet.
    """

    is_ahead = False


this_thread = _ThisThread()


class _Claim(PatientLock):
    """The load of one key; the thread that loads holds this lock meanwhile.

    Attributes
    ----------
    value : object
        What was loaded, for the threads that waited for it.
    weight : int
        Weight of the value.
    reserves : bool
        Whether there is room for it, as long as it is not held yet.
    """

    __slots__ = ("reserves", "value", "weight")

    def __init__(self, weight: int) -> None:
        # (a forked child drops it with the table that it is in)
        self._lock = lock = self._kind()
        self.__exit__ = lock.__exit__
        self.value: Any = _MISSING
        self.weight = weight
        self.reserves = False


class _Prefetch(NamedTuple):
    """Keys to load in the background, in order."""

    keys: deque[Hashable]
    kept: frozenset[Hashable]
    load: Callable[[Any], Any]
    weight: int


class _Loads(BriefLock):
    """Loads under way; held by who looks at the tables of a cache or changes them.

    But for who takes a claim, which is one step.

    A forked child has no loads under way: the threads that were loading are not there.

    Attributes
    ----------
    claims : dict
        The claim of each key that is being loaded.
    prefetch : _Prefetch or None
        Work for the background threads; None if they have nothing to do.
    threads : dict of BackgroundThread
        The background threads that look for work, by an object that stands for each.
    """

    __slots__ = ("claims", "prefetch", "threads")

    def __init__(self) -> None:
        super().__init__()
        self._forget()

    def _renew(self) -> None:
        super()._renew()
        self._forget()

    def _forget(self) -> None:
        self.claims: dict[Hashable, _Claim] = {}
        self.prefetch: _Prefetch | None = None
        self.threads: dict[object, BackgroundThread] = {}

    def threads_running(self) -> int:
        """Return how many background threads run; forget the others."""
        self.threads = {
            one: thread for one, thread in self.threads.items() if thread.alive
        }
        return len(self.threads)


class LoadingCache:
    """A cache that loads each value once, however many threads ask for it.

    Parameters
    ----------
    limit : int, optional
        Total weight of the values that may be held, those that are being loaded
        included. The value that was used least recently leaves first. Without a
        limit, nothing leaves by itself.

    Notes
    -----
    A loader may ask for other keys, as long as the keys do not wait for each other in
    a circle. It is called without any lock of the cache, but for the claim on its key,
    and must not hold a reference to the owner of the cache.

    Examples
    --------
    >>> cache = LoadingCache(limit=2)
    >>> [cache.get(key, lambda: key * 10, weight=1) for key in (1, 2, 1, 3)]
    [10, 20, 10, 30]
    >>> [key in cache for key in (1, 2, 3)]
    [True, False, True]
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        # Values and their weights, in order of use; looked up without the lock.
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._total: int | None = 0  # of the weights; None: to be summed up
        self._loads = _Loads()
        self._closed = False

    @property
    def limit(self) -> int | None:
        """Total weight that may be held; values that are too many leave at once."""
        return self._limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        with self._loads:
            self._limit = limit
            self._evict(self._reserved())

    @property
    def weight(self) -> int:
        """Total weight of the values that are held or being loaded."""
        with self._loads:
            return self._sum() + self._reserved()

    def get(self, key: Hashable, load: Callable[[], T], weight: int = 0) -> T:
        """Return the value of a key, loaded now if it is not held.

        Parameters
        ----------
        key : hashable
            Strings, numbers and tuples of such.
        load : callable
            Returns the value. What it raises is raised here; the next one who asks
            for the key tries again.
        weight : int
            Weight of the value. One that is above the limit is returned, not held.
        """
        held = self._held.get(key)
        found: T = self._load(key, load, weight) if held is None else held[0]
        if held is not None and self._limit is not None:
            self._note_use(key)
        return found

    def _load(self, key: Hashable, load: Callable[[], object], weight: int) -> Any:
        """Load a value that is not held, or wait for the thread that loads it."""
        while True:
            mine = _Claim(weight)
            with mine:
                try:
                    claim = self._loads.claims.setdefault(key, mine)
                    if claim is mine:
                        # Who had a claim before has put the value there already.
                        held = self._held.get(key)
                        if held is None:
                            if self._limit is not None:
                                self._reserve(mine)
                            mine.value = load()
                        return mine.value if held is None else held[0]
                finally:
                    self._finish(key, mine)
            self._wait_for(key, claim)
            if claim.value is not _MISSING:
                return claim.value

    def _wait_for(self, key: Hashable, claim: _Claim) -> None:
        """Wait until a key is loaded, or its loader failed."""
        with claim, self._loads:
            self._finish(key, claim)  # an interrupt may have come before that
            self._evict(self._reserved())

    def _finish(self, key: Hashable, claim: _Claim) -> None:
        """Hold what was loaded and take the claim off its key; the caller holds it."""
        with self._loads:
            claims = self._loads.claims
            if claims.get(key) is claim:  # else it was dropped
                if claim.value is not _MISSING:
                    self._put(key, claim.value, claim.weight)
                claims.pop(key, None)  # (the handler of a signal may clear the cache)

    def _reserve(self, claim: _Claim) -> None:
        """Reserve weight, as soon as the loads of other threads leave room for it."""
        while True:
            with self._loads:
                alone = list(self._loads.claims.values()) == [claim]
                others = {} if alone else self._reserving()
                reserved = sum(map(_WEIGHT, others.values()))
                if self._evict(reserved + claim.weight) or not reserved:
                    claim.reserves = True
                    return
                key, other = next(iter(others.items()))
            self._wait_for(key, other)

    def _put(self, key: Hashable, value: Any, weight: int) -> None:
        """Hold a value, if there is room (see `_reserve`)."""
        held = self._held.get(key)  # before an interrupt
        total = self._sum() + weight - (0 if held is None else held[1])
        if self._closed or (self._limit is not None and total > self._limit):
            return
        self._total = None
        self._held[key] = value, weight
        self._total = total

    def _sum(self) -> int:
        """Return the total weight of the values that are held."""
        if self._total is None:
            self._total = sum(map(_LAST, self._held.values()))
        return self._total

    def _reserved(self) -> int:
        """Return the total weight of the values that are being loaded."""
        return sum(map(_WEIGHT, self._reserving().values()))

    def _reserving(self) -> dict[Hashable, _Claim]:
        """Return the claims with room for a value that is not held yet, by key."""
        return {
            key: claim
            for key, claim in list(self._loads.claims.items())
            if claim.reserves and key not in self._held
        }

    def _evict(self, weight: int) -> bool:
        """Drop the least recently used values for a weight; False: still no room."""
        limit = math.inf if self._limit is None else self._limit
        while self._sum() + weight > limit:
            if not self._held:
                return False
            self._drop(next(iter(self._held)))
        return True

    def _drop(self, key: Hashable) -> None:
        self._loads.claims.pop(key, None)
        total, self._total = self._total, None
        held = self._held.pop(key, None)
        if total is not None:
            self._total = total if held is None else total - held[1]

    def peek(self, key: Hashable, default: Any = None) -> Any:
        """Return the value of a key if it is held; that is no use of it."""
        held = self._held.get(key)
        return default if held is None else held[0]

    def use(self, key: Hashable, default: Any = None) -> Any:
        """Return the value of a key if it is held; it is the last used one then."""
        held = self._held.get(key)
        if held is None:
            return default
        if self._limit is not None:
            self._note_use(key)
        return held[0]

    def _note_use(self, key: Hashable) -> None:
        with self._loads, contextlib.suppress(KeyError):
            self._held.move_to_end(key)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held

    def put(self, key: Hashable, value: object, weight: int = 0) -> None:
        """Set the value of a key."""
        with self._loads:
            self._drop(key)
            if self._evict(self._reserved() + weight):
                self._put(key, value, weight)

    def drop(self, *keys: Hashable) -> None:
        """Forget the values of keys; what is being loaded for them is not held."""
        with self._loads:
            for key in keys:
                self._drop(key)

    def clear(self) -> list[Any]:
        """Forget all values; return them, for the owner to close."""
        with self._loads:
            values = [value for value, _ in list(self._held.values())]
            self._loads.claims.clear()
            self._total = None
            self._held.clear()
        return values

    def read_ahead(
        self,
        keys: Sequence[Hashable],
        load: Callable[[Any], Any],
        weight: int = 0,
        at_once: int = 1,
    ) -> None:
        """Load keys in the background, as far as there is room for them.

        None of `keys` is dropped for another one of them. Errors are passed over:
        who asks for such a key gets them. A later call takes the place of this one.

        Parameters
        ----------
        keys : sequence of hashable
            In the order in which they will be used. The first one is that which is
            used now, and is not loaded.
        load : callable
            Given a key, returns its value.
        weight : int
            Weight of each value.
        at_once : int
            How many keys are loaded at the same time, those of earlier calls included.
        """
        loads = self._loads
        with loads:
            if self._closed:
                return
            ahead = deque(keys)
            ahead.popleft()
            loads.prefetch = _Prefetch(ahead, frozenset(keys), load, weight)
            if loads.threads_running() < at_once:
                one = object()
                work = functools.partial(_load_ahead, weakref.ref(self), one)
                thread = loads.threads[one] = BackgroundThread(work)
                with contextlib.suppress(RuntimeError):  # the interpreter exits
                    thread.start()

    def _load_next(self, thread: object) -> bool:
        """Load the next key ahead; False if there is none, and the thread ends."""
        mine = _Claim(0)
        with mine:
            with self._loads:
                prefetch = self._loads.prefetch
                key = self._next_key(prefetch)
                if prefetch is None or key is _MISSING:
                    self._loads.prefetch = None
                    self._loads.threads.pop(thread, None)
                    return False
                mine.weight, mine.reserves = prefetch.weight, True
                if self._loads.claims.setdefault(key, mine) is not mine:
                    return True  # somebody loads it by now
            try:
                with contextlib.suppress(Exception):
                    mine.value = prefetch.load(key)
            finally:
                self._finish(key, mine)
        return True

    def _next_key(self, prefetch: _Prefetch | None) -> Any:
        """Return the next key to load ahead, with room for it, or `_MISSING`."""
        while prefetch is not None and prefetch.keys:
            key = prefetch.keys[0]
            if key not in self._held and key not in self._loads.claims:
                if not self._spare(prefetch):
                    break
                prefetch.keys.popleft()
                return key
            prefetch.keys.popleft()
        return _MISSING

    def _spare(self, prefetch: _Prefetch) -> bool:
        """Make room for a value ahead, of values that are not wanted."""
        if self._limit is None:
            return True
        missing = self._sum() + self._reserved() + prefetch.weight - self._limit
        leaving = []
        for key, (_, weight) in self._held.items():
            if missing <= 0:
                break
            if key not in prefetch.kept:
                leaving.append(key)
                missing -= weight
        if missing > 0:
            return False
        for key in leaving:
            self._drop(key)
        return True

    def close(self) -> None:
        """Forget all values for good and end what runs in the background."""
        with self._loads:
            self._closed = True
            self._loads.prefetch = None
            threads = list(self._loads.threads.values())
        for thread in threads:
            thread.join()
        self.clear()


def _load_ahead(reference: Callable[[], LoadingCache | None], thread: object) -> None:
    """Load what a cache wants ahead, for as long as it is there."""
    this_thread.is_ahead = True
    while (cache := reference()) is not None and cache._load_next(thread):
        del cache
