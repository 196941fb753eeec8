"""An interrupt leaves no package half imported."""

from __future__ import annotations

import os
import pathlib
import signal
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="no interval timers here"
)

SLOW = """
import builtins, time

builtins.LOADS = getattr(builtins, "LOADS", 0) + 1
time.sleep(0.5)
DataFrame = dict
Index = list
"""

PANDAS = """
import builtins, signal, sys, time
import dcread

signal.signal(signal.SIGALRM, signal.default_int_handler)
with dcread.HDF5Data(sys.argv[1]) as hd:
    start = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        hd.to_dataframe()
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - start < 0.4)
    try:
        hd.to_dataframe()
    except (TypeError, AttributeError):
        pass  # (it is no real pandas)
    print(builtins.LOADS)
"""

FIRST = """
import signal, sys, time

def again(lost):
    # Python ignores what is raised in a callback of a weak reference (importlib has one
    # for the lock of each module) or in a finalizer: then the interrupt comes again.
    home = getattr(lost.object, "__module__", None) or ""
    if lost.exc_type is KeyboardInterrupt and not home.startswith("dcread"):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        sys.__unraisablehook__(lost)

sys.unraisablehook = again
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[2]))
interrupted = False
try:
    import dcread
    dcread.HDF5Data
    time.sleep(60)
except KeyboardInterrupt:
    interrupted = True
import dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    print(interrupted, hd["deform"].sum(), hd.image[2].sum())
"""

ENDS = """
import signal, sys

signal.signal(signal.SIGALRM, signal.default_int_handler)
import dcread
signal.setitimer(signal.ITIMER_REAL, 0.03)
try:
    dcread.HDF5Data
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(4.0)
        h5["events/image"] = np.ones((4, 5, 6), np.uint8)
    return path


def test_a_package_is_imported_once(
    path: pathlib.Path, tmp_path: pathlib.Path, run_python: Callable[..., Any]
) -> None:
    (tmp_path / "pandas.py").write_text(SLOW)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run_python(PANDAS, path, env=environment)
    assert done.stdout.split("\n")[:2] == ["interrupted True", "1"], done.stderr


@pytest.mark.parametrize("seconds", [0.05, 0.09, 0.13, 0.18])
def test_the_first_use_can_be_interrupted(
    path: pathlib.Path, seconds: float, run_python: Callable[..., Any]
) -> None:
    done = run_python(FIRST, path, seconds)
    assert done.stdout == "True 6.0 30\n", done.stderr


def test_the_interpreter_waits_for_imports(run_python: Callable[..., Any]) -> None:
    done = run_python(ENDS)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
