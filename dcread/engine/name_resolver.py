"""Names inside a file: what they lead to is found here, and nowhere else.

HDF5 would follow a name wherever it leads: over an external link into any other file,
or into a FIFO that nobody writes to. So names are followed component by component, and
another file is opened once and read by the descriptor that was looked at.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from h5py import h5d, h5g, h5i, h5l, h5o, h5s

from ..errors import FileMissingError, FormatError, PolicyError
from ..problems import one_line, origin_of, text_of
from ..sync.locks import h5_lock
from .local_source import LocalSource

MAX_LINKS = 16
"""Soft and external links on the way to one object, as many as HDF5 follows."""

MAX_DEPTH = 8
"""Virtual datasets that lead to one another."""

MAX_COMPONENTS = 1000
"""Names on the way to one object, those in links included."""

SOURCE_PREFIX = "HDF5_VDS_PREFIX"
LINK_PREFIX = "HDF5_EXT_PREFIX"
"""Where HDF5 looks for sources and linked files first, by environment."""


class NamingFile(Protocol):
    """What is asked of an open file (`FileHandle`) whose names are followed."""

    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> pathlib.Path | None: ...  # noqa: D102
    @property
    def is_file_object(self) -> bool: ...  # noqa: D102


class Place(NamedTuple):
    """An open object, and the file that it lies in.

    Attributes
    ----------
    handle : FileHandle or None
        The open file; None if the way began at an object without one.
    id : h5py.h5g.GroupID, h5py.h5d.DatasetID or h5py.h5t.TypeID
        The object.
    """

    handle: Any
    id: Any

    def label(self, name: str | bytes) -> str:
        """Return what messages call a member of this group."""
        handle, group = self
        file = h5i.get_file_id(group).name if handle is None else handle.label
        shown = one_line(os.fsdecode(name), 100)
        return f"{os.fsdecode(file)}: '{self.name.rstrip('/')}/{shown}'"

    @property
    def name(self) -> str:
        """What messages call the object."""
        return one_line(os.fsdecode(h5i.get_name(self.id) or b"?"), 200)


class NameResolver:
    """Follows the names in files that are not trusted.

    Virtual datasets may name any regular file; no external link is followed.
    Subclasses decide otherwise.
    """

    follows_links = False
    """Whether external links and external storage are followed."""

    is_confined = False
    """Whether `open_path` tells files that may be opened from others."""

    def open_path(self, path: pathlib.Path) -> LocalSource:
        """Open a file that a name led to; all of it is read from what is returned.

        Raises
        ------
        FileMissingError, NotAFileError
            If there is no file, or not a regular one.
        PolicyError
            If this file must not be opened.
        """
        return LocalSource(path)

    def open_named(
        self, owner: NamingFile, name: str, where: str, prefix: str = SOURCE_PREFIX
    ) -> LocalSource:
        """Open a file that another one names.

        Parameters
        ----------
        owner : FileHandle
            The file with the name.
        name : str
            A path: absolute, or from the folder of `owner`. A file that is not there
            is looked for beside `owner`.
        where : str
            What messages call the object with the name.
        prefix : str
            The environment variable with folders to look into first.

        Raises
        ------
        FileMissingError, NotAFileError, PolicyError
            As `open_path`.
        """
        path = pathlib.Path(name)
        folder = None if owner.path is None else owner.path.parent
        baseless = folder is None and not path.is_absolute()
        if baseless or (owner.is_file_object and not self.is_confined):
            raise PolicyError(
                f"{where}: refers to the file {one_line(name)}, but only a file opened "
                "from its path may refer to others; open it from its path"
            )
        first: FileMissingError | PolicyError | None = None
        for candidate in dict.fromkeys(_candidates(path, owner.path, prefix)):
            try:
                return self.open_path(candidate.absolute())
            except (FileMissingError, PolicyError) as exc:
                if first is None or isinstance(exc, PolicyError):
                    first = exc
        assert first is not None
        raise first

    def check_storage(self, plist: Any, where: str) -> None:
        """Refuse a dataset whose bytes lie in other files ("external storage").

        Parameters
        ----------
        plist : h5py.h5p.PropDCID
            How it was created.
        where : str
            What messages call it.

        Raises
        ------
        PolicyError
            Unless links are followed, and lead where this may lead.
        FileMissingError, NotAFileError
            If one of the files is not there, or not a regular one.
        """
        for number in range(plist.get_external_count()):
            file = os.fsdecode(plist.get_external(number)[0])
            if not self.follows_links:
                raise PolicyError(
                    f"{where} is stored in another file ({one_line(file)}); pass "
                    "Policy(links=True) to follow that"
                )
            # HDF5 takes it from the working directory, and so it is looked at there.
            self.open_path(pathlib.Path(file).absolute()).close()

    def check_growing(
        self, handle: Any, plist: Any, where: str, depth: int = MAX_DEPTH
    ) -> None:
        """Look at the sources of a virtual dataset that ends where they end.

        HDF5 opens them to tell its shape, so they are looked at before.

        Parameters
        ----------
        handle : FileHandle or None
            The file that it lies in.
        plist, where
            As of `check_storage`.
        depth : int
            How many virtual datasets may lead to it.

        Raises
        ------
        PolicyError
            If a source may not be opened, or files are confined.
        FileMissingError, NotAFileError, FormatError
            If a source cannot be opened.
        """
        for file, dataset in _growing_sources(plist):
            shown = one_line(os.fsdecode(file))
            elsewhere = file != b"."
            if handle is None or (elsewhere and self.is_confined) or b"%" in file:
                raise PolicyError(
                    f"{where} is a virtual dataset as long as its sources in {shown}, "
                    "which cannot be checked before HDF5 opens them; copy the data "
                    "into one file"
                )
            if depth < 0:
                raise FormatError(
                    f"{where}: virtual datasets nested more than {MAX_DEPTH} times"
                )
            owner = handle
            if elsewhere:
                owner = handle.linked_files.get(os.fsdecode(file), where)
            with contextlib.suppress(KeyError):
                place = self._follow(owner, owner.h5.id, b"/" + dataset)
                found = _virtual(place)
                if found is not None:
                    self.check_growing(place.handle, found, where, depth - 1)

    def find(self, handle: Any, name: str | bytes, group: Any = None) -> Place:
        """Return the object that a name leads to.

        Parameters
        ----------
        handle : FileHandle or None
            The open file; without one, nothing leads out of the file of `group`.
        name : str or bytes
            One or several components, separated by slashes.
        group : h5py.h5g.GroupID, optional
            Where to begin; the file by default.

        Raises
        ------
        KeyError
            If there is no such object (a link to nothing counts as none).
        PolicyError
            If an external link is in the way.
            Or if it is a virtual dataset that only HDF5 could read.
        FormatError
            If the way is too long.
        FileMissingError, NotAFileError
            If a linked file cannot be opened.
        """
        if group is None:
            assert handle is not None
            group = handle.h5.id
        raw = name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name
        if b"\0" in raw:
            raise KeyError(f"'{one_line(name)}' is not the name of an object")
        with h5_lock:
            try:
                place = self._follow(handle, group, raw)
            except RuntimeError as exc:
                if origin_of(exc) != "h5py":  # such as an error of a file object
                    raise
                where = Place(handle, group).label(raw)
                raise FormatError(
                    f"{where}: HDF5 cannot look it up: {text_of(exc)}; the file is "
                    "damaged: copy it again"
                ) from exc
            if isinstance(place.id, h5d.DatasetID):
                self._check_virtual(place, name)
            return place

    def _check_virtual(self, place: Place, name: str | bytes) -> None:
        """Refuse a virtual dataset that only HDF5 could read."""
        found = _virtual(place)
        if found is None:
            return
        where = f"'{one_line(name, 200)}'"
        self.check_growing(place.handle, found, where)
        if place.id.shape == ():
            raise PolicyError(
                f"{where} is a virtual dataset of a single value, whose source cannot "
                "be checked before HDF5 opens it; copy the value into this file"
            )

    def _follow(self, handle: Any, group: Any, path: bytes) -> Place:
        """Return where a path leads from a group; the caller holds the h5py lock."""
        links, components = MAX_LINKS, MAX_COMPONENTS
        todo: list[bytes] = []
        while True:
            if path.startswith(b"/"):
                group = h5i.get_file_id(group) if handle is None else handle.h5.id
            todo += reversed(path.split(b"/"))
            while todo:
                name = todo.pop()
                if name in {b"", b"."}:
                    continue
                components -= 1
                if components < 0 or not isinstance(group, h5g.GroupID):
                    raise _no_further(Place(handle, group), name)
                try:
                    found = _open_hard(handle, group, name)
                except (KeyError, RuntimeError):
                    if group.links.exists(name):
                        raise
                    raise _not_there(Place(handle, group), name) from None
                except FormatError as exc:
                    where = Place(handle, group).label(name)
                    raise FormatError(f"{where}: {exc}") from None
                if found is None:
                    links -= 1
                    if links < 0:
                        where = Place(handle, group).label(name)
                        raise KeyError(f"{where}: its links lead in a circle")
                    handle, group, path = self._linked(handle, group, name)
                    break
                group = found
            else:
                return Place(handle, group)

    def _linked(self, handle: Any, group: Any, name: bytes) -> tuple[Any, Any, bytes]:
        """Return the file and the group that a link begins from, and its path."""
        kind = group.links.get_info(name).type
        if kind == h5l.TYPE_SOFT:
            return handle, group, group.links.get_val(name)
        where = Place(handle, group).label(name)
        if kind != h5l.TYPE_EXTERNAL:
            raise PolicyError(f"{where} is a link of an unknown kind, {kind}")
        file, path = group.links.get_val(name)
        if handle is None or not self.follows_links:
            raise PolicyError(
                f"{where} is an external link to {one_line(os.fsdecode(file))}; "
                "pass Policy(links=True) to follow it"
            )
        linked = handle.linked_files.get(os.fsdecode(file), where, LINK_PREFIX)
        return linked, linked.h5.id, path


def _open_hard(handle: Any, group: Any, name: bytes) -> Any:
    """Return what a hard link leads to, open; None for another link."""
    if handle is not None:
        return handle.open_hard(group, name)
    link = group.links.get_info(name)
    return h5o.open(group, name) if link.type == h5l.TYPE_HARD else None


def _no_further(place: Place, name: bytes) -> KeyError | FormatError:
    """Return why a name is not looked up."""
    if isinstance(place.id, h5g.GroupID):
        return FormatError(
            f"{place.label(name)}: a path of more than {MAX_COMPONENTS} names"
        )
    return KeyError(f"{place.label(name)}: only groups have members")


def _not_there(place: Place, name: bytes) -> KeyError:
    return KeyError(f"'{one_line(os.fsdecode(name), 100)}' is not in {place.name}")


def _candidates(
    path: pathlib.Path, owner: pathlib.Path | None, prefix: str
) -> Iterator[pathlib.Path]:
    """Yield where a named file may lie, as HDF5 looks for it.

    Other than by HDF5, nothing is looked for in the working directory.
    """
    name = path.name
    if path.is_absolute():
        yield path
    for folder in filter(None, os.environ.get(prefix, "").split(os.pathsep)):
        origin = "" if owner is None else str(owner.parent)
        place = pathlib.Path(folder.replace("${ORIGIN}", origin))
        if place.is_absolute():
            yield place / (name if path.is_absolute() else path)
    if owner is not None:
        yield owner.parent / path
        yield owner.parent / name
        yield pathlib.Path(os.path.realpath(owner)).parent / name


def _virtual(place: Place) -> Any:
    """Return how a virtual dataset was created; None for any other object."""
    if not isinstance(place.id, h5d.DatasetID):
        return None
    plist = place.id.get_create_plist()
    return plist if plist.get_layout() == h5d.VIRTUAL else None


def _growing_sources(plist: Any) -> Iterator[tuple[bytes, bytes]]:
    """Yield files and datasets that HDF5 opens to tell how large a dataset is."""
    for number in range(plist.get_virtual_count()):
        file = os.fsencode(plist.get_virtual_filename(number))
        spaces = plist.get_virtual_vspace(number), plist.get_virtual_srcspace(number)
        if any(map(_is_unlimited, spaces)):
            yield file, os.fsencode(plist.get_virtual_dsetname(number))


def _is_unlimited(space: Any) -> bool:
    if space.get_select_type() != h5s.SEL_HYPERSLABS:
        return False
    if not space.is_regular_hyperslab():
        return False
    _, _, count, block = space.get_regular_hyperslab()
    return h5s.UNLIMITED in (*count, *block)
