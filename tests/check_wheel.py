"""Run by CI outside the project's folder: is the installed wheel complete?"""

from __future__ import annotations

import importlib
import pathlib
import pkgutil
import sys

import numpy as np

import dcread
import dcread.cli
import dcread_ext
from dcread.demo.generate import make_measurement

OPTIONAL = {"dcread.interop.dclab": "dclab", "dcread.interop.xarray_backend": "xarray"}
"""Modules for those who have another package, which the wheel does not ask for."""


def main() -> None:
    """Import everything, look for compiled kernels, read a small measurement."""
    for package in (dcread, dcread_ext):
        home = pathlib.Path(package.__file__).parent
        assert pathlib.Path(sys.prefix) in home.parents, home
        assert (home / "py.typed").exists(), home
        assert not list(home.rglob("*.pyx")), "sources in the wheel"
    stubs = pathlib.Path(dcread_ext.__file__).parent.glob("*.pyi")
    kernels = sorted({stub.stem for stub in stubs} - {"__init__"})
    assert len(kernels) >= 5, kernels
    for kernel in kernels:
        module = importlib.import_module(f"dcread_ext.{kernel}")
        assert pathlib.Path(module.__file__).suffix in {".so", ".pyd"}, module
    for found in pkgutil.walk_packages(dcread.__path__, "dcread."):
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as exc:
            if exc.name != OPTIONAL.get(found.name):
                raise

    files = make_measurement("wheel-check", frames=60)
    with dcread.HDF5Data(files.events) as hd, dcread.HDF5Data(files.recording) as raw:
        rows = hd["basinmap1"]
        assert np.array_equal(hd.image[:], raw.image[:][rows])
        assert hd["area_um"].min() > 0
    print(f"the wheel of dcread {dcread.__version__} is complete")


if __name__ == "__main__":
    main()
