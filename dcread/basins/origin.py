"""What errors of a plugin become, and when an open basin may be closed.

The one place where errors of plugins become ours.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator

from ..engine import FileHandle
from ..errors import BasinError, ClosedError, DCReadError
from ..problems import is_out_of_a_handler, one_line, placed
from ..sync.locks import BriefLock
from .in_time import describe


class Origin:
    """What errors tell of a basin, and what ends together with it.

    Parameters
    ----------
    location : str
        Where the basin lies.
    plugin : str
        Name and version of the distribution that reads it.
    close : callable
        Frees what the plugin took; called once, when nobody reads any more.
    confine : callable
        Has the policy apply to a file that the plugin opened itself.
    is_at_hand : bool
        Whether a row takes no more than a moment.
    is_built_in : bool
        Whether the plugin is dcread itself, which raises no `BaseException`: such a
        one was thrown in.
    """

    def __init__(
        self,
        location: str,
        plugin: str,
        close: Callable[[], None],
        confine: Callable[[FileHandle], None],
        *,
        is_at_hand: bool,
        is_built_in: bool,
    ) -> None:
        self._confine = confine
        self._location = location
        self.plugin = plugin
        self._close = close
        self.is_at_hand = is_at_hand
        self._is_built_in = is_built_in
        self._lock = BriefLock()
        self._readers = 0
        self._closed = False
        self._handles: weakref.WeakSet[FileHandle] = weakref.WeakSet()

    @property
    def location(self) -> str:
        """What messages call the place where it lies."""
        return one_line(self._location)

    @property
    def closed(self) -> bool:
        """Whether the basin is closed."""
        return self._closed

    def error(self, exc: BaseException, feature: str = "") -> BasinError:
        """Return an error of a plugin as one of ours."""
        place = f"{self.location}: '{feature}'" if feature else self.location
        if isinstance(exc, BasinError):
            text = placed(place, one_line(exc))
            return type(exc)(f"{text}; plugin {self.plugin}")
        return BasinError(f"{place}: {describe(exc)}; plugin {self.plugin}")

    @contextlib.contextmanager
    def asking(self, feature: str = "", *, by_name: bool = False) -> Iterator[None]:
        """Ask the plugin something: its errors become ours, it is not closed now.

        Parameters
        ----------
        feature : str
            What is asked for.
        by_name : bool
            Whether a KeyError says that there is nothing of that name.

        Raises
        ------
        ClosedError
            If the basin is closed.
        BasinError
            If the plugin raises anything.
        """
        counted: list[None] = []
        try:
            with self._lock:
                if self._closed:
                    raise ClosedError(
                        f"{self.location} is closed; open the measurement again"
                        + (f" to read '{feature}'" if feature else "")
                    )
                self._readers += 1
                counted.append(None)
            yield
        except BaseException as exc:
            if isinstance(exc, MemoryError) or (by_name and isinstance(exc, KeyError)):
                raise
            own = isinstance(exc, DCReadError) and (
                type(exc) is not BasinError or f"plugin {self.plugin}" in str(exc)
            )
            thrown_in = self._is_built_in and not isinstance(exc, Exception)
            if own or thrown_in or is_out_of_a_handler(exc):
                raise
            raise self.error(exc, feature) from exc
        finally:
            if counted:
                self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._readers -= 1
            last = self._closed and self._readers == 0
        if last:
            self._close()

    def adopt(self, handle: FileHandle) -> None:
        """Close a handle of ours on a file that a plugin opened, when the basin is."""
        self._confine(handle)
        self._handles.add(handle)

    def close(self) -> None:
        """Close the basin, by the last one who reads from it; twice is fine."""
        with self._lock:
            known, self._closed = self._closed, True
            idle = self._readers == 0
        if known:
            return
        for handle in list(self._handles):
            handle.close()
        if idle:
            self._close()
