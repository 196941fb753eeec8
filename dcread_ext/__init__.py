"""Compiled loops on memory: no file, no h5py, nothing of dcread is known here."""

import importlib.util

if importlib.util.find_spec(f"{__name__}.decode") is None:
    raise ImportError(
        f"the kernels of dcread are not compiled in {__path__[0]}; did you forget to "
        "compile? Run 'pip install -e .' there, or start Python in another folder if "
        "dcread is installed"
    )
