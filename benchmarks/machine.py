"""On what, and with which versions, something was measured."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform

from .limits import CORES

PACKAGES = (
    "dcread",
    "dcnum",
    "dclab",
    "numpy",
    "h5py",
    "hdf5plugin",
    "pyfive",
    "virtualizarr",
    "zarr",
)


def processor() -> str:
    """Return the name of the processor, as the system gives it."""
    path = pathlib.Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def describe_machine() -> str:
    """Return one sentence: processor, system, versions."""
    import h5py

    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} (not installed)")
    versions.append(f"HDF5 {h5py.version.hdf5_version}")
    beside = ""
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        beside = " Run with real-time priority, beside other work."
    return (
        f"{processor()}, {CORES} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; {', '.join(versions)}.{beside}"
    )
