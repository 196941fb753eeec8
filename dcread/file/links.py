"""Members of groups in files that are not trusted, and the files that they name."""

from __future__ import annotations

import pathlib
import re
from typing import TYPE_CHECKING, Any

from h5py import h5d, h5g, h5l

from ..engine import FileHandle, open_file
from ..engine.local_source import LocalSource
from ..engine.name_resolver import NameResolver, Place
from ..errors import BasinError, DCReadError, FormatError, PolicyError
from ..problems import one_line, pass_on, text_of
from ..sync.locks import h5_lock
from .confined_open import Folder

if TYPE_CHECKING:
    from .policy import Policy


class PolicyResolver(NameResolver):
    """What the names in a measurement, and in its basins, may lead to.

    Parameters
    ----------
    policy : Policy
        What the caller allows.
    path : pathlib.Path or None
        The measurement that the caller opened; None if it has no path.
    """

    def __init__(self, policy: Policy, path: pathlib.Path | None) -> None:
        self.policy = policy
        self.follows_links = policy.links
        self.is_confined = policy.local is not True
        self._folder: Folder | None = None
        if policy.local == "beside" and path is not None:
            self._folder = Folder.at(path.parent)

    def open_path(self, path: pathlib.Path) -> LocalSource:
        """Open a file that a name led to, if the policy allows it."""
        return self.policy.open_path(path, self._folder)

    def open_file(self, path: pathlib.Path) -> FileHandle:
        """Open an HDF5 file that a name led to.

        Raises
        ------
        PolicyError
            If the policy does not allow it.
        FileMissingError, NotAFileError, FormatError, FileChangedError
            As `engine.open_file`.
        """
        return open_file(self.open_path(path), self)


class RemoteResolver(PolicyResolver):
    """What the names in a remote measurement lead to: never to local files."""

    def open_path(self, path: pathlib.Path) -> LocalSource:
        """Refuse."""
        raise PolicyError(
            f"{one_line(str(path))}: a file on a server may not refer to files on "
            "this machine; download it and open that"
        )


_MEMBER_NAME = re.compile(r"(?!\.{1,2}\Z)[^/\0]+")
"""The names that a direct member of a group can have."""

STRICT = NameResolver()
"""Follows what lies in the file itself."""


def member(
    handle: FileHandle | None,
    name: str,
    group: Any = None,
    names: NameResolver | None = None,
) -> Place:
    """Return a member of a group, without leaving the file unless that is allowed.

    Parameters
    ----------
    handle : FileHandle or None
        The open file; None if `group` is a caller's, which nothing leads out of.
    name : str
        Name of a direct member.
    group : h5py.h5g.GroupID, optional
        The group; the file by default.
    names : NameResolver, optional
        What links lead to; that of the file by default.

    Raises
    ------
    KeyError
        If there is no such member (a link to nothing counts as none).
    PolicyError
        If an external link or external storage is in the way.
    """
    if not _MEMBER_NAME.fullmatch(name):
        raise KeyError(f"'{one_line(name)}' is not the name of a member")
    if names is None:
        names = STRICT if handle is None else handle.names
    with h5_lock:
        place = names.find(handle, name, group)
        if isinstance(place.id, h5d.DatasetID):
            plist = place.id.get_create_plist()
            if plist.get_external_count():
                names.check_storage(plist, place.label(name))
    return place


def is_hard_link(group: Place, name: str) -> bool:
    """Tell whether a member lies in the file itself; the caller holds the lock.

    Raises
    ------
    KeyError
        If there is no such member.
    """
    key = name.encode("utf-8", "surrogateescape")
    kind = group.id.links.get_info(key).type
    return bool(kind == h5l.TYPE_HARD)


def subgroup(
    handle: FileHandle | None,
    name: str,
    group: Any = None,
    names: NameResolver | None = None,
) -> Place:
    """Return the member of a group that must be a group itself (see `member`).

    The caller keeps the file open.

    Raises
    ------
    BasinError
        If it is missing or not a group.
    PolicyError
        If an external link is in the way.
    FormatError
        If it cannot be read.
    """
    try:
        found = _in_group(handle, name, group) or member(handle, name, group, names)
    except KeyError as exc:
        raise BasinError(f"there is no group '{_shown(name)}'") from exc
    except DCReadError:
        raise
    except (OSError, RuntimeError, ValueError) as exc:
        pass_on(exc)
        raise FormatError(
            f"the group '{_shown(name)}' cannot be read: {text_of(exc)}"
        ) from exc
    if not isinstance(found.id, h5g.GroupID):
        raise BasinError(f"'{_shown(name)}' should be a group")
    return found


def _in_group(handle: FileHandle | None, name: str, group: Any) -> Place | None:
    """Return what lies in a group itself, as mostly; None where `member` tells more."""
    if handle is None or not _MEMBER_NAME.fullmatch(name):
        return None
    key = name.encode("utf-8", "surrogateescape")
    try:
        with h5_lock:
            found = handle.open_hard(handle.root if group is None else group, key)
    except (KeyError, RuntimeError) as exc:
        pass_on(exc)
        return None
    return None if found is None else Place(handle, found)


def _shown(name: str) -> str:
    return "/" + one_line(name).lstrip("/")


def names_in(group: Place) -> list[str]:
    """Return the sorted names of the members of a group; the caller holds the lock.

    Raises
    ------
    FormatError
        If the group is damaged so that HDF5 would not survive to list it.
    """
    if group.handle is not None:
        group.handle.check_listing(group.id)
    return sorted([name.decode("utf-8", "surrogateescape") for name in group.id])


def has_member(group: Any, name: str) -> bool:
    """Tell whether there is a link of a name, wherever it leads.

    With ``in``, HDF5 would follow a link into another file. The caller holds the
    h5py lock.
    """
    key = name.encode("utf-8", "surrogateescape")
    return bool(_MEMBER_NAME.fullmatch(name)) and group.links.exists(key)
