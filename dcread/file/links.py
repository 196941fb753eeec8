"""Members of groups in files that are not trusted: one resolver for all links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import BasinError, FormatError, PolicyError
from ..sync.locks import h5_lock
from .policy import Policy

if TYPE_CHECKING:
    import h5py

_MAX_SOFT_LINKS = 16
_STRICT = Policy()


def member(group: h5py.Group, name: str, policy: Policy | None = None) -> Any:
    """Return the member `name` of a group without leaving the file.

    Soft links are resolved component by component, external links are followed
    only where the policy allows links.

    Parameters
    ----------
    group : h5py.Group
        An open group.
    name : str
        Name of a direct member.
    policy : Policy, optional
        Without one, no link leaves the file.

    Raises
    ------
    KeyError
        If there is no such member (a dangling link counts as none).
    PolicyError
        If an external link or external storage is in the way. (The sources of
        virtual datasets are checked by the engine, see `FileHandle.allow_source`.)
    """
    if not is_member_name(name):
        raise KeyError(f"'{name}' is not the name of a member")
    with h5_lock:
        found = _step(group, name, policy or _STRICT, _MAX_SOFT_LINKS)
        _check_storage(found, policy or _STRICT)
    return found


def is_member_name(name: str) -> bool:
    """Tell whether a name can be that of a direct member of a group."""
    return not ("/" in name or "\0" in name or name in ("", ".", ".."))


def _step(group: Any, name: str, policy: Policy, budget: int) -> Any:
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        raise KeyError(f"'{name}' is not in {group.name}")
    if isinstance(link, h5py.ExternalLink) and not policy.links:
        where = f"{group.name.rstrip('/')}/{name}"
        raise PolicyError(
            f"{group.file.filename}: '{where}' is an external link to {link.filename}; "
            "pass Policy(links=True) to follow it"
        )
    if not isinstance(link, h5py.SoftLink):
        return group[name]
    if budget <= 0:
        raise KeyError(f"'{name}' in {group.name} is a soft link that goes round")
    place = group.file if link.path.startswith("/") else group
    for part in link.path.split("/"):
        if part in ("", "."):
            continue
        if not isinstance(place, h5py.Group):
            raise KeyError(f"'{name}' in {group.name} is a soft link to nothing")
        budget -= 1
        place = _step(place, part, policy, budget)
    return place


def _check_storage(found: Any, policy: Policy) -> None:
    import h5py

    if not isinstance(found, h5py.Dataset):
        return
    where = f"{found.file.filename}: '{found.name}'"
    if found.external and not policy.links:
        raise PolicyError(
            f"{where} keeps its bytes in another file ({found.external[0][0]}); "
            "pass Policy(links=True) to follow that"
        )


def subgroup(group: h5py.Group, name: str, policy: Policy | None = None) -> h5py.Group:
    """Return the member `name` of a group, which must be a group itself.

    Raises
    ------
    BasinError
        If it is missing or not a group.
    """
    import h5py

    place = "/" + name.lstrip("/")
    try:
        found = member(group, name, policy)
    except KeyError as exc:
        raise BasinError(f"there is no group '{place}'") from exc
    except (OSError, RuntimeError, ValueError) as exc:
        if isinstance(exc, PolicyError):
            raise
        raise FormatError(f"the group '{place}' cannot be read: {exc}") from exc
    if not isinstance(found, h5py.Group):
        raise BasinError(f"'{place}' should be a group, found {type(found).__name__}")
    return found
