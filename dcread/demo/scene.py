"""What the camera of a made-up measurement sees: light, channel and cells."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

HEIGHT, WIDTH = 80, 320
"""Shape of a camera frame in pixels."""

PATCH = (64, 104)
"""Shape in pixels of the window that a cell and its halo are drawn in."""

WALLS = (10.0, 69.0)
"""Rows of the two channel walls; 59 px at 0.34 um are a 20 um channel."""

FRAMES_PER_BACKGROUND = 100
"""How many frames share one background image."""


@dataclass(frozen=True)
class Light:
    """The light source over time, one entry a frame.

    Attributes
    ----------
    level : ndarray of float64
        Slow drift of the brightness, in gray levels.
    tilt : ndarray of float64
        Slow drift of the brightness difference between inlet and outlet.
    flash : ndarray of float64
        Factor of the single flash: 1 for a steady source.
    """

    level: NDArray[np.float64]
    tilt: NDArray[np.float64]
    flash: NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Cells in order of their frames; every field has one entry a cell.

    Lengths are in pixels, angles in radians.
    """

    frame: NDArray[np.int64]
    kind: NDArray[np.int64]
    center_x: NDArray[np.float64]
    center_y: NDArray[np.float64]
    half_length: NDArray[np.float64]
    half_height: NDArray[np.float64]
    taper: NDArray[np.float64]
    angle: NDArray[np.float64]
    focus: NDArray[np.float64]
    darkness: NDArray[np.float64]
    grain: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)


# name, share, half length, half height, taper, darkness, grain
KINDS: tuple[tuple[str, float, float, float, float, float, float], ...] = (
    ("erythrocyte", 0.45, 25.0, 8.5, 0.68, 14.0, 1.0),
    ("lymphocyte", 0.25, 14.5, 13.8, 0.10, 5.0, 4.0),
    ("granulocyte", 0.18, 19.5, 17.0, 0.22, 8.0, 6.0),
    ("platelet", 0.12, 5.5, 4.8, 0.05, 9.0, 0.5),
)
"""The kinds of cells and what is typical of each."""


