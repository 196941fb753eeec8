"""Figures: how they look, and which names can be drawn."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 11.0
"""Width of a picture in inches."""
INK = "#333333"
FEW = 300
"""Events below which dots are drawn larger."""
MOST_TITLE = 90
"""Characters of a file's name that fit into a title."""

_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans",
    "Microsoft YaHei",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
)
"""Fonts that are looked into for a character, those first that look alike."""


def new_figure(title: str, height: float) -> Figure:
    """Return an empty figure; no window system is involved."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=(WIDTH, height), dpi=100, layout=layout)
    figure.suptitle(title, fontsize=13, color=INK, parse_math=False)
    return figure


@contextlib.contextmanager
def all_fonts() -> Iterator[None]:
    """Draw text within the block with all fonts that `drawable` knows."""
    import matplotlib as mpl

    # (not rc_context alone: figures that are saved look at the settings then)
    with mpl.rc_context({"font.family": list(_installed())}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def drawable(text: object) -> str:
    """Return text in which what no font here can draw is escaped."""
    known = _characters()
    return "".join(
        char if char in "\n " or ord(char) in known else ascii(char)[1:-1]
        for char in str(text)
    )


def title_of(name: str | os.PathLike[str]) -> str:
    """Return a file's name for a title, its middle left out if it is long."""
    text = drawable(os.fspath(name))
    if len(text) > MOST_TITLE:
        half = MOST_TITLE // 2
        text = f"{text[: half - 1]}…{text[-half:]}"
    return text


def plural(number: int, noun: str) -> str:
    """Return a number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def write_in(ax: Axes, text: str) -> None:
    """Write a text into axes that have nothing else."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", color=INK)
    ax.set_axis_off()


def draw_scatter(ax: Axes, area: Any, deform: Any) -> None:
    """Draw deformation over area, a dot for each event."""
    few = len(area) < FEW
    ax.set_title("area and deformation", fontsize=10, color=INK)
    ax.plot(area, deform, ".", ms=6 if few else 2, alpha=0.8 if few else 0.4, c="C0")
    ax.set_xlabel("area [µm²]")
    ax.set_ylabel("deformation")
    tidy(ax)


def tidy(ax: Axes) -> None:
    """Take away what distracts from the data."""
    ax.tick_params(labelsize=8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


@functools.cache
def _installed() -> tuple[str, ...]:
    from matplotlib import font_manager

    names = {entry.name for entry in font_manager.fontManager.ttflist}
    return tuple(name for name in _FONTS if name in names)


@functools.cache
def _characters() -> frozenset[int]:
    from matplotlib import font_manager

    known: set[int] = set()
    for name in _installed():
        path = font_manager.findfont(name)
        known.update(font_manager.get_font(path).get_charmap())
    return frozenset(code for code in known if chr(code).isprintable())
