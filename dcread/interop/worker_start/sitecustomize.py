"""Serve dcread as ``dcnum.read`` in a Python process that a swapped one starts.

Python imports a module of this name when it starts. This folder is on ``PYTHONPATH``
only while `dcread.install_as_dcnum_read` is active. A ``sitecustomize`` that would have
been found without it runs afterwards.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _serve() -> None:
    if os.environ.get("DCREAD_AS_DCNUM_READ") != "1":
        return
    try:
        from dcread.interop.dcnum_swap import serve_imports
    except ImportError as exc:
        sys.stderr.write(f"dcread cannot stand in for dcnum.read here: {exc}\n")
    else:
        serve_imports()


def _run_next() -> None:
    others = [place for place in sys.path if os.path.abspath(place or ".") != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_serve()
_run_next()
