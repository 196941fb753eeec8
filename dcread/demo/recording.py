"""Recording a made-up measurement frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import instrument, rtdc, scene
from .features import brightness_features, shape_features

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

BATCH = 200


@dataclass(frozen=True)
class Recording:
    """What the events file takes from the recording."""

    cells: scene.Cells
    masks: NDArray[np.bool_]
    backgrounds: NDArray[np.uint8]
    scalars: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Setup:
    """What stays the same from one recording to the next."""

    rng: np.random.Generator
    background: Callable[[scene.Light, int], NDArray[np.float32]]
    paint: Callable[[scene.Cells, slice], tuple[NDArray[np.float32], NDArray[np.bool_]]]
    progress: Callable[[int], None]


def record(setup: Setup, path: pathlib.Path, light: scene.Light, run: str) -> Recording:
    """Write one recording and return what the events are made of."""
    size = len(light.level)
    cells = scene.make_cells(setup.rng, size)
    frame = np.cumsum(setup.rng.geometric(1 / 12, size))
    slow = instrument.slow_features(setup.rng, frame)
    middle = scene.FRAMES_PER_BACKGROUND // 2
    backgrounds = np.stack(
        [
            setup.background(light, min(start + middle, size - 1)).round()
            for start in range(0, size, scene.FRAMES_PER_BACKGROUND)
        ]
    ).astype(np.uint8)
    masks = np.empty((len(cells), *scene.PATCH), bool)
    batches = []
    with instrument.new_measurement(path, run) as h5:
        events = h5.create_group("events")
        shape = (size, scene.HEIGHT, scene.WIDTH)
        images = rtdc.create(events, "image", shape, np.uint8)
        for start in range(0, size, BATCH):
            frames = slice(start, min(start + BATCH, size))
            part = slice(*np.searchsorted(cells.frame, [start, frames.stop]).tolist())
            shade, masks[part] = setup.paint(cells, part)
            taken = _take(setup, light, frames, cells=cells, part=part, shade=shade)
            images[frames] = taken
            rows = backgrounds[
                np.arange(start, frames.stop) // scene.FRAMES_PER_BACKGROUND
            ]
            batches.append(
                _measure(
                    cells,
                    part,
                    start=start,
                    masks=masks[part],
                    taken=taken,
                    backgrounds=rows,
                )
            )
            setup.progress(len(taken))
        for name, values in {"frame": frame, **slow}.items():
            rtdc.store(events, name, values)
        h5.attrs["experiment:event count"] = size
        instrument.write_log(h5, size, light)
        instrument.write_table(h5, slow, light)
    scalars = {
        name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]
    }
    for name, per_frame in {"frame": frame, **slow}.items():
        scalars[name] = per_frame[cells.frame]
    return Recording(cells, masks, backgrounds, scalars)


def windows_of(cells: scene.Cells, part: slice) -> Iterator[tuple[int, Any]]:
    """Yield frame and window, as an index into that frame, of each cell."""
    height, width = scene.PATCH
    tops, lefts = scene.corner(cells, part)
    frames = cells.frame[part].tolist()
    for frame, y, x in zip(frames, tops.tolist(), lefts.tolist(), strict=True):
        yield frame, np.s_[y : y + height, x : x + width]


def _take(
    setup: Setup,
    light: scene.Light,
    frames: slice,
    *,
    cells: scene.Cells,
    part: slice,
    shade: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Return the frames as the camera takes them."""
    ideal = np.stack(
        [setup.background(light, frame) for frame in range(frames.start, frames.stop)]
    )
    for (frame, window), addition in zip(windows_of(cells, part), shade, strict=True):
        ideal[frame - frames.start][window] += addition
    ideal *= light.flash[frames, None, None].astype(np.float32)
    return instrument.expose(setup.rng, ideal)


def _measure(
    cells: scene.Cells,
    part: slice,
    *,
    start: int,
    masks: NDArray[np.bool_],
    taken: NDArray[np.uint8],
    backgrounds: NDArray[np.uint8],
) -> dict[str, NDArray[Any]]:
    """Return the scalar features of the cells in frames from `start` on."""
    above = taken[:, :10].astype(np.int16) - backgrounds[:, :10]
    rows = cells.frame[part] - start
    offset = np.median(above, axis=(1, 2))[rows]
    windows = [(frame - start, window) for frame, window in windows_of(cells, part)]
    return {
        **shape_features(masks, *scene.corner(cells, part), instrument.PIXEL_SIZE),
        **brightness_features(
            np.stack([taken[row][window] for row, window in windows]),
            np.stack([backgrounds[row][window] for row, window in windows]),
            masks,
            offset,
        ),
        "bg_off": offset,
        "bg_med": np.median(backgrounds, axis=(1, 2))[rows],
    }