def make_light(
    rng: np.random.Generator, size: int, *, flicker: bool, start: int = 0
) -> Light:
    """Return a light source that drifts slowly and, on request, flickers.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all chance.
    size : int
        Number of frames.
    flicker : bool
        Whether some flashes are brighter or darker than the others (3 %).
    start : int
        How many frames were taken before the first one; the drift goes on.
    """
    phase = (start + np.arange(size)) / 3000.0
    flash = np.ones(size)
    if flicker:
        number = max(size // 33, 1)
        bad = rng.choice(size, number, replace=False)
        sign = rng.choice([-1.0, 1.0], number, p=[0.7, 0.3])
        flash[bad] += sign * rng.uniform(0.03, 0.09, number)
    return Light(
        level=145.0 + 5.0 * np.cos(2.2 * phase) + np.sin(5.0 * phase),
        tilt=3.0 * np.sin(1.0 + 4.0 * phase),
        flash=flash,
    )


def make_cells(rng: np.random.Generator, size: int) -> Cells:
    """Return the cells that are seen in `size` frames.

    About one frame in eight is empty and one in six shows two cells, always
    with enough room between them for two separate outlines.
    """
    per_frame = rng.choice([0, 1, 2], size, p=[0.12, 0.72, 0.16])
    frame = np.repeat(np.arange(size), per_frame)
    number = len(frame)
    # The second cell of a frame flies behind the first one.
    behind = np.zeros(number, dtype=bool)
    behind[1:] = frame[1:] == frame[:-1]
    paired = per_frame[frame] == 2
    center_x = rng.uniform(60.0, 260.0, number)
    center_x[paired] = rng.uniform(205.0, 260.0, np.count_nonzero(paired))
    center_x[behind] = rng.uniform(60.0, 115.0, np.count_nonzero(behind))

    kind = rng.choice(len(KINDS), number, p=[k[1] for k in KINDS])
    typical = np.array([k[2:] for k in KINDS])[kind]
    scale = np.exp(rng.normal(0.0, 0.08, number))
    squeeze = np.exp(rng.normal(0.0, 0.07, number))
    return Cells(
        frame=frame,
        kind=kind,
        center_x=center_x,
        center_y=np.clip(rng.normal(40.0, 2.2, number), 34.0, 46.0),
        half_length=np.clip(typical[:, 0] * scale * squeeze, 4.0, 34.0),
        half_height=np.clip(typical[:, 1] * scale / squeeze, 3.6, 21.0),
        taper=np.clip(typical[:, 2] + rng.normal(0.0, 0.05, number), 0.0, 0.78),
        angle=rng.normal(0.0, 0.05, number),
        focus=np.clip(rng.normal(0.35, 0.45, number), -1.0, 1.2),
        darkness=typical[:, 3] * rng.uniform(0.7, 1.3, number),
        grain=typical[:, 4],
    )


def make_background(
    rng: np.random.Generator,
) -> Callable[[Light, int], NDArray[np.float32]]:
    """Return a function that gives the empty channel of one frame.

    Walls, dirt and the fixed pattern of the sensor stay the same; the function
    adds the light of the frame (its drift, not its flash).
    """
    rows = np.arange(HEIGHT, dtype=np.float32)
    profile = np.ones(HEIGHT, dtype=np.float32)
    for wall, outwards in zip(WALLS, (-1.0, 1.0), strict=True):
        away = (rows - wall) * np.float32(outwards)
        profile -= 0.05 / (1 + np.exp(-away / 1.2))
        profile -= 0.30 * np.exp(-(((away - 1.0) / 1.7) ** 2))
        profile += 0.10 * np.exp(-(((away + 3.0) / 1.6) ** 2))
        profile += 0.06 * np.exp(-(((away - 5.5) / 1.2) ** 2))
    pattern = smooth_noise(rng, HEIGHT, WIDTH, 6.0) * 1.0
    pattern += smooth_noise(rng, HEIGHT, WIDTH, 1.0) * 0.5
    columns = np.arange(WIDTH, dtype=np.float32)
    for _ in range(4):  # specks of dirt on the chip
        away2 = (rows[:, None] - rng.uniform(15, 65)) ** 2
        away2 = away2 + (columns - rng.uniform(10, 310)) ** 2
        pattern -= rng.uniform(3.0, 9.0) * np.exp(-away2 / rng.uniform(1.5, 5.0))
    ramp = np.linspace(-1.0, 1.0, WIDTH, dtype=np.float32)

    def background(light: Light, frame: int) -> NDArray[np.float32]:
        level = light.level[frame] + light.tilt[frame] * ramp
        image: NDArray[np.float32] = profile[:, None] * level + pattern
        return image.astype(np.float32)

    return background


def smooth_noise(
    rng: np.random.Generator, height: int, width: int, sigma: float
) -> NDArray[np.float32]:
    """Return periodic Gaussian noise of standard deviation 1, blurred by `sigma`."""
    fy = np.fft.fftfreq(height)[:, None]
    fx = np.fft.rfftfreq(width)
    blur = np.exp(-2.0 * (np.pi * sigma) ** 2 * (fx**2 + fy**2))
    noise: NDArray[np.float64] = np.fft.irfft2(
        np.fft.rfft2(rng.standard_normal((height, width))) * blur, (height, width)
    )
    noise -= noise.mean()
    scaled: NDArray[np.float32] = (noise / noise.std()).astype(np.float32)
    return scaled


def make_painter(
    rng: np.random.Generator,
) -> Callable[[Cells, slice], tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Return a function that draws cells into windows of shape `PATCH`.

    The function takes all cells and a slice of them, and returns what each adds
    to the gray levels of the empty channel and which pixels belong to it; both
    have the shape ``(len(part), *PATCH)``.
    """
    texture = smooth_noise(rng, 4 * PATCH[0], 4 * PATCH[1], 1.6)
    y, x = np.mgrid[: PATCH[0], : PATCH[1]].astype(np.float32)

    def paint(
        cells: Cells, part: slice
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        number = part.stop - part.start
        tops = rng.integers(0, 3 * PATCH[0], number).tolist()
        lefts = rng.integers(0, 3 * PATCH[1], number).tolist()
        grain = np.empty((number, *PATCH), np.float32)
        for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
            grain[i] = texture[top : top + PATCH[0], left : left + PATCH[1]]
        column = {
            field.name: getattr(cells, field.name)[part, None, None].astype(np.float32)
            for field in dataclasses.fields(cells)
        }
        top, left = corner(cells, part)
        dx = x - (column["center_x"] - left[:, None, None].astype(np.float32))
        dy = y - (column["center_y"] - top[:, None, None].astype(np.float32))
        return _draw(dx, dy, grain, column)

    return paint


def corner(cells: Cells, part: slice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return top row and left column of the cells' windows in the frame."""
    top = np.rint(cells.center_y[part]).astype(np.int64) - PATCH[0] // 2
    left = np.rint(cells.center_x[part]).astype(np.int64) - PATCH[1] // 2
    return top, left


def _draw(
    dx: NDArray[np.float32],
    dy: NDArray[np.float32],
    grain: NDArray[np.float32],
    cell: dict[str, NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    cosine, sine = np.cos(cell["angle"]), np.sin(cell["angle"])
    length = cell["half_length"]
    u = (dx * cosine + dy * sine) / length
    # An ellipse that is wide at the front (right) and narrow at the tail.
    widest = 1.0 + 0.35 * cell["taper"]
    height = cell["half_height"] * np.clip(1.0 + cell["taper"] * u, 0.12, 2.0) / widest
    v = (dy * cosine - dx * sine) / height
    radius = np.sqrt(u * u + v * v)
    steepness = np.sqrt((u / length) ** 2 + (v / height) ** 2) + np.float32(1e-3)
    distance = (radius - 1.0) * radius / steepness  # px, negative inside
    distance = np.maximum(distance, (np.abs(u) - 1.0) * length)  # beyond the tips
    mask = _open(radius < 1.0)

    inside = 1.0 / (1.0 + np.exp(np.clip(distance / 0.8, -30.0, 30.0)))
    focus = cell["focus"]
    # Out of focus, the edge is a dark line with a bright halo (or reverse).
    edge = -20.0 * (0.25 + np.abs(focus)) * np.exp(-((distance / 1.5) ** 2))
    outside = np.maximum(distance, 0.0)
    ringing = np.cos(0.85 * outside - 0.9) * np.exp(-outside / 3.5) * (1.0 - inside)
    lens = np.exp(-((radius / 0.45) ** 2))  # a cell in a medium is a small lens
    shade = inside * (grain * cell["grain"] - cell["darkness"])
    shade += edge + 13.0 * focus * ringing + 15.0 * focus * lens * inside
    return shade.astype(np.float32), mask


def _open(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask without parts that are thinner than three pixels."""
    core = mask.copy()
    for shift, axis in ((1, 1), (-1, 1), (1, 2), (-1, 2)):
        core &= np.roll(mask, shift, axis)
    grown = core.copy()
    for shift, axis in ((1, 1), (-1, 1), (1, 2), (-1, 2)):
        grown |= np.roll(core, shift, axis)
    return grown
