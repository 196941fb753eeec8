"""dcread in the place of ``dcnum.read``, for programs that cannot be changed."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import threading
from collections.abc import Sequence
from types import ModuleType, TracebackType
from typing import Any, Self

READ = "dcnum.read"
SUBMODULES = ("cache", "const", "detect_flicker", "hdf5_concat", "hdf5_data", "mapped")
SWITCH = "DCREAD_AS_DCNUM_READ"
"""Environment variable that tells child processes to serve dcread as well."""

_START = str(pathlib.Path(__file__).with_name("worker_start"))
_lock = threading.RLock()
_active: list[Swap] = []


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules of dcread under the names of those of ``dcnum.read``."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for what is served, None for anything else."""
        if fullname not in _served():
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of dcread in the place of the empty one."""
        sys.modules[module.__name__] = _stand_in(module.__name__)


_finder = _Finder()


def _served() -> list[str]:
    return [READ, *(f"{READ}.{name}" for name in SUBMODULES)]


def _stand_in(name: str) -> ModuleType:
    return importlib.import_module(name.replace(READ, "dcread", 1))


def serve_imports() -> None:
    """Give dcread to whoever imports ``dcnum.read`` from now on in this process."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


class Swap:
    """An installed stand-in for ``dcnum.read``; a context manager that ends it.

    Attributes
    ----------
    active : bool
        Whether it still stands in.
    """

    def __init__(self) -> None:
        self.active = True
        self._modules: dict[str, ModuleType | None] = {}
        self._names: list[tuple[dict[str, Any], str, Any, Any]] = []
        self._environment = {
            name: os.environ.get(name) for name in (SWITCH, "PYTHONPATH")
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.undo()

    def _install(self) -> None:
        serve_imports()
        loaded = [name for name in _served() if name in sys.modules]
        genuine = {name: sys.modules[name] for name in loaded}
        for name in loaded:
            self._modules[name] = genuine[name]
            sys.modules[name] = _stand_in(name)
        if READ in loaded:
            sys.modules["dcnum"].read = sys.modules[READ]  # type: ignore[attr-defined]
            self._rebind(genuine)
        paths = [_START, *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        os.environ[SWITCH] = "1"

    def _rebind(self, genuine: dict[str, ModuleType]) -> None:
        """Replace what loaded modules hold already (``from ..read import ...``)."""
        instead = {}
        for name, module in genuine.items():
            ours = _stand_in(name)
            for attribute, value in vars(module).items():
                if not attribute.startswith("_") and hasattr(ours, attribute):
                    instead[id(value)] = (value, getattr(ours, attribute))
            instead[id(module)] = (module, ours)
        for name, module in list(sys.modules.items()):
            if name.startswith((f"{READ}.", "dcread")) or name == READ:
                continue
            held = getattr(module, "__dict__", {})
            for attribute, value in list(held.items()):
                if id(value) in instead and _is_of_peer(value):
                    old, new = instead[id(value)]
                    held[attribute] = new
                    self._names.append((held, attribute, old, new))

    def undo(self) -> None:
        """Give ``dcnum.read`` back its place; twice is fine."""
        with _lock:
            self._undo()

    def _undo(self) -> None:
        if not self.active:
            return
        self.active = False
        _active.remove(self)
        for held, attribute, old, new in reversed(self._names):
            if held.get(attribute) is new:
                held[attribute] = old
        for name, value in self._environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        if _active:
            return
        sys.meta_path.remove(_finder)
        dcnum = sys.modules.get("dcnum")
        for name in _served():
            if name in sys.modules:
                del sys.modules[name]
            if self._modules.get(name) is not None:
                sys.modules[name] = self._modules[name]  # type: ignore[assignment]
        if dcnum is not None and hasattr(dcnum, "read"):
            # (imported while dcread stood in: the next import gets the genuine one)
            del dcnum.read
            if self._modules.get(READ) is not None:
                dcnum.read = self._modules[READ]  # type: ignore[attr-defined]


def _is_of_peer(value: object) -> bool:
    """Tell whether something is defined in ``dcnum.read``, not merely used there."""
    home = getattr(value, "__module__", None) or getattr(value, "__name__", "")
    return isinstance(home, str) and home.startswith(READ)


def install_as_dcnum_read() -> Swap:
    """Let dcread stand in for ``dcnum.read`` in this process and those it starts.

    Whoever imports ``dcnum.read`` or one of its modules gets dcread. What modules that
    are loaded already took from it (``from dcnum.read import HDF5Data``) is replaced;
    objects that exist already stay what they are. Python processes that are started
    while it is active, by multiprocessing or otherwise, do the same: it sets the
    environment variable ``DCREAD_AS_DCNUM_READ`` and puts a folder of dcread first on
    ``PYTHONPATH``, whose ``sitecustomize`` serves dcread there.

    Returns
    -------
    Swap
        Ends it by ``undo()`` or at the end of a ``with`` block. Inside another active
        swap, the outer one goes on.

    Raises
    ------
    ModuleNotFoundError
        If dcnum is not installed.

    Examples
    --------
    >>> import dcread
    >>> with dcread.install_as_dcnum_read():
    ...     from dcnum.read import HDF5Data
    >>> HDF5Data is dcread.HDF5Data, dcread.is_installed_as_dcnum_read()
    (True, False)
    """
    if importlib.util.find_spec("dcnum") is None:
        raise ModuleNotFoundError(
            "dcnum is not installed, so there is nothing to stand in for; "
            "install it with `pip install dcnum`"
        )
    with _lock:
        swap = Swap()
        if not _active:
            swap._install()
        _active.append(swap)
        return swap


def is_installed_as_dcnum_read() -> bool:
    """Tell whether dcread stands in for ``dcnum.read`` in this process.

    Returns
    -------
    bool

    Examples
    --------
    >>> import dcread
    >>> dcread.is_installed_as_dcnum_read()
    False
    """
    module = sys.modules.get(READ)
    served = module is None or module.__name__ == "dcread"
    return _finder in sys.meta_path and served
