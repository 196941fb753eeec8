"""Parts of a file that cannot be used: how they are recorded, and what is raised."""

from __future__ import annotations

import contextlib
import inspect
import re
import signal
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from .errors import (
    ClosedError,
    DCReadError,
    FileChangedError,
    FileObjectError,
    FormatError,
    RemoteError,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One part of a file that could not be used, while the rest can be.

    Attributes
    ----------
    kind : str
        What it is: ``"log"``, ``"table"``, ``"attribute"``, ``"feature"``,
        ``"basin"``, ``"length"``, or ``"source"`` (of a concatenated file).
    name : str
        Its name in the file (the log's, the feature's, the basin's key, ...).
    reason : str
        What was expected, what was found, and what to do about it.

    Examples
    --------
    >>> problem = dcread.Problem("log", "acquisition", "it is not a list of lines")
    >>> problem.kind, problem.name
    ('log', 'acquisition')
    """

    kind: str
    name: str
    reason: str

    def __post_init__(self) -> None:
        """Make all of it text that can be printed: names of a file may not be."""
        for field in ("name", "reason"):
            text = getattr(self, field).encode("utf-8", "surrogateescape")
            object.__setattr__(self, field, text.decode("utf-8", "replace"))

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}': {self.reason}"


class CanChange(Protocol):
    """A file that may change while it is open."""

    @property
    def closed(self) -> bool:
        """Whether it is closed by now."""

    def check_unchanged(self) -> None:
        """Raise `FileChangedError` if the file is no longer the one opened."""


# (pathlib makes one slash of two; what ends a URL in a sentence is no part of it)
_SCHEME = r"\b(?:\w+://+|(?i:https?|s3):/)"
_QUERY = re.compile(rf"({_SCHEME}[^\s?#'\"]*)[?#][^\s'\"]*?(?=[:;,.)]?(?:[\s'\"]|$))")
_USER = re.compile(rf"({_SCHEME})[^\s/?#'\"]*@")

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


OF_ALL_PARTS = (ClosedError, FileChangedError, FileObjectError, RemoteError)
"""Errors that concern the whole file, and may be over the next time."""

_SIGNALS = tuple(map(int, signal.valid_signals()))

_SLIPS = (ArithmeticError, AttributeError, IndexError, TypeError)
"""What code raises that is wrong itself, rather than what it reads."""


def origin_of(exc: BaseException) -> str:
    """Return the name of the package whose code raised an exception."""
    name, trace = "", exc.__traceback__
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return name.partition(".")[0]


def is_out_of_a_handler(exc: BaseException) -> bool:
    """Tell whether an exception is Ctrl-C, or came out of the handler of a signal.

    Such a one may come between any two instructions, and says nothing of what was done.
    """
    if isinstance(exc, (KeyboardInterrupt, GeneratorExit)):
        return True
    handlers = map(signal.getsignal, _SIGNALS)
    codes = {getattr(handler, "__code__", None) for handler in handlers} - {None}
    trace = exc.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False


def pass_on(exc: BaseException) -> None:
    """Raise an exception again if it came out of the handler of a signal."""
    if is_out_of_a_handler(exc):
        raise exc


@contextlib.contextmanager
def ignoring(*kinds: type[BaseException]) -> Iterator[None]:
    """Pass over errors of some kinds, unless they came out of a signal handler."""
    try:
        yield
    except kinds as exc:
        pass_on(exc)


def as_name(raw: str | bytes) -> str:
    """Return a name in a file as text; h5py gives bytes where it is not UTF-8."""
    return raw if isinstance(raw, str) else raw.decode("utf-8", "surrogateescape")


def as_key(name: str) -> bytes:
    """Return the bytes that a name has in a file: the reverse of `as_name`."""
    return name.encode("utf-8", "surrogateescape")


def is_utf8(text: str) -> bool:
    """Tell whether text is all that it is said to be: other bytes are no characters."""
    return text.isascii() or escaped(text) == text


def escaped(text: str) -> str:
    r"""Return text that can be stored as UTF-8; bytes that are none as ``\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode()


@contextlib.contextmanager
def as_format_error(what: str, handle: CanChange | None = None) -> Iterator[None]:
    """Do `raise_format_error` for what is raised in a ``with`` block."""
    try:
        yield
    except UNREADABLE as exc:
        raise_format_error(exc, what, handle)
        raise


def raise_format_error(
    exc: BaseException, what: str, handle: CanChange | None = None
) -> None:
    """Turn what h5py raises for a damaged part into a `FormatError` that names it.

    Errors of dcread say enough themselves: the caller raises them again. What looks
    like damage is not, if the file of `handle` changed or was closed meanwhile, or its
    file object was.
    """
    if isinstance(exc, (DCReadError, MemoryError)):
        return
    pass_on(exc)
    origin = origin_of(exc)
    if handle is not None and not handle.closed:
        handle.check_unchanged()
    if "closed file" in str(exc) or (handle is not None and handle.closed):
        raise ClosedError(f"{what} cannot be read: {text_of(exc)}") from exc
    if origin == "dcread" and isinstance(exc, _SLIPS):
        raise DCReadError(
            f"{what} cannot be read: {type(exc).__name__}: {text_of(exc)}; that is "
            "a fault of dcread, not of the file: please report it"
        ) from exc
    raise FormatError(
        f"{what} cannot be read: {text_of(exc)}; the file is damaged: copy it again"
    ) from exc


@contextlib.contextmanager
def recorded_as_problem(
    problems: list[Problem], kind: str, name: str
) -> Iterator[None]:
    """Turn an error about one part of a file into an entry of `problems`.

    A file that was closed or changed concerns all parts: those errors pass.
    """
    try:
        yield
    except OF_ALL_PARTS:
        raise
    except UNREADABLE as exc:
        pass_on(exc)
        problems.append(left_out(kind, name, exc))


def left_out(kind: str, name: str, exc: BaseException) -> Problem:
    """Return what is recorded of a part that cannot be read."""
    reason = f"it cannot be read and is left out: {text_of(exc)}"
    return Problem(kind, name, reason)


def text_of(exc: BaseException) -> str:
    """Return the message of an error on one line, or what kind it is."""
    # (a KeyError would put its message in quotes)
    plain = exc.args[0] if type(exc) is KeyError and exc.args else exc
    return " ".join(_said(plain).split()) or type(exc).__name__


def placed(place: str, what: object) -> str:
    """Return a message on one line that names the place, but only once."""
    text = one_line(what)
    return text if place in text else f"{place}: {text}"


def one_line(what: object, limit: int = 400) -> str:
    """Return a message on one line, not too long, without secrets of URLs.

    Queries may hold a signature that opens a private resource, users a password.
    """
    text = " ".join(_said(what).split())
    if not text:
        text = "(empty)" if isinstance(what, str) else type(what).__name__
    text = _USER.sub(r"\1", _QUERY.sub(r"\1", text))
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _said(what: object) -> str:
    """Return text; nothing for what a plugin raises whose text is an error itself."""
    try:
        return str(what)
    except Exception as exc:
        pass_on(exc)
        return ""


def near_and_first(name: object, names: Collection[str], most: int = 6) -> str:
    """Return names for whoever asked for one that is not there, for a message.

    Parameters
    ----------
    name : object
        What was asked for.
    names : collection of str
        All that could have been asked for.
    most : int
        How many are listed at the most, beside those that are spelled alike.

    Returns
    -------
    str
        Those that are spelled alike, then all, or the first and how many there are.

    Examples
    --------
    >>> from dcread.problems import near_and_first
    >>> near_and_first("area", ["deform", "area_um", "image"])
    "did you mean 'area_um'? There are 'area_um', 'deform', 'image'"
    """
    import difflib

    ordered = sorted(names)
    near = difflib.get_close_matches(str(name), ordered, 3)
    hint = f"did you mean {' or '.join(map(repr, near))}? There" if near else "there"
    listed = ", ".join(map(repr, ordered[:most])) or "none"
    more = f" and {len(ordered) - most:,} more" if len(ordered) > most else ""
    return one_line(f"{hint} are {listed}{more}", 600)


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called this package, however deep in it we are."""
    frame, level = inspect.currentframe(), 0
    package = __name__.partition(".")[0]
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level + 1)
