"""Methods of objects that they do not keep alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..errors import ClosedError

T = TypeVar("T")


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
