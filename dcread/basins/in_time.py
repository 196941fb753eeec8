"""Code of plugins runs in threads of its own, and is not waited for without end."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import BasinError, BasinNotAvailableError
from ..problems import one_line
from ..sync.locks import BriefLock, letting_go

T = TypeVar("T")

MAX_LEFT_BEHIND = 8
"""How many threads whose plugin never came back there may be in this process."""

_left_behind: set[threading.Thread] = set()
_lock = BriefLock()


class CallInTime(Generic[T]):
    """One call of a plugin in a daemon thread, which cannot hold the exit.

    Parameters
    ----------
    func : callable
        What to call.
    seconds : float
        How long to wait for it.
    what : str
        What messages call it.
    close : callable, optional
        Called with what `func` returned when nobody waits any more.

    Attributes
    ----------
    given_up : threading.Event
        Set once nobody waits any more.
    """

    def __init__(
        self,
        func: Callable[[], T],
        seconds: float,
        what: str,
        close: Callable[[T], object] | None = None,
        given_up: threading.Event | None = None,
    ) -> None:
        self._func = func
        self._seconds = seconds
        self._what = what
        self._close = close
        self.given_up = given_up or threading.Event()
        self._answers: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"dcread: {what}"[:100], daemon=True
        )

    def start(self) -> None:
        """Start the thread.

        Raises
        ------
        BasinNotAvailableError
            If too many others never came back.
        """
        with _lock:
            if len(_left_behind) >= MAX_LEFT_BEHIND:
                raise BasinNotAvailableError(
                    f"{self._what} was not called: {len(_left_behind)} calls of "
                    "plugins hang in this process already; find out what they wait "
                    "for, and restart the process"
                )
        self._thread.start()

    @property
    def is_lost(self) -> bool:
        """Whether the thread is gone without an end: this is a forked child."""
        done = bool(self._answers) or self._error is not None
        return not done and not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._answers.append(self._func())
        except BaseException as exc:
            self._error = exc
        with _lock:
            late = self.given_up.is_set()
            _left_behind.discard(self._thread)
        if late and self._answers and self._close is not None:
            with contextlib.suppress(BaseException):
                self._close(self._answers.pop())

    def wait(self, seconds: float | None = None) -> T:
        """Return what the plugin returned.

        Parameters
        ----------
        seconds : float, optional
            How long to wait, if that is not all the time that it has.

        Raises
        ------
        BasinNotAvailableError
            If it took too long. It is left behind, and what it returns is closed.
        BasinError
            If it raised something that is no error, such as SystemExit.
        """
        try:
            letting_go(self._thread.join, self._seconds if seconds is None else seconds)
        finally:
            if self._thread.is_alive():
                self._leave_behind()
        if self._error is not None:
            if isinstance(self._error, Exception):
                raise self._error
            raise BasinError(describe(self._error)) from self._error
        if not self._answers:
            raise BasinNotAvailableError(
                f"{self._what} took longer than {self._seconds:g} s"
            )
        return self._answers[0]

    def _leave_behind(self) -> None:
        with _lock:
            if self._answers or self._error is not None:
                return  # just in time
            self.given_up.set()
            _left_behind.add(self._thread)


def call_in_time(
    func: Callable[[], T],
    seconds: float,
    what: str,
    close: Callable[[T], object] | None = None,
    given_up: threading.Event | None = None,
) -> T:
    """Return ``func()``, called in a daemon thread (see `CallInTime`)."""
    call = CallInTime(func, seconds, what, close, given_up)
    call.start()
    return call.wait()


def describe(exc: BaseException) -> str:
    """Return the kind and the text of a foreign error."""
    text = one_line(exc)
    kind = type(exc).__name__
    return kind if text == kind else f"{kind}: {text}"


def _forget_threads() -> None:
    _left_behind.clear()  # only the thread that forks lives on in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
