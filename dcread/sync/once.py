"""Values that are made once, however many threads ask for them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from ..errors import ClosedError
from .locks import PatientLock

T = TypeVar("T")
_MISSING = object()


def alive(reference: Callable[[], T | None]) -> T:
    """Return what a weak reference leads to.

    Raises
    ------
    ClosedError
        If it is gone.
    """
    found = reference()
    if found is None:
        raise ClosedError("the measurement is gone; keep it as long as you read it")
    return found


def weakly(method: Callable[[], T]) -> Callable[[], T]:
    """Return a bound method that does not keep its object alive."""
    reference = weakref.WeakMethod(method)

    def call() -> T:
        return alive(reference)()

    return call


class Once:
    """A store of values by key; one thread makes a value while others wait.

    A value that could not be made (its maker raised) is tried again at the next
    request. Makers may ask for other keys, as long as they do not go round.
    """

    def __init__(self) -> None:
        self._lock = PatientLock()
        self._makers: dict[Hashable, PatientLock] = {}
        self._values: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of `key`; call `make` if there is none yet."""
        found = self._values.get(key, _MISSING)
        if found is not _MISSING:
            value: T = found
            return value
        with self._lock:
            maker = self._makers.setdefault(key, PatientLock())
        with maker:
            values = self._values
            found = values.get(key, _MISSING)
            if found is _MISSING:
                found = values[key] = make()
        made: T = found  # looked up once: another thread may drop it meanwhile
        return made

    def peek(self, key: Hashable) -> Any:
        """Return the value of `key` if it was made, else None."""
        return self._values.get(key)

    def put(self, key: Hashable, value: object) -> None:
        """Set the value of `key`."""
        self._values[key] = value

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def drop(self, *keys: Hashable) -> None:
        """Forget the values of `keys`, where there are any."""
        for key in keys:
            self._values.pop(key, None)

    def clear(self) -> list[Any]:
        """Forget all values and return them (for the owner to close)."""
        values, self._values = list(self._values.values()), {}
        return values
