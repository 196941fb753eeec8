"""A preview in a file: some cells of a measurement, or what else there is to see."""

from __future__ import annotations

import os
import pathlib
from dataclasses import dataclass

from ..concat.new_file import check_target, refuse_sources
from ..measurement.data import HDF5Data
from ..pictures.cells import Reader
from ..pictures.figure import all_fonts, title_of
from ..pictures.preview import figure_of
from ..survey import require_measurement, shown
from .picture_file import picture_format, save_figure


@dataclass(frozen=True)
class Preview:
    """What was drawn.

    Attributes
    ----------
    path : pathlib.Path
        Where the picture lies.
    events, shown : int
        How many events there are, and how many are in the picture.
    problems : list of str
        What could not be read.
    """

    path: pathlib.Path
    events: int
    shown: int
    problems: list[str]


def draw_preview(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> Preview:
    """Draw some cells of a measurement; reads no more than their images.

    Without images and masks there are plots of scalar features and the metadata. What
    is damaged costs the events that it concerns.

    Parameters
    ----------
    path : str or path-like
        The measurement.
    target : str or path-like
        Where the picture goes; its suffix tells the format.
    overwrite : bool
        Whether a picture that is there is replaced.

    Returns
    -------
    preview : Preview
        What was drawn, and what could not be read.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the suffix of `target` is none of a picture.
    FileExistsError
        If there is a picture and `overwrite` is False.
    DCReadError
        If the measurement cannot be read at all.
    """
    target = pathlib.Path(target).absolute()
    picture_format(target)
    check_target(target, overwrite=overwrite)
    refuse_sources(target, path)
    title = title_of(pathlib.PurePath(shown(os.fspath(path))).name)
    with all_fonts(), HDF5Data(path) as hd:
        require_measurement(hd)
        reader = Reader(hd)
        figure, drawn = figure_of(reader, title)
        save_figure(figure, target, overwrite=overwrite)
        return Preview(target, len(hd), drawn, reader.problems)
