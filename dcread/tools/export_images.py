"""Images as one TIFF file or a folder of PNG files, block by block."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..concat.new_file import check_target, new_file, refuse_sources
from ..errors import NotAFileError
from ..survey import shown
from .selection import Selection, blocks, require_backing

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".tif", ".tiff")
BLOCK = 1000
"""Images that are in memory together."""
LARGEST_TIFF = 2**32 - 2**25
"""Bytes of images above which a TIFF file is a BigTIFF file."""


def export_tiff(
    path: str | os.PathLike[str],
    target: pathlib.Path,
    feature: str = "image",
    selection: Selection | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write images as the pages of a TIFF file; return their number.

    Masks become 0 and 255; other images keep their numbers and their type.

    Raises
    ------
    ValueError
        If the feature holds no images, or no event is selected.
    DCReadError, FileExistsError, OSError
        If something cannot be read or written; there is no file then.
    ImportError
        If tifffile is not installed.
    """
    import tifffile

    check_target(target, overwrite=overwrite)
    refuse_sources(target, path)
    selection = selection or Selection()
    number = 0
    with new_file(target, overwrite=overwrite) as file:
        writer = None
        with contextlib.ExitStack() as stack:
            for image, _, most in _images(path, feature, selection, progress):
                if writer is None:
                    large = most * (image.nbytes + 512) > LARGEST_TIFF
                    stream = io.BufferedRandom(file)
                    writer = stack.enter_context(
                        tifffile.TiffWriter(stream, bigtiff=large)
                    )
                writer.write(
                    image,
                    photometric="minisblack",
                    contiguous=False,
                    metadata=None,
                    software="dcread",
                )
                file.raise_failure()
                number += 1
        if writer is not None:
            stream.flush()
            stream.detach()
        _require_some(number, path)
    return number


def export_png(
    path: str | os.PathLike[str],
    folder: pathlib.Path,
    feature: str = "image",
    selection: Selection | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write images as PNG files into a new folder; return their number.

    Each has the number of its event in its name. The folder gets its name when all
    images are in it.

    Raises
    ------
    ValueError
        If the feature holds no images of 8 or 16 bit, or no event is selected.
    FileExistsError
        If the folder is there.
    DCReadError, OSError
        If something cannot be read or written; there is no folder then.
    ImportError
        If pillow is not installed.
    """
    from PIL import Image

    if os.path.lexists(folder):
        raise FileExistsError(f"{folder} already exists; choose a new folder")
    if not folder.absolute().parent.is_dir():
        raise NotAFileError(f"{folder.absolute().parent}: there is no such folder")
    beside = folder.with_name(f".{folder.name[:100]}.{secrets.token_hex(6)}.part")
    beside.mkdir()
    number = 0
    try:
        for image, event, most in _images(
            path, feature, selection or Selection(), progress
        ):
            if image.dtype not in (np.uint8, np.uint16):
                raise ValueError(
                    f"{shown(os.fspath(path))}: '{feature}' is {image.dtype}, and PNG "
                    "holds 8 or 16 bit; export it as .tif"
                )
            digits = max(6, len(str(most)))
            Image.fromarray(image).save(beside / f"{feature}_{event:0{digits}d}.png")
            number += 1
        _require_some(number, path)
        if os.path.lexists(folder):  # (it appeared meanwhile)
            raise FileExistsError(f"{folder} already exists; choose a new folder")
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return number


def _images(
    path: str | os.PathLike[str],
    feature: str,
    selection: Selection,
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[NDArray[Any], int, int]]:
    """Yield each image, the number of its event, and how many there are at the most."""
    most = 0
    for hd, rows, numbers in blocks(path, selection, [feature], BLOCK):
        if not most:
            most = sum(map(len, selection.numbers(hd.raw_length)))
            require_backing(hd, [feature], selection)
        images: Any = hd.image_corr if feature == "image_corr" else hd[feature]
        if len(getattr(images, "shape", ())) != 3:
            raise ValueError(
                f"{shown(os.fspath(path))}: feature '{feature}' holds no images"
            )
        for row, event in zip(rows.tolist(), numbers.tolist(), strict=True):
            image = np.asarray(images[row])
            if image.dtype == bool:
                image = image.astype(np.uint8) * 255
            yield image.astype(image.dtype.newbyteorder("="), copy=False), event, most
        if progress is not None:
            progress(len(hd))


def _require_some(number: int, path: str | os.PathLike[str]) -> None:
    if not number:
        raise ValueError(f"{shown(os.fspath(path))}: no event is selected")
