"""How a file counts its bytes is read from the superblock as HDF5 tells it."""

from __future__ import annotations

import os
import pathlib

import h5py
import pytest
from h5py import h5f, h5p

from dcread.engine import open_file

LOWEST = (h5f.LIBVER_EARLIEST, h5f.LIBVER_V18, h5f.LIBVER_V110, h5f.LIBVER_LATEST)


@pytest.mark.parametrize("sizes", [(8, 8), (4, 4), (8, 4), (4, 8), (2, 8)])
@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("lowest", LOWEST)
def test_numbering_is_that_of_hdf5(
    tmp_path: pathlib.Path, lowest: int, userblock: int, sizes: tuple[int, int]
) -> None:
    path = tmp_path / "a.h5"
    settings, access = h5p.create(h5p.FILE_CREATE), h5p.create(h5p.FILE_ACCESS)
    settings.set_userblock(userblock)
    settings.set_sizes(*sizes)
    access.set_libver_bounds(lowest, h5f.LIBVER_LATEST)
    name = os.fsencode(path)
    h5py.File(h5f.create(name, h5f.ACC_EXCL, fcpl=settings, fapl=access)).close()
    handle = open_file(path)
    try:
        assert handle.numbering == (userblock, *sizes)
    finally:
        handle.close()
