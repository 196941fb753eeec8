"""What an untrusted file may make us open, and how much of it."""

from __future__ import annotations

import operator
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from ..engine.home import absolute
from ..engine.local_source import LocalSource
from ..engine.network_limits import NetworkLimits
from ..engine.urls import shown
from ..errors import PolicyError
from ..problems import one_line
from .addresses import origin_of, why_not_public
from .confined_open import Folder, open_inside

_LOCAL = (True, False, "beside", "roots")
_REMOTE = (True, False, "hosts")


@dataclass(frozen=True)
class Policy:
    r"""Rules for what a file may make dcread open: files, links and servers.

    The caller is trusted, the file is not: a basin definition is text in a file
    that may come from anywhere. The default follows local paths and public
    hosts, as basins are meant to work.

    Parameters
    ----------
    local : bool, "beside" or "roots"
        Which regular files a basin may lead to: all (True, the default), none
        (False), those in the folder of the opened file and below (``"beside"``),
        or those in `roots` and below (``"roots"``); symbolic links are resolved
        before the comparison. A remote file never leads to local ones.
    roots : sequence of path
        The folders for ``local="roots"``.
    path_map : mapping of str to str
        Prefixes of stored paths and what stands in their place on this machine,
        such as ``{"/ptmp": "P:\\"}``. The rewritten path is tried first.
    nested : bool
        Whether the basins of basins are followed.
    links : bool
        Whether external links and external storage inside a basin are followed.
    remote : bool or "hosts"
        Whether remote formats (http, s3, dcor, or a plugin's) may be contacted:
        all public hosts (True), none (False), or those in `hosts`.
    hosts : sequence of str
        Hosts or URLs of servers that are allowed even if they are not public, such as
        ``"http://storage.lab:9000"``; with ``remote="hosts"``, no others are.
    max_basins : int
        How many basin files (or remote resources) one measurement may open.
    max_depth : int
        How deep basins of basins are followed.
    max_locations : int
        How many of the locations of one definition are tried.
    max_definitions : int
        How many definitions of one file are read.
    max_definition_bytes : int
        How long the text of one definition may be.
    network : NetworkLimits
        How long a server may take, and how often it is asked again.
    proxies : bool
        Whether proxies of the environment (``HTTPS_PROXY``) are used for hosts that the
        caller named; never for what a file names.

    Examples
    --------
    >>> Policy(local="beside").nested
    True
    """

    local: bool | Literal["beside", "roots"] = True
    roots: tuple[pathlib.Path, ...] = ()
    path_map: tuple[tuple[str, str], ...] | Mapping[str, str] = ()
    nested: bool = True
    links: bool = False
    remote: bool | Literal["hosts"] = True
    hosts: tuple[str, ...] = ()
    max_basins: int = 64
    max_depth: int = 8
    max_locations: int = 100
    max_definitions: int = 10_000
    max_definition_bytes: int = 2**20
    network: NetworkLimits = NetworkLimits()  # noqa: RUF009 - frozen
    proxies: bool = False

    _default: ClassVar[Policy | None] = None

    def __post_init__(self) -> None:
        if self.local not in _LOCAL:
            raise ValueError(f"local must be one of {_LOCAL}, got {self.local!r}")
        if self.remote not in _REMOTE:
            raise ValueError(f"remote must be one of {_REMOTE}, got {self.remote!r}")
        if isinstance(self.roots, (str, os.PathLike)) or isinstance(self.hosts, str):
            raise TypeError("roots and hosts must be sequences, not one item")
        roots = tuple(absolute(root) for root in self.roots)
        if self.local == "roots" and not roots:
            raise ValueError('Policy(local="roots") needs at least one folder in roots')
        pairs = self.path_map
        if isinstance(pairs, Mapping):
            pairs = tuple(pairs.items())
        pairs = tuple((os.fspath(old), os.fspath(new)) for old, new in pairs)
        if any(not old for old, _ in pairs):
            raise ValueError("path_map: a prefix must not be empty")
        for name in (
            "max_basins",
            "max_depth",
            "max_locations",
            "max_definitions",
            "max_definition_bytes",
        ):
            if operator.index(getattr(self, name)) < 0:
                raise ValueError(f"{name} must not be negative")
        # A frozen dataclass is set up through object.__setattr__.
        object.__setattr__(self, "roots", roots)
        object.__setattr__(self, "hosts", tuple(self.hosts))
        object.__setattr__(self, "path_map", pairs)
        _ = self.origins  # raises a ValueError for a host that is none

    @classmethod
    def default(cls) -> Policy:
        """Return the policy of measurements that are opened without one.

        Returns
        -------
        Policy

        Examples
        --------
        >>> dcread.Policy.default().local
        True
        """
        if Policy._default is None:
            Policy._default = Policy()
        return Policy._default

    @classmethod
    def set_default(cls, policy: Policy | None) -> None:
        """Set the policy of measurements that are opened from now on without one.

        Parameters
        ----------
        policy : Policy or None
            None goes back to ``Policy()``.

        Examples
        --------
        >>> before = dcread.Policy.default()
        >>> dcread.Policy.set_default(dcread.Policy(remote=False))
        >>> dcread.Policy.default().remote
        False
        >>> dcread.Policy.set_default(before)
        """
        if policy is not None and not isinstance(policy, Policy):
            raise TypeError(f"expected a Policy or None, got {type(policy).__name__}")
        Policy._default = policy

    def check_path(
        self, path: str | os.PathLike[str], folder: pathlib.Path | None
    ) -> pathlib.Path:
        """Return the path to open, links resolved where that matters.

        Parameters
        ----------
        path : path
            Absolute path that a definition led to.
        folder : pathlib.Path or None
            Folder of the measurement that the caller opened.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        PolicyError
            If this policy does not allow the path.

        Examples
        --------
        >>> dcread.Policy(local=False).check_path("/data/raw.rtdc", None)
        Traceback (most recent call last):
        ...
        dcread.errors.PolicyError: ...
        """
        if self.local is True:
            return pathlib.Path(path)
        self._require_local(path)
        real = pathlib.Path(os.path.realpath(path))
        roots = self.roots if self.local == "roots" else (folder,) if folder else ()
        if any(real.is_relative_to(os.path.realpath(root)) for root in roots):
            return real
        raise self._outside(path, real, roots)

    def open_path(self, path: pathlib.Path, beside: Folder | None) -> LocalSource:
        """Open a regular file that a name in a file led to.

        Unlike with `check_path`, the file cannot be replaced between check and opening.

        Parameters
        ----------
        path : pathlib.Path
            Absolute path.
        beside : Folder or None
            The folder of the measurement that the caller opened.

        Returns
        -------
        LocalSource
            The bytes of the file; the caller closes it.

        Raises
        ------
        PolicyError
            If this policy does not allow the file.
        FileMissingError, NotAFileError
            If there is no file, or not a regular one.

        Examples
        --------
        >>> import contextlib, pathlib
        >>> path = pathlib.Path("demo-output/demo.rtdc").absolute()
        >>> with contextlib.closing(dcread.Policy().open_path(path, None)) as source:
        ...     source.size > 0
        True
        """
        if self.local is True:
            return LocalSource(path)
        self._require_local(path)
        folders = [] if beside is None else [beside]
        if self.local == "roots":
            # A folder that is not there (yet) contains nothing.
            folders = [Folder.at(root) for root in self.roots if root.is_dir()]

        def opener(name: str, flags: int) -> int:
            fd, real = open_inside(pathlib.Path(name), folders, flags)
            if fd is None:
                raise self._outside(path, real, [folder.path for folder in folders])
            return fd

        return LocalSource(path, opener)

    def _require_local(self, path: str | os.PathLike[str]) -> None:
        if self.local is False:
            raise PolicyError(
                f"{one_line(path)}: local files are switched off by "
                "Policy(local=False); pass another Policy to allow them"
            )

    def _outside(
        self,
        path: str | os.PathLike[str],
        real: pathlib.Path,
        folders: Sequence[pathlib.Path],
    ) -> PolicyError:
        inside = ", ".join(map(str, folders)) or "(there is no folder)"
        return PolicyError(
            f'{one_line(path)}: Policy(local="{self.local}") allows files in {inside} '
            f"and below, this one lies at {one_line(real)}; pass another Policy to "
            "allow it"
        )

    def check_url(self, url: str, named: Collection[str] = ()) -> None:
        """Raise PolicyError unless a URL may be contacted, as far as its text tells.

        Parameters
        ----------
        url : str
            Of any scheme; one that is not known is judged by its host.
        named : collection of str
            Origins (see `origin_of`) that the caller named: they may be anywhere.

        Raises
        ------
        PolicyError
            If this policy does not allow to contact it.

        Examples
        --------
        >>> dcread.Policy(remote=False).check_url("https://data.example.org/x.rtdc")
        Traceback (most recent call last):
        ...
        dcread.errors.PolicyError: ...
        """
        where = shown(url)
        if os.environ.get("DCREAD_OFFLINE", "") not in {"", "0"}:
            raise PolicyError(
                f"{where}: not contacted, since DCREAD_OFFLINE is set; "
                "unset it to read from servers"
            )
        if self.remote is False:
            raise PolicyError(
                f"{where}: not contacted, since Policy(remote=False) says so; "
                "pass another Policy to allow it"
            )
        try:
            origin = _origin(url)
        except ValueError as exc:
            raise PolicyError(f"{where}: not contacted: {exc}") from None
        if origin in named or origin in self.origins:
            return
        if self.remote == "hosts":
            raise PolicyError(
                f"{where}: not contacted, since {origin} is not among the hosts of the "
                "policy; if you trust this server, add it to Policy(hosts=[...])"
            )
        host = urlsplit(origin).hostname or ""
        reason = "" if origin.startswith("s3:") else why_not_public(host)
        if reason:
            raise PolicyError(
                f"{where}: not contacted, since {reason}; if you trust this "
                f"server, allow it by Policy(hosts=[{origin!r}])"
            )

    @property
    def origins(self) -> frozenset[str]:
        """The origins in `hosts`, where a bare host means https.

        Examples
        --------
        >>> dcread.Policy(hosts=("data.example.org",)).origins
        frozenset({'https://data.example.org:443'})
        """
        return frozenset(
            origin_of(host if "://" in host else f"https://{host}")
            for host in self.hosts
        )


def _origin(url: str) -> str:
    scheme, _, rest = url.strip().partition(":")
    known = scheme.lower() in {"http", "https", "s3"}
    return origin_of(url if known else f"https:{rest}")
