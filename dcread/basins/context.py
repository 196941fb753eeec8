"""What a basin may know of its referrer, and how it opens files."""

from __future__ import annotations

import os
import pathlib
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import h5py

from ..arrays.dataset_view import FeatureView
from ..errors import BasinError, ClosedError, NotAFileError
from ..file.attributes import decode_value, read_attribute
from ..file.event_dataset import reader_of, usable_member
from ..file.links import has_member
from ..problems import pass_on
from ..sync.locks import h5_lock
from .definition import BasinDefinition
from .opened import Array, Opened
from .paths import candidate_paths, folders_of
from .scope import Scope, group_at

if TYPE_CHECKING:
    from ..engine import FileHandle


class ReferrersBasins(Protocol):
    """The basins of a referrer, as one of them may ask them."""

    def feature_for(self, token: object, name: str) -> Array:
        """Return a feature for a basin, not from that basin itself."""

    def renewed(self, definition: BasinDefinition) -> BasinDefinition | None:
        """Return a definition as the referrer tells it now, None if it does not."""


class BasinContext:
    """What a basin may know of its referrer, and how it opens files.

    Attributes
    ----------
    policy : Policy
        What may be opened. All methods keep to it.
    path : pathlib.Path or None
        Absolute path of the referrer; None if it has none.
    deadline : float or None
        The value of `time.monotonic` after which `Basin.open` is not waited for any
        more; None for no limit.
    is_far : bool
        Whether the referrer lies on a server: it never leads to local files.
    """

    def __init__(
        self,
        scope: Scope,
        handle: FileHandle | None,
        basins: Callable[[], ReferrersBasins | None],
        *,
        far: bool = False,
    ) -> None:
        self._scope = scope
        self._handle = handle
        self._referrers_basins = basins  # a weak reference, since they hold this
        self.is_far = far
        self._given_up: threading.Event | None = None
        self._token: object = None
        self._folders: list[pathlib.Path] | None = None
        self.policy = scope.policy
        self.path = handle.path if handle is not None else None
        self.deadline: float | None = None

    def for_opening(
        self,
        token: object,
        deadline: float | None = None,
        given_up: threading.Event | None = None,
    ) -> BasinContext:
        """Return a context for one instance.

        Parameters
        ----------
        token : object
            Tells the basin, which does not get features of its referrer from itself.
        deadline : float, optional
            Until when `Basin.open` is waited for.
        given_up : threading.Event, optional
            Set when nobody waits any more.
        """
        made = BasinContext(
            self._scope, self._handle, self._referrers_basins, far=self.is_far
        )
        made._folders, made._token = self._folders, token
        made.deadline, made._given_up = deadline, given_up
        return made

    @property
    def _basins(self) -> ReferrersBasins:
        found = self._referrers_basins()
        if found is None:
            raise ClosedError("the measurement is gone; keep it as long as you read it")
        return found

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for `Basin.open` any more: the work may end."""
        given_up = self._given_up is not None and self._given_up.is_set()
        return given_up or self._scope.closed

    def paths_for(self, stored: Iterable[str]) -> Iterator[str]:
        """Yield the absolute paths where stored paths may lead, in order."""
        pairs = self.policy.path_map
        assert isinstance(pairs, tuple)
        if self._folders is None:
            # No cached_property: in Python 3.11 its lock does not survive a fork.
            self._folders = folders_of(self.path)
        return candidate_paths(stored, self._folders, pairs)

    def check_path(self, path: str) -> pathlib.Path:
        """Return the path that may be opened, its links resolved where that matters.

        For basins that are no HDF5 files; `open_file` and `is_file` do it themselves.

        Raises
        ------
        PolicyError
            If the policy does not allow the path.
        """
        return self._scope.check_path(path, far=self.is_far)

    def check_url(self, url: str) -> None:
        """Make sure that a URL may be contacted, each one that a redirect gives too.

        Raises
        ------
        PolicyError
            If the policy does not allow to contact it.
        """
        self._scope.check_url(url)

    def is_file(self, path: str) -> bool:
        """Tell whether there is a regular file at a path.

        Raises
        ------
        PolicyError
            If the policy does not allow the path.
        PermissionError
            If a folder on the way must not be looked into.
        NotAFileError
            If there is a directory, a FIFO, a device or a socket.
        """
        try:
            status = os.stat(self._scope.check_path(path, far=self.is_far))
        except PermissionError:
            # (PolicyError is one, too)
            raise
        except (OSError, ValueError) as exc:
            pass_on(exc)
            # A path that cannot exist (too long, not encodable) leads nowhere.
            return False
        if not stat.S_ISREG(status.st_mode):
            raise NotAFileError(
                f"{path}: expected a regular file, found {_kind(status.st_mode)}"
            )
        return True

    def open_file(self, path: str, group: str = "events") -> Opened:
        """Open an HDF5 file; it is closed together with the referrer.

        Parameters
        ----------
        path : str
            Absolute path.
        group : str
            The group that holds the features.

        Returns
        -------
        Opened
            The features as an ``h5py.Group``; identifier, identity and basins of
            the file.

        Raises
        ------
        PolicyError
            If the policy does not allow the path, or no further basin.
        FileMissingError, NotAFileError, FormatError
            If there is no file, not a regular one, or no HDF5 in it; of a
            concatenated file also if one of its sources is missing.
        FileChangedError
            If a source of a concatenated file changed.
        """
        handle = self._scope.open_file(path, far=self.is_far)
        return self._scope.as_opened(handle, group)

    def open_url(
        self,
        url: str,
        group: str = "events",
        renew: Callable[[], str] | None = None,
    ) -> Opened:
        """Open an HDF5 file behind a URL; it is closed together with the referrer.

        Parameters
        ----------
        url : str
            An http, https or s3 URL.
        group : str
            The group that holds the features.
        renew : callable, optional
            Returns the URL with a new signature, if that expires.

        Returns
        -------
        Opened
            As of `open_file`.

        Raises
        ------
        PolicyError
            If the policy does not allow to contact it, or no further basin.
        FileMissingError, RemoteError, FormatError
            If there is no file, no answer, or no HDF5 in it.
        """
        return self._scope.as_opened(self._scope.open_url(url, renew), group)

    def get_json(self, url: str) -> Any:
        """Return a small JSON document behind an http or https URL, decoded.

        Raises
        ------
        PolicyError
            If the policy does not allow to contact it.
        RemoteError
            If there is no answer, or one of another status than 200.
        """
        return self._scope.get_json(url)

    def renewed(self, definition: BasinDefinition) -> BasinDefinition | None:
        """Return a definition as the referrer tells it now, None if it does not.

        For addresses that expire. It is found by its key, else by name and format.
        """
        return self._basins.renewed(definition)

    def has_group(self, name: str) -> bool:
        """Tell whether the referrer itself has a member of that name (not opened)."""
        handle = self._handle
        if handle is None:
            return False
        with handle.using(), h5_lock:
            return has_member(handle.root, name)

    def group(self, name: str) -> h5py.Group:
        """Return a group of the referrer itself; no link leads out of the file.

        Raises
        ------
        BasinError
            If the referrer is no HDF5 file, or has no such group.
        PolicyError
            If a link to another file is in the way.
        """
        handle = self._handle
        if handle is None:
            raise BasinError("the referrer is not an HDF5 file: it has no groups")
        with handle.using(), h5_lock:
            return h5py.Group(group_at(handle, name).id)

    def array(self, group: h5py.Group, name: str) -> FeatureView:
        """Return a dataset of a group that `group` or `open_file` gave.

        Slices and lists of row numbers of it read what is needed, in parallel; it is
        held to the rules for features of a file (no data in other files, nothing
        that claims more than the file can hold).

        Raises
        ------
        KeyError
            If there is no such dataset.
        FormatError, PolicyError
            If it cannot be used.
        """
        return FeatureView(reader_of(usable_member(self._scope.place_of(group), name)))

    def feature(self, name: str) -> Array:
        """Return a feature of the referrer, for all of its events.

        From the file itself, or from another one of its basins.

        Raises
        ------
        BasinError
            If there is none, or only this basin has it.
        """
        return self._basins.feature_for(self._token, name)

    def meta(self, key: str) -> Any:
        """Return metadata of the referrer, such as ``"imaging:roi size x"``.

        None where it tells nothing.
        """
        handle = self._handle
        if handle is None:
            return None
        try:
            return decode_value(read_attribute(handle, key))[0]
        except KeyError:
            return None


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return name
    return "something else"
