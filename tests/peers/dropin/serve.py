"""Serve dcread as ``dcnum.read``, and leave witnesses of who answered.

A script calls `install` before it imports anything of dcnum. Worker processes
that multiprocessing spawns import the main script again before they unpickle
their work, so a call at the script's top level serves them as well.
"""

from __future__ import annotations

import functools
import importlib
import json
import multiprocessing
import os
import pathlib
import sys
import threading
from collections.abc import Callable
from typing import Any

SUBMODULES = ("cache", "const", "detect_flicker", "hdf5_concat", "hdf5_data", "mapped")


def install(reader: str, witness: str) -> None:
    """Make ``import dcnum.read`` give `reader`; note who answers.

    Parameters
    ----------
    reader : str
        ``"dcread"``, or ``"dcnum.read"`` for the genuine one.
    witness : str
        Folder in which every process leaves one file that tells its role, which
        class answered, which class dcnum's workers use, and which modules of
        the genuine reader were loaded.
    """
    if "dcnum.read" in sys.modules:
        raise RuntimeError("dcnum.read was imported before it could be replaced")
    if reader != "dcnum.read":
        import dcnum

        package = importlib.import_module(reader)
        dcnum.read = package
        sys.modules["dcnum.read"] = package
        for name in SUBMODULES:
            module = importlib.import_module(f"{reader}.{name}")
            sys.modules[f"dcnum.read.{name}"] = module
    _leave_witnesses(pathlib.Path(witness))


def _leave_witnesses(folder: pathlib.Path) -> None:
    """Append a line to this process's file when it asks for a length or images."""
    from dcnum.read import cache, hdf5_data

    for owner, method in (
        (hdf5_data.HDF5Data, "__len__"),
        (cache.HDF5ImageCache, "get_chunk"),
        (cache.ImageCorrCache, "get_chunk"),
    ):
        setattr(owner, method, _witnessed(getattr(owner, method), folder))


def _witnessed(original: Callable[..., Any], folder: pathlib.Path) -> Any:
    lock = threading.Lock()

    @functools.wraps(original)
    def wrapper(self: object, *args: Any, **kwargs: Any) -> Any:
        slots = sys.modules.get("dcnum.logic.slot_register")
        record = {
            "worker": multiprocessing.parent_process() is not None,
            "call": original.__name__,
            "by": type(self).__module__,
            "slots": slots.HDF5Data.__module__ if slots else None,
            "genuine": _genuine_modules(),
        }
        with lock, (folder / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        return original(self, *args, **kwargs)

    return wrapper


def _genuine_modules() -> list[str]:
    """Names of loaded modules whose code lies in the folder ``dcnum/read``."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if pathlib.PurePath(file).parent.parts[-2:] == ("dcnum", "read"):
            found.append(name)
    return sorted(found)
