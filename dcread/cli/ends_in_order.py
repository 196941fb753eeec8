"""An end by SIGTERM or SIGHUP that leaves no half-written file behind."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Never

_NAMES = ("SIGTERM", "SIGHUP")  # (Windows has no SIGHUP)


@contextlib.contextmanager
def ends_in_order() -> Iterator[None]:
    """Have these signals raise SystemExit while a command writes.

    For commands that write only: the others can still be ended while HDF5 is busy. A
    signal that is ignored (by ``nohup``) stays ignored.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
        before = {n: signal.getsignal(n) for n in numbers}
    mine = [n for n, handler in before.items() if handler is signal.SIG_DFL]
    try:
        for number in mine:
            signal.signal(number, _end)
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _: FrameType | None) -> Never:
    raise SystemExit(128 + number)
