"""The picture of the ratios."""

from __future__ import annotations

import pathlib

INK, QUIET, OURS = "#24292f", "#8c959f", "#1f6f8b"


def draw(
    ratios: list[tuple[str, float]],
    folder: pathlib.Path,
    name: str = "benchmarks",
    peer: str = "dcnum.read",
) -> pathlib.Path:
    """Draw how many times faster than a peer each task is.

    Parameters
    ----------
    ratios : list of (str, float)
        Title of the task, ratio.
    folder : pathlib.Path
        Where the picture is written.
    name : str
        Of the file, without its suffix.
    peer : str
        What dcread is held against.
    """
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "dcread"
    titles = [title.replace("`", "") for title, _ in ratios][::-1]
    values = [ratio for _, ratio in ratios][::-1]
    fig, ax = plt.subplots(figsize=(8, 0.38 * len(ratios) + 1.1))
    widths = [value - 1 for value in values]  # slower than the peer: to the left
    bars = ax.barh(titles, widths, left=1, color=OURS, height=0.62)
    for bar, value in zip(bars, values, strict=True):
        place = (max(value, 1), bar.get_y() + bar.get_height() / 2)
        text = f"{value:.{2 if value < 1 else 1}f}x"
        ax.annotate(
            text,
            place,
            (4, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=9,
        )
    ax.axvline(1, color=INK, linewidth=1)
    ax.annotate(
        peer,
        (1, 1.01),
        xycoords=("data", "axes fraction"),
        color=QUIET,
        fontsize=9,
        ha="center",
    )
    ax.set_xscale("log")
    ax.set_xlim(0.8, max(*values, 2) * 1.6)
    ticks = [
        tick for tick in (1, 2, 5, 10, 20, 50, 100, 200) if tick < ax.get_xlim()[1]
    ]
    ax.set_xticks(ticks, [f"{tick}x" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel(f"times as fast as {peer} (two cores, logarithmic)", color=INK)
    ax.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    fig.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    fig.savefig(path, metadata={"Date": None})
    plt.close(fig)
    return path
