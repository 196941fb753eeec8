"""One bad part never makes the rest unreadable: note it and go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import ClosedError, DCReadError, FileChangedError, FormatError
from .problems import Problem

if TYPE_CHECKING:
    from .engine import FileHandle

UNREADABLE = (
    DCReadError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What reading a damaged part of a file raises, h5py's own errors included."""


def as_name(raw: str | bytes) -> str:
    """Return a name in a file as text; h5py gives bytes where it is not UTF-8."""
    return raw if isinstance(raw, str) else raw.decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def telling(what: str, handle: FileHandle | None = None) -> Iterator[None]:
    """Turn what h5py raises for a damaged part into a `FormatError` that names it.

    Errors of dcread say enough themselves. What looks like damage is not, if the
    file of `handle` changed meanwhile, or its file object was closed.
    """
    try:
        yield
    except (DCReadError, MemoryError):
        raise
    except UNREADABLE as exc:
        if handle is not None:
            handle.check_unchanged()
        if "closed file" in str(exc):
            raise ClosedError(f"{what} cannot be read: {text_of(exc)}") from exc
        raise FormatError(
            f"{what} cannot be read: {text_of(exc)}; the file is damaged: copy it again"
        ) from exc


@contextlib.contextmanager
def noting(problems: list[Problem], kind: str, name: str) -> Iterator[None]:
    """Turn an error about one part of a file into an entry of `problems`.

    A file that was closed or changed concerns all parts: those errors pass.
    """
    try:
        yield
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as exc:
        problems.append(
            Problem(kind, name, f"it cannot be read and is left out: {text_of(exc)}")
        )


def text_of(exc: BaseException) -> str:
    """Return the message of an error on one line, or what kind it is."""
    # (a KeyError would put its message in quotes)
    plain = exc.args[0] if type(exc) is KeyError and exc.args else exc
    return " ".join(str(plain).split()) or type(exc).__name__
