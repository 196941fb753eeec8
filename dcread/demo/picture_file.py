"""Pictures as files: in which format, all of it or nothing."""

from __future__ import annotations

import io
import pathlib
from typing import TYPE_CHECKING, Any

from ..concat.new_file import check_target, new_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = {
    ".png": "png",
    ".svg": "svg",
    ".pdf": "pdf",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
}
"""The format of a picture by the suffix of its file."""
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": "dcread"},
    "svg": {"Creator": "dcread", "Date": None},
    "pdf": {"Creator": "dcread", "CreationDate": None},
}


def picture_format(target: pathlib.Path) -> str:
    """Return the format of a picture.

    Raises
    ------
    ValueError
        If the suffix of `target` is none of `FORMATS`.
    """
    try:
        return FORMATS[target.suffix.lower()]
    except KeyError:
        raise ValueError(
            f"{target}: expected a name that ends in one of {', '.join(FORMATS)}"
        ) from None


def save_figure(figure: Figure, target: pathlib.Path, *, overwrite: bool) -> None:
    """Write a figure in the format of the suffix; all of it or nothing.

    Raises
    ------
    ValueError, FileExistsError, OSError
        See `picture_format` and `new_file`.
    """
    kind = picture_format(target)
    check_target(target, overwrite=overwrite)
    data = io.BytesIO()
    figure.savefig(data, format=kind, metadata=_METADATA.get(kind))
    with new_file(target, overwrite=overwrite) as file:
        file.write(data.getvalue())
